import { describe, expect, it } from 'vitest';
import type { RequestHead } from '../../../src/http/message.ts';
import { RouteConfigError, type RouteTable } from '../../../src/http/route/index.ts';
import { hashStream, requestHead, routeTable, singleHost } from './route-fixture.ts';

const to = (cluster: string, match: object, more: object = {}): object => ({
  name: cluster,
  match,
  route: { cluster },
  ...more,
});

function matched(table: RouteTable, request: RequestHead | string, metadata = {}): string | undefined {
  const head = typeof request === 'string' ? requestHead(request) : request;
  return table.match(head, hashStream(head, metadata))?.name;
}

describe('RouteTable.match', () => {
  it('takes the first route that matches', () => {
    const table = singleHost([to('a', { prefix: '/a' }), to('ab', { prefix: '/ab' }), to('rest', { prefix: '/' })]);
    expect(matched(table, '/abc')).toBe('a');
    expect(matched(table, '/b')).toBe('rest');
  });

  it('compares paths without query and fragment', () => {
    const table = singleHost([
      to('exact', { path: '/a' }),
      to('regex', { safe_regex: { regex: '/b/\\d+' } }),
      to('q', { prefix: '/a?x' }),
    ]);
    expect(matched(table, '/a?x=1')).toBe('exact');
    expect(matched(table, '/a#f')).toBe('exact');
    expect(matched(table, '/a/')).toBeUndefined();
    expect(matched(table, '/b/12?x=/z')).toBe('regex');
    expect(matched(table, '/b/12z')).toBeUndefined();
  });

  it('takes a separated prefix for whole segments only', () => {
    const table = singleHost([to('api', { path_separated_prefix: '/api' })]);
    for (const path of ['/api', '/api/', '/api/x', '/api?x']) expect(matched(table, path), path).toBe('api');
    for (const path of ['/apis', '/ap', '/API']) expect(matched(table, path), path).toBeUndefined();
  });

  it('compares letters without case where told so', () => {
    const table = singleHost([
      to('path', { path: '/Exact', case_sensitive: false }),
      to('prefix', { prefix: '/Pre', case_sensitive: false }),
      to('separated', { path_separated_prefix: '/Sep', case_sensitive: false }),
    ]);
    expect(matched(table, '/eXACT?Q')).toBe('path');
    expect(matched(table, '/pREfix')).toBe('prefix');
    expect(matched(table, '/sEP/x')).toBe('separated');
    expect(matched(table, '/separate')).toBeUndefined();
  });

  it('asks for headers, query parameters, cookies, gRPC and metadata besides the path', () => {
    const table = singleHost([
      to('header', { prefix: '/', headers: [{ name: 'X-A', string_match: { exact: '1' } }] }),
      to('query', { prefix: '/', query_parameters: [{ name: 'v', string_match: { exact: '2' } }] }),
      to('cookie', { prefix: '/', cookies: [{ name: 'c', string_match: { exact: '3' } }] }),
      to('grpc', { prefix: '/', grpc: {} }),
      to('metadata', {
        prefix: '/',
        dynamic_metadata: [{ filter: 'f', path: [{ key: 'k' }], value: { string_match: { exact: 'v' } } }],
      }),
      to('rest', { prefix: '/' }),
    ]);
    expect(matched(table, requestHead('/', { headers: [['x-a', '1']] }))).toBe('header');
    expect(matched(table, '/?v=2')).toBe('query');
    expect(matched(table, requestHead('/', { headers: [['cookie', 'b=2; c="3"']] }))).toBe('cookie');
    expect(matched(table, requestHead('/', { headers: [['content-type', 'application/grpc+proto']] }))).toBe('grpc');
    expect(matched(table, requestHead('/', { headers: [['content-type', 'application/grpc-web']] }))).toBe('rest');
    expect(matched(table, '/', { f: { k: 'v' } })).toBe('metadata');
    expect(matched(table, '/')).toBe('rest');
  });

  it('needs all conditions of a route', () => {
    const both = { headers: [{ name: 'x-a', present_match: true }], query_parameters: [{ name: 'v' }] };
    const table = singleHost([to('both', { prefix: '/', ...both })]);
    expect(matched(table, requestHead('/?v', { headers: [['x-a', '1']] }))).toBe('both');
    expect(matched(table, '/?v')).toBeUndefined();
    expect(matched(table, requestHead('/', { headers: [['x-a', '1']] }))).toBeUndefined();
  });

  it('gives a fraction of the requests to a route', () => {
    let draw = 0;
    const fraction = { default_value: { numerator: 25, denominator: 'HUNDRED' } };
    const routes = [to('some', { prefix: '/', runtime_fraction: fraction }), to('rest', { prefix: '/' })];
    const table = singleHost(routes, {}, { random: () => draw });
    expect(matched(table, '/')).toBe('some');
    draw = 0.25;
    expect(matched(table, '/')).toBe('rest');
  });

  it('leads CONNECT without a path to connect matchers only', () => {
    const table = singleHost([to('rest', { prefix: '' }), to('connect', { connect_matcher: {} })]);
    expect(matched(table, requestHead('', { method: 'CONNECT' }))).toBe('connect');
    expect(matched(table, requestHead('/', { method: 'GET' }))).toBe('rest');
    const reversed = singleHost([to('connect', { connect_matcher: {} }), to('rest', { prefix: '/' })]);
    expect(matched(reversed, requestHead('/', { method: 'CONNECT' }))).toBe('connect');
    expect(matched(reversed, '/')).toBe('rest');
  });

  it('does not fall through to another virtual host', () => {
    const table = routeTable({
      virtual_hosts: [
        { name: 'shop', domains: ['shop.test'], routes: [to('shop', { prefix: '/shop' })] },
        { name: 'all', domains: ['*'], routes: [to('all', { prefix: '/' })] },
      ],
    });
    expect(matched(table, requestHead('/shop', { authority: 'SHOP.test' }))).toBe('shop');
    expect(matched(table, '/other')).toBeUndefined();
    expect(matched(table, requestHead('/other', { authority: 'x' }))).toBe('all');
  });

  it('takes the host from another header where told so', () => {
    const hosts = [
      { name: 'a', domains: ['a'], routes: [to('a', { prefix: '/' })] },
      { name: 'b', domains: ['b'], routes: [to('b', { prefix: '/' })] },
    ];
    const table = routeTable({ virtual_hosts: hosts, vhost_header: 'X-Host' });
    expect(matched(table, requestHead('/', { authority: 'a', headers: [['x-host', 'b']] }))).toBe('b');
    expect(matched(table, requestHead('/', { authority: 'a' }))).toBeUndefined();
  });

  it('ignores path parameters where told so', () => {
    const routes = [to('a', { path: '/a' })];
    expect(matched(singleHost(routes, { ignore_path_parameters_in_path_matching: true }), '/a;v=1?q')).toBe('a');
    expect(matched(singleHost(routes), '/a;v=1')).toBeUndefined();
  });
});

describe('weighted clusters', () => {
  const weighted = (more: object = {}, action: object = {}): object => ({
    match: { prefix: '/' },
    route: {
      weighted_clusters: {
        clusters: [
          { name: 'a', weight: 1 },
          { name: 'none', weight: 0 },
          { name: 'b', weight: 3 },
        ],
        ...more,
      },
      ...action,
    },
  });
  const pick = (table: RouteTable, request = requestHead('/')): string | undefined =>
    table.match(request, hashStream(request))?.clusterName;

  it('chooses by weight', () => {
    let draw = 0;
    const table = singleHost([weighted()], {}, { random: () => draw });
    for (const [value, cluster] of [
      [0, 'a'],
      [0.249, 'a'],
      [0.25, 'b'],
      [0.999, 'b'],
    ] as const) {
      draw = value;
      expect(pick(table)).toBe(cluster);
    }
  });

  it('chooses by the number in a header, by chance without one', () => {
    const table = singleHost([weighted({ header_name: 'X-Pick' })], {}, { random: () => 0 });
    const picked = (value: string): string | undefined =>
      pick(table, requestHead('/', { headers: [['x-pick', value]] }));
    expect(picked('4')).toBe('a');
    expect(picked('7')).toBe('b');
    expect(picked('18446744073709551615')).toBe('b');
    expect(picked('x')).toBe('a');
    expect(pick(table)).toBe('a');
  });

  it('chooses by the hash where told so', () => {
    const hashing = weighted({ use_hash_policy: true }, { hash_policy: [{ header: { header_name: 'x-user' } }] });
    const table = singleHost([hashing], {}, { random: () => 0 });
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 50; i++) {
      const request = requestHead('/', { headers: [['x-user', `u${i}`]] });
      const first = pick(table, request);
      expect(pick(table, request)).toBe(first);
      seen.add(first);
    }
    expect([...seen].sort()).toEqual(['a', 'b']);
  });
});

describe('compileRouteConfiguration', () => {
  it('reports every problem with its place', () => {
    const broken = {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            to('fine', { prefix: '/' }),
            to('a', { prefix: '/' }, { request_headers_to_remove: ['host'] }),
            { match: { prefix: '/' }, direct_response: { status: 200, body: { filename: '/nonexistent/file' } } },
          ],
        },
      ],
    };
    try {
      routeTable(broken);
      expect.unreachable();
    } catch (error) {
      const { problems } = error as RouteConfigError;
      expect(error).toBeInstanceOf(RouteConfigError);
      expect(problems.map((problem) => problem.path.join('.'))).toEqual([
        'virtual_hosts.0.routes.1',
        'virtual_hosts.0.routes.2',
      ]);
      expect(problems[0]?.message).toContain('host');
      expect(problems[1]?.message).toContain('/nonexistent/file');
    }
  });

  it('gives every entry the same shape', () => {
    const table = singleHost([
      to('a', { prefix: '/a' }),
      { match: { prefix: '/r' }, redirect: { host_redirect: 'x' } },
      { match: { prefix: '/d' }, direct_response: { status: 200 } },
      {
        match: { prefix: '/w' },
        route: {
          weighted_clusters: {
            clusters: [
              { name: 'a', weight: 1 },
              { name: 'b', weight: 1 },
            ],
          },
        },
      },
    ]);
    expect(table.entries.length).toBe(5);
    const shapes = new Set(table.entries.map((entry) => Object.keys(entry).join()));
    expect(shapes.size).toBe(1);
  });
});
