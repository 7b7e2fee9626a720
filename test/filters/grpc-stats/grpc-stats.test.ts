import { describe, expect, test } from 'vitest';
import { grpcStats } from '../../../filters/grpc-stats/grpc-stats.ts';
import { HeaderMap } from '../../../src/http/headers.ts';
import { HttpFilterHarness, readConfig, responseHead } from '../../support/filter-harness.ts';
import { ask, readAll, startApp, story } from '../../support/story.ts';

const GRPC = 'application/grpc';
const CALL = { ':path': '/a.B/C', 'content-type': GRPC };
const TO_APP = { route: { clusterName: 'app' } };
const MESSAGE = Buffer.from('\0\0\0\0\u0003abc', 'latin1');

function trailers(status: string): HeaderMap {
  const map = new HeaderMap();
  map.add('grpc-status', status);
  return map;
}

/** A call of two messages that is answered with one. */
function call(filter: HttpFilterHarness, path: string, status: string): void {
  const { stream } = filter.request({ ...CALL, ':path': path }, TO_APP);
  filter.hooks.onRequestBody?.(Buffer.concat([MESSAGE, MESSAGE]), true, stream);
  filter.response(stream, responseHead(200, { 'content-type': GRPC }));
  filter.hooks.onResponseBody?.(MESSAGE, true, stream);
  filter.hooks.onResponseTrailers?.(trailers(status), stream);
}

const names = (filter: HttpFilterHarness) => [...filter.stats.counters.keys()].sort();

describe('figures of calls', () => {
  test('by method', () => {
    const filter = new HttpFilterHarness(grpcStats, { stats_for_all_methods: true });
    call(filter, '/a.B/C', '0');
    call(filter, '/a.B/C', '14');
    call(filter, '/a.B/D', '0');
    const of = (name: string) => filter.stat(`cluster.app.grpc.a.B.${name}`);
    expect([of('C.total'), of('C.success'), of('C.failure'), of('C.0'), of('C.14')]).toEqual([2, 1, 1, 1, 1]);
    expect([of('C.request_message_count'), of('C.response_message_count')]).toEqual([4, 2]);
    expect([of('D.total'), of('D.failure')]).toEqual([1, undefined]);
  });

  test('of all methods together, unless asked otherwise', () => {
    const filter = new HttpFilterHarness(grpcStats, {});
    call(filter, '/a.B/C', '0');
    call(filter, '/a.B/D', '5');
    expect(filter.stat('cluster.app.grpc.total')).toBe(2);
    expect(names(filter).every((name) => /^cluster\.app\.grpc\.\w+$/.test(name))).toBe(true);
  });

  test('of the methods that are listed, the others together', () => {
    const services = [{ name: 'a.B', method_names: ['C'] }];
    const filter = new HttpFilterHarness(grpcStats, { individual_method_stats_allowlist: { services } });
    call(filter, '/a.B/C', '0');
    call(filter, '/a.B/D', '0');
    call(filter, '/x.B/C', '0');
    expect(filter.stat('cluster.app.grpc.a.B.C.total')).toBe(1);
    expect(filter.stat('cluster.app.grpc.total')).toBe(2);
  });

  test('without dots in the name of the service', () => {
    const config = { stats_for_all_methods: true, replace_dots_in_grpc_service_name: true };
    const filter = new HttpFilterHarness(grpcStats, config);
    call(filter, '/a.b.C/D.e', '0');
    expect(filter.stat('cluster.app.grpc.a_b_C.D.e.total')).toBe(1);
  });

  test('a call that ends with its head', () => {
    const filter = new HttpFilterHarness(grpcStats, {});
    const { stream } = filter.request(CALL, TO_APP);
    filter.response(stream, responseHead(200, { 'content-type': GRPC, 'grpc-status': '7' }));
    expect([filter.stat('cluster.app.grpc.7'), filter.stat('cluster.app.grpc.failure')]).toEqual([1, 1]);
  });

  test('statuses that gRPC does not know are one figure, whatever an upstream makes up', () => {
    const filter = new HttpFilterHarness(grpcStats, {});
    for (const status of ['17', '99', 'x', '1.5']) call(filter, '/a.B/C', status);
    expect([filter.stat('cluster.app.grpc.invalid'), filter.stat('cluster.app.grpc.failure')]).toEqual([4, 4]);
  });

  test('methods that clients make up are counted together from a certain number on', () => {
    const filter = new HttpFilterHarness(grpcStats, { stats_for_all_methods: true });
    for (let i = 0; i < 5000; i++) call(filter, `/a.B/made-up-${i}`, '0');
    const methods = new Set(names(filter).map((name) => /made-up-\d+/.exec(name)?.[0]));
    expect(methods.size).toBeLessThanOrEqual(4097);
    expect(filter.stat('cluster.app.grpc.total')).toBeGreaterThan(900);
  });

  test.each([
    ['no gRPC', { ':path': '/a.B/C', 'content-type': 'application/grpc-web' }, TO_APP],
    ['no method', { ':path': '/a', 'content-type': GRPC }, TO_APP],
    ['no cluster', CALL, {}],
  ])('none for what is no call: %s', (_, head, facts) => {
    const filter = new HttpFilterHarness(grpcStats, { stats_for_all_methods: true });
    const { stream } = filter.request(head, facts);
    filter.hooks.onRequestBody?.(MESSAGE, true, stream);
    filter.response(stream, responseHead(200, { 'content-type': GRPC, 'grpc-status': '0' }));
    expect(names(filter)).toEqual([]);
  });

  test('the number of messages is filter state, as it is when somebody asks', () => {
    const filter = new HttpFilterHarness(grpcStats, { emit_filter_state: true });
    const { stream } = filter.request(CALL, TO_APP);
    expect(stream.getFilterState('envoy.filters.http.grpc_stats')).toBeUndefined();
    filter.hooks.onRequestBody?.(MESSAGE, false, stream);
    const state = stream.getFilterState('envoy.filters.http.grpc_stats');
    expect(JSON.stringify(state)).toBe('{"requestMessageCount":"1"}');
    filter.hooks.onRequestBody?.(MESSAGE, true, stream);
    expect([JSON.stringify(state), String(state)]).toEqual(['{"requestMessageCount":"2"}', '2,0']);
  });
});

test('methods are listed or all, not both', () => {
  const services = [{ name: 'a', method_names: ['b'] }];
  expect(() =>
    readConfig(grpcStats.config as never, {
      stats_for_all_methods: true,
      individual_method_stats_allowlist: { services },
    }),
  ).toThrow();
});

test('a call through the proxy', async () => {
  await using app = await startApp((request, response) => {
    void readAll(request).then(() => {
      response.writeHead(200, { 'content-type': GRPC, trailer: 'grpc-status' });
      response.write(MESSAGE);
      response.addTrailers({ 'grpc-status': '0' });
      response.end();
    });
  });
  const filter = `- name: envoy.filters.http.grpc_stats
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig
    stats_for_all_methods: true
    enable_upstream_stats: true`;
  const trailersOn = 'http_protocol_options: { enable_trailers: true }';
  await using proxy = await story({ app: app.port, filters: [filter], manager: trailersOn, cluster: trailersOn });
  const headers = { 'content-type': GRPC, te: 'trailers' };
  const answer = await ask(proxy.port, { method: 'POST', path: '/a.B/C', headers, body: MESSAGE });
  expect([answer.body, answer.trailers]).toEqual([MESSAGE.toString('latin1'), { 'grpc-status': '0' }]);
  const of = (name: string) => proxy.stat(`cluster.app.grpc.a.B.C.${name}`);
  const figures = ['total', 'success', '0', 'request_message_count', 'response_message_count'];
  expect(figures.map(of)).toEqual([1, 1, 1, 1, 1]);
  const { runtime } = proxy.proxy as unknown as { runtime: { stats: { histograms: Map<string, { count: number }> } } };
  expect(runtime.stats.histograms.get('cluster.app.grpc.a.B.C.upstream_rq_time')?.count).toBe(1);
});
