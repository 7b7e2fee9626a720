import { describe, expect, it } from 'vitest';
import type { RequestHead } from '../../../src/http/message.ts';
import { ResponseHead } from '../../../src/http/message.ts';
import type { RouteEntry, RouteTable } from '../../../src/http/route/index.ts';
import { hashStream, requestHead, singleHost } from './route-fixture.ts';

function entryFor(table: RouteTable, request: RequestHead): RouteEntry {
  const entry = table.match(request, hashStream(request));
  if (entry === undefined) throw new Error(`no route for ${request.path}`);
  return entry;
}

/** The request as it goes upstream: authority, path, and the headers that the route set. */
function upstream(table: RouteTable, path: string, headers: [string, string][] = []): string[] {
  const request = requestHead(path, { authority: 'shop.test:80', headers });
  entryFor(table, request).finalizeRequest(request, hashStream(request));
  return [request.authority, request.path, ...[...request].map(([name, value]) => `${name}: ${value}`)];
}

interface Answer {
  status: number;
  body: string;
  headers: Readonly<Record<string, string>> | undefined;
}

function answer(table: RouteTable, request: RequestHead): Answer | undefined {
  let given: Answer | undefined;
  const stream = Object.assign(hashStream(request), {
    sendLocalReply(status: number, body: string, _flag: number, _details: string, headers?: Record<string, string>) {
      given = { status, body, headers };
    },
  });
  expect(entryFor(table, request).answer(stream)).toBe(given !== undefined);
  return given;
}

const add = (key: string, value: string): object => ({ header: { key, value } });
const overwrite = (key: string, value: string): object => ({
  header: { key, value },
  append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
});

/** Every level adds a line and claims another; `on` says which side of the exchange. */
function level(name: string): object {
  return {
    request_headers_to_add: [add('x-line', name), overwrite('x-last', name)],
    response_headers_to_add: [add('x-line', name), overwrite('x-last', name)],
  };
}

function levels(mostSpecificWins: boolean): RouteTable {
  const clusters = [{ name: 'up', weight: 1, ...level('cluster') }];
  const route = { match: { prefix: '/' }, route: { weighted_clusters: { clusters } }, ...level('route') };
  return singleHost([], {
    ...level('config'),
    most_specific_header_mutations_wins: mostSpecificWins,
    virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route], ...level('host') }],
  });
}

describe('header mutations of the levels', () => {
  it.each([
    [false, ['cluster', 'route', 'host', 'config']],
    [true, ['config', 'host', 'route', 'cluster']],
  ])('run in order of specificity (most specific wins: %s)', (mostSpecificWins, order) => {
    const request = requestHead('/');
    const entry = entryFor(levels(mostSpecificWins), request);
    const response = new ResponseHead();
    entry.finalizeRequest(request, hashStream(request));
    entry.finalizeResponse(response, hashStream(request));
    for (const head of [request, response]) {
      expect(head.getAll('x-line')).toEqual(order);
      expect(head.get('x-last')).toBe(order.at(-1));
    }
  });

  it('see the path before it is rewritten', () => {
    const table = singleHost([
      {
        match: { prefix: '/a/' },
        route: { cluster: 'up', prefix_rewrite: '/' },
        request_headers_to_add: [add('x-path', '%REQ(:PATH)%')],
      },
    ]);
    expect(upstream(table, '/a/x?y')).toEqual([
      'shop.test:80',
      '/x?y',
      'x-path: /a/x?y',
      'x-envoy-original-path: /a/x?y',
    ]);
  });
});

// Authority, path and headers as Envoy 1.40 sends them upstream for the same route.
describe('rewrites', () => {
  const to = (match: object, action: object): object => ({ match, route: { cluster: 'up', ...action } });
  const table = singleHost([
    to({ path: '/whole' }, { prefix_rewrite: '/x/y', host_rewrite_literal: 'lit', append_x_forwarded_host: true }),
    to(
      { prefix: '/u/re' },
      {
        regex_rewrite: { pattern: { regex: '/(u|re)' }, substitution: '/<\\1>' },
        host_rewrite_path_regex: { pattern: { regex: '^/(.+)/.+$' }, substitution: '\\1' },
      },
    ),
    to({ prefix: '/hdr' }, { host_rewrite_header: 'x-new', append_x_forwarded_host: true }),
    to({ path_separated_prefix: '/sep' }, { prefix_rewrite: '/s' }),
    to({ prefix: '/CASE', case_sensitive: false }, { prefix_rewrite: '/c' }),
    to({ safe_regex: { regex: '/rx.*' } }, { prefix_rewrite: '/rw' }),
    to({ prefix: '/' }, {}),
  ]);
  const original = (path: string): string => `x-envoy-original-path: ${path}`;
  const from = 'x-envoy-original-host: shop.test:80';

  it('replace the whole path of an exact match, and the host', () => {
    const forwarded = 'x-forwarded-host: shop.test:80';
    expect(upstream(table, '/whole?z')).toEqual(['lit', '/x/y?z', forwarded, from, original('/whole?z')]);
  });

  it('substitute in path and host, never in the query', () => {
    expect(upstream(table, '/u/re/re?u=/u')).toEqual(['u/re', '/<u>/<re>/<re>?u=/u', from, original('/u/re/re?u=/u')]);
  });

  it('take the host from a header that is there', () => {
    expect(
      upstream(table, '/hdr', [
        ['x-new', 'nh'],
        ['x-forwarded-host', 'prev'],
      ]),
    ).toEqual(['nh', '/hdr', 'x-new: nh', 'x-forwarded-host: prev,shop.test:80', from]);
    expect(upstream(table, '/hdr')).toEqual(['shop.test:80', '/hdr']);
  });

  it('replace the matched part of a prefix, and everything a regular expression matched', () => {
    expect(upstream(table, '/sep/x?y')[1]).toBe('/s/x?y');
    expect(upstream(table, '/sep?y')[1]).toBe('/s?y');
    expect(upstream(table, '/case/x')[1]).toBe('/c/x');
    expect(upstream(table, '/rx/a?y')[1]).toBe('/rw?y');
  });

  it('leave a request without a rewrite alone, and no trace where x-envoy headers are suppressed', () => {
    expect(upstream(table, '/plain')).toEqual(['shop.test:80', '/plain']);
    const silent = singleHost(
      [to({ prefix: '/a' }, { prefix_rewrite: '/b', host_rewrite_literal: 'h' })],
      {},
      { suppressEnvoyHeaders: true },
    );
    expect(upstream(silent, '/a')).toEqual(['h', '/b']);
  });

  it("set the endpoint's host name where told so", () => {
    const auto = singleHost([to({ prefix: '/' }, { auto_host_rewrite: true })]);
    const request = requestHead('/');
    entryFor(auto, request).rewriteHost?.(request, 'backend.test');
    expect(request.authority).toBe('backend.test');
    expect(entryFor(table, request).rewriteHost).toBeUndefined();
  });
});

// Status and location as Envoy 1.40 answers for the same route.
describe('redirects', () => {
  const redirect = (match: object, action: object): object => ({ match, redirect: action });
  const table = singleHost([
    redirect({ prefix: '/https' }, { https_redirect: true }),
    redirect({ prefix: '/host' }, { host_redirect: 'other.test', port_redirect: 8080 }),
    redirect({ prefix: '/port' }, { port_redirect: 8443, scheme_redirect: 'https' }),
    redirect({ prefix: '/path' }, { path_redirect: '/new', response_code: 'FOUND' }),
    redirect({ prefix: '/with-query' }, { path_redirect: '/new?y' }),
    redirect({ prefix: '/strip-fixed' }, { path_redirect: '/new?y', strip_query: true }),
    redirect({ prefix: '/strip' }, { strip_query: true, host_redirect: 'h' }),
    redirect({ prefix: '/prefix/' }, { prefix_rewrite: '/p/', strip_query: true, response_code: 'PERMANENT_REDIRECT' }),
    redirect({ path: '/whole' }, { prefix_rewrite: '/w', response_code: 'SEE_OTHER' }),
    redirect({ safe_regex: { regex: '/rx.*' } }, { prefix_rewrite: '/rw', response_code: 'TEMPORARY_REDIRECT' }),
    redirect({ prefix: '/re' }, { regex_rewrite: { pattern: { regex: '/re/(\\d+)' }, substitution: '/n/\\1' } }),
    redirect({ prefix: '/' }, {}),
  ]);

  it.each([
    ['/https?q=1', 'shop.test:80', 301, 'https://shop.test/https?q=1'],
    ['/https', '[::1]:80', 301, 'https://[::1]/https'],
    ['/https', 'shop.test:8080', 301, 'https://shop.test:8080/https'],
    ['/host/x?q', 'shop.test:80', 301, 'http://other.test:8080/host/x?q'],
    ['/port', 'shop.test:99', 301, 'https://shop.test:8443/port'],
    ['/path?a=1', 'shop.test:80', 302, 'http://shop.test:80/new?a=1'],
    ['/path', 'shop.test:80', 302, 'http://shop.test:80/new'],
    ['/with-query?a=1', 'shop.test', 301, 'http://shop.test/new?y'],
    ['/strip-fixed?z', 'shop.test', 301, 'http://shop.test/new?y'],
    ['/strip?z', 'shop.test', 301, 'http://h/strip'],
    ['/prefix/x?z', 'shop.test', 308, 'http://shop.test/p/x'],
    ['/whole?z', 'shop.test', 303, 'http://shop.test/w?z'],
    ['/rx/b?z', 'shop.test', 307, 'http://shop.test/rw?z'],
    ['/re/12?z=/re/3', 'shop.test', 301, 'http://shop.test/n/12?z=/re/3'],
    ['/empty?x', 'shop.test:80', 301, 'http://shop.test:80/empty?x'],
  ])('%s at %s: %i to %s', (path, authority, status, location) => {
    const given = answer(table, requestHead(path, { authority }));
    expect(given).toMatchObject({ status, body: '', headers: { location } });
  });

  it('keep the port of a request that came over TLS already', () => {
    const request = requestHead('/https', { authority: 'shop.test:443', headers: [['x-forwarded-proto', 'https']] });
    expect(answer(table, request)?.headers?.location).toBe('https://shop.test:443/https');
  });
});

describe('direct responses', () => {
  it('answer with body and status of the configuration', () => {
    const table = singleHost([
      {
        match: { prefix: '/' },
        direct_response: { status: 418, body: { inline_string: 'zürich' } },
      },
    ]);
    expect(answer(table, requestHead('/'))).toEqual({
      status: 418,
      body: Buffer.from('zürich').toString('latin1'),
      headers: {},
    });
  });

  it('fill in a format', () => {
    const format = { text_format: '%REQ(:PATH)%: %LOCAL_REPLY_BODY%', content_type: 'text/x' };
    const response = { status: 200, body: { inline_string: 'hello' }, body_format: format };
    const table = singleHost([{ match: { prefix: '/' }, direct_response: response }]);
    expect(answer(table, requestHead('/p'))).toEqual({
      status: 200,
      body: '/p: hello',
      headers: { 'content-type': 'text/x' },
    });
  });

  it('name the request itself as the location of what was created', () => {
    const table = singleHost([{ match: { prefix: '/' }, direct_response: { status: 201 } }]);
    expect(answer(table, requestHead('/p?q'))?.headers).toEqual({ location: 'http://shop.test/p?q' });
  });

  it('refuse a body above the limit at load', () => {
    const routes = [
      { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'x'.repeat(11) } } },
    ];
    expect(() => singleHost(routes, { max_direct_response_body_size_bytes: 10 })).toThrow(/11 bytes/);
  });
});

describe('what the router reads', () => {
  const entry = (action: object, host: object = {}): RouteEntry => {
    const routes = [{ name: 'r', match: { prefix: '/' }, route: { cluster: 'up', ...action } }];
    return entryFor(
      singleHost([], { virtual_hosts: [{ name: 'all', domains: ['*'], routes, ...host }] }),
      requestHead('/'),
    );
  };

  it('has Envoy defaults', () => {
    expect(entry({})).toMatchObject({
      name: 'r',
      virtualHostName: 'all',
      clusterName: 'up',
      clusterNotFoundStatus: 503,
      timeoutMs: 15_000,
      idleTimeoutMs: undefined,
      maxStreamDurationMs: undefined,
      priority: 'DEFAULT',
      retry: undefined,
      hash: undefined,
      mirrors: [],
      includeAttemptCount: false,
      view: { name: 'r', virtualHostName: 'all', clusterName: 'up', metadata: {} },
    });
  });

  it('carries timeouts, priority, upgrades and status', () => {
    const made = entry({
      timeout: '0s',
      idle_timeout: '2s',
      max_stream_duration: {
        max_stream_duration: '3s',
        grpc_timeout_header_max: '0s',
        grpc_timeout_header_offset: '0.01s',
      },
      priority: 'HIGH',
      cluster_not_found_response_code: 'NOT_FOUND',
      upgrade_configs: [{ upgrade_type: 'WebSocket', enabled: false }, { upgrade_type: 'CONNECT' }],
    });
    expect(made).toMatchObject({
      timeoutMs: 0,
      idleTimeoutMs: 2000,
      maxStreamDurationMs: 3000,
      grpcTimeoutMaxMs: 0,
      grpcTimeoutOffsetMs: 10,
      priority: 'HIGH',
      clusterNotFoundStatus: 404,
    });
    expect([...made.upgrades]).toEqual([
      ['websocket', false],
      ['connect', true],
    ]);
  });

  it("takes the virtual host's retries and mirrors where the route has none", () => {
    const host = {
      retry_policy: { retry_on: '5xx', num_retries: 4 },
      request_mirror_policies: [{ cluster: 'shadow' }],
    };
    expect(entry({}, host).retry?.maxRetries).toBe(4);
    expect(entry({}, host).mirrors.map((mirror) => mirror.cluster)).toEqual(['shadow']);
    const own = { retry_policy: { retry_on: '5xx', num_retries: 2 }, request_mirror_policies: [{ cluster: 'own' }] };
    expect(entry(own, host).retry?.maxRetries).toBe(2);
    expect(entry(own, host).mirrors.map((mirror) => mirror.cluster)).toEqual(['own']);
  });

  it('reads the cluster from a header', () => {
    const routes = [{ match: { prefix: '/' }, route: { cluster_header: 'X-Cluster' } }];
    const request = requestHead('/', { headers: [['x-cluster', 'blue']] });
    expect(entryFor(singleHost(routes), request).pickCluster(request)).toBe('blue');
    expect(entryFor(singleHost(routes), request).pickCluster(requestHead('/'))).toBe('');
  });

  it('lists filter overrides from the least specific level to the most', () => {
    const filters = (name: string): object => ({
      typed_per_filter_config: {
        lua: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: name !== 'route' },
      },
    });
    const routes = [{ match: { prefix: '/' }, route: { cluster: 'up' }, ...filters('route') }];
    const table = singleHost([], { virtual_hosts: [{ name: 'all', domains: ['*'], routes }], ...filters('config') });
    const values = table.entries[0]?.perFilterConfigs.map((config) => config.lua?.value);
    expect(values).toMatchObject([{ disabled: true }, { disabled: false }]);
  });
});
