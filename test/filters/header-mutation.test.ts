import { expect, test } from 'vitest';
import { headerMutation } from '../../filters/header-mutation.ts';
import { HttpFilterHarness, responseHead } from '../support/filter-harness.ts';

function set(value: string, key = 'x-a', append_action = 'OVERWRITE_IF_EXISTS_OR_ADD') {
  return { append: { header: { key, value }, append_action } };
}

test('mutations run one after the other, each on what the one before left', () => {
  const filter = new HttpFilterHarness(headerMutation, {
    mutations: {
      request_mutations: [
        { remove: 'X-Gone' },
        set('%REQ(x-gone)%', 'x-copy'),
        set('new', 'x-absent', 'ADD_IF_ABSENT'),
        set('never', 'x-absent', 'ADD_IF_ABSENT'),
        set('two', 'x-list', 'APPEND_IF_EXISTS_OR_ADD'),
        set('%REQ(:METHOD)%', 'x-method'),
      ],
    },
  });
  const { request } = filter.request({ 'x-gone': '1', 'x-list': 'one' });
  expect([...request].map(([name, value]) => `${name}: ${value}`)).toEqual([
    'x-list: one',
    'x-absent: new',
    'x-list: two',
    'x-method: GET',
  ]);
  expect(filter.hooks.onResponse).toBeUndefined();
});

test('response mutations change the response', () => {
  const filter = new HttpFilterHarness(headerMutation, {
    mutations: { response_mutations: [{ remove: 'server' }, set('DENY', 'x-frame-options')] },
  });
  expect(filter.hooks.onRequest).toBeUndefined();
  const { response } = filter.response(filter.request().stream, responseHead(200, { server: 'app' }));
  expect([...response]).toEqual([['x-frame-options', 'DENY']]);
});

test.each([
  [false, 'route configuration'],
  [true, 'route'],
])(
  'all levels run after the filter; most_specific_header_mutations_wins: %s lets the %s have the last word',
  (wins, last) => {
    const filter = new HttpFilterHarness(
      headerMutation,
      {
        mutations: { request_mutations: [set('filter'), set('filter', 'x-base')] },
        most_specific_header_mutations_wins: wins,
      },
      {
        routeConfigs: ['route configuration', 'virtual host', 'route'].map((level) => ({
          mutations: { request_mutations: [set(level), set(level, `x-${level.replace(' ', '-')}`)] },
        })),
      },
    );
    const { request } = filter.request();
    expect(request.get('x-a')).toBe(last);
    expect(request.get('x-base')).toBe('filter');
    expect(request.get('x-virtual-host')).toBe('virtual host');
  },
);

test.each([
  [{ mutations: { request_mutations: [set('%NOPE%')] } }, 'NOPE'],
  [{ mutations: { request_mutations: [{}] } }, 'required'],
  [{ mutations: { query_parameter_mutations: [] } }, 'not supported'],
])('refuses %j', (config, message) => {
  expect(() => new HttpFilterHarness(headerMutation, config)).toThrow(message);
});
