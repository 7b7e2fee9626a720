import { expect, test } from 'vitest';
import { runSchema } from '../../src/config/schema/schema.ts';
import { LimitTable } from '../../src/ratelimit/limit-table.ts';
import { LimitsFile } from '../../src/ratelimit/limits-schema.ts';

const perSecond = (requests_per_unit: number) => ({ unit: 'second', requests_per_unit });

function tableOf(...files: object[]): LimitTable {
  return new LimitTable(files.map((file) => runSchema(LimitsFile, file, {}).value as LimitsFile));
}

/** Requests per unit of the limit for a descriptor given as `key=value key=value`. */
function limitOf(table: LimitTable, descriptor: string, domain = 'shop'): number | undefined {
  const entries = descriptor.split(' ').map((entry) => {
    const [key = '', value = ''] = entry.split('=');
    return { key, value };
  });
  return table.find(domain, entries)?.requestsPerUnit;
}

test('an exact value comes before a beginning, the longer before the shorter, and all before any value', () => {
  const table = tableOf({
    domain: 'shop',
    descriptors: [
      { key: 'path', rate_limit: perSecond(1) },
      { key: 'path', value: '/a*', rate_limit: perSecond(2) },
      { key: 'path', value: '/api*', rate_limit: perSecond(3) },
      { key: 'path', value: '/api/login', rate_limit: perSecond(4) },
    ],
  });
  const paths = ['/', '/a', '/api', '/api/login', '/api/login2'];
  expect(paths.map((path) => limitOf(table, `path=${path}`))).toEqual([1, 2, 3, 4, 3]);
});

test('a limit is for descriptors of its own depth, in its own order and domain', () => {
  const table = tableOf(
    {
      domain: 'shop',
      descriptors: [
        {
          key: 'client',
          rate_limit: perSecond(1),
          descriptors: [{ key: 'path', value: '/x', rate_limit: perSecond(2) }],
        },
        { key: 'only-nested', descriptors: [{ key: 'path', rate_limit: perSecond(3) }] },
      ],
    },
    { domain: 'other', descriptors: [{ key: 'client', rate_limit: perSecond(9) }] },
  );
  expect(limitOf(table, 'client=a')).toBe(1);
  expect(limitOf(table, 'client=a path=/x')).toBe(2);
  expect(limitOf(table, 'client=a path=/y')).toBeUndefined();
  expect(limitOf(table, 'path=/x client=a')).toBeUndefined();
  expect(limitOf(table, 'only-nested=a')).toBeUndefined();
  expect(limitOf(table, 'only-nested=a path=/z')).toBe(3);
  expect(limitOf(table, 'only-nested=a path=/z more=1')).toBeUndefined();
  expect(limitOf(table, 'client=a', 'other')).toBe(9);
  expect(limitOf(table, 'client=a', 'nobody')).toBeUndefined();
});

test('every limit is named by the keys and values that lead to it', () => {
  const table = tableOf({
    domain: 'shop',
    descriptors: [
      { key: 'client', value: 'a:b', descriptors: [{ key: 'path', rate_limit: { ...perSecond(1), name: 'n' } }] },
    ],
  });
  expect(table.limits.map(({ domain, limit }) => [domain, limit.statName, limit.name])).toEqual([
    ['shop', 'client_a_b.path', 'n'],
  ]);
});
