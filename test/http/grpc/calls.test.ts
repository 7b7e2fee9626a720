import { describe, expect, test } from 'vitest';
import type { HttpFilterHooks } from '../../../src/filter/index.ts';
import type { SidecarProxy } from '../../../src/sidecar-proxy.ts';
import { ask, readAll, type Story, startApp, story } from '../../support/story.ts';

const HEADERS = { 'content-type': 'application/grpc', te: 'trailers' };
const TRAILERS = 'http_protocol_options: { enable_trailers: true }';

/** An app that answers as the path says: `/<HTTP status>/<grpc-status>/<head or trailers>`. */
function startServer() {
  return startApp((request, response) => {
    void readAll(request).then(() => {
      const [, status, grpcStatus, place] = (request.url ?? '').split('/');
      const inHead = place === 'head' && grpcStatus !== '-';
      response.writeHead(Number(status), {
        'x-timeout': request.headers['grpc-timeout'] ?? '',
        ...(inHead && { 'grpc-status': grpcStatus, 'content-length': 0 }),
      });
      if (place === 'trailers') {
        response.write('message');
        if (grpcStatus !== '-') response.addTrailers({ 'grpc-status': grpcStatus as string });
      }
      response.end();
    });
  });
}

function call(proxy: Story, path: string, headers: Record<string, string> = {}) {
  return ask(proxy.port, { method: 'POST', path, headers: { ...HEADERS, ...headers } });
}

describe('what a call says of its endpoint', () => {
  test.each([
    ['/200/0/trailers', 'success'],
    ['/200/5/trailers', 'success'],
    ['/200/14/trailers', 'error'],
    ['/200/-/trailers', 'error'],
    ['/200/0/head', 'success'],
    ['/200/13/head', 'error'],
    ['/404/-/trailers', 'error'],
    ['/503/0/trailers', 'error'],
  ])('%s is a %s', async (path, outcome) => {
    await using app = await startServer();
    await using proxy = await story({ app: app.port, manager: TRAILERS, cluster: TRAILERS });
    await call(proxy, path);
    const cluster = (proxy.proxy as SidecarProxy).runtime.clusters.get('app');
    const { rqSuccess, rqError } = cluster?.endpoints[0]?.stats ?? {};
    expect({ rqSuccess, rqError }).toEqual(
      outcome === 'success' ? { rqSuccess: 1, rqError: 0 } : { rqSuccess: 0, rqError: 1 },
    );
  });
});

describe('how long a call may last', () => {
  const silent = () => startApp(() => {});
  const route = (duration: string) =>
    `- match: { prefix: / }\n  route: { cluster: app, timeout: 0.01s, max_stream_duration: ${duration} }`;

  test('its own deadline ends it, in the words of gRPC', async () => {
    await using app = await silent();
    await using proxy = await story({ app: app.port, routes: route('{ grpc_timeout_header_max: 0s }') });
    const answer = await call(proxy, '/', { 'grpc-timeout': '30m' });
    expect([answer.status, answer.headers['grpc-status'], answer.headers['grpc-message']]).toEqual([
      200,
      '4',
      'downstream duration timeout',
    ]);
    expect((await proxy.logged(1))[0]?.details).toBe('max_duration_timeout');
    expect(proxy.stat('http.test.downstream_rq_max_duration_reached')).toBe(1);
    expect(proxy.stat('cluster.app.upstream_rq_timeout')).toBe(0);
  });

  test('a deadline that is over ends it at once', async () => {
    await using app = await silent();
    await using proxy = await story({
      app: app.port,
      routes: route('{ grpc_timeout_header_max: 0s, grpc_timeout_header_offset: 1s }'),
    });
    const answer = await call(proxy, '/', { 'grpc-timeout': '1S' });
    expect(answer.headers['grpc-status']).toBe('4');
  });

  test.each([
    ['{ grpc_timeout_header_max: 5s }', '1H', '5000m'],
    ['{ grpc_timeout_header_max: 0s }', '1H', '3600000m'],
    ['{ grpc_timeout_header_max: 0s, grpc_timeout_header_offset: 1s }', '10S', '9000m'],
    ['{ max_stream_duration: 7s }', '1H', '7000m'],
    ['{ max_stream_duration: 7s }', '', '7000m'],
    ['{ max_stream_duration: 0s }', '1H', '1H'],
  ])('with %s the server hears of %s as %s', async (duration, asked, told) => {
    await using app = await startServer();
    await using proxy = await story({ app: app.port, routes: route(duration) });
    const answer = await call(proxy, '/200/0/head', asked === '' ? {} : { 'grpc-timeout': asked });
    expect(answer.headers['x-timeout']).toBe(told);
  });

  test('a limit of a route that a filter left holds no more', async () => {
    await using app = await startApp((_request, response) => {
      setTimeout(() => response.end(), 150);
    });
    const routes = `- match: { prefix: /, headers: [{ name: x-next, present_match: true }] }
  route: { cluster: app }
- match: { prefix: / }
  route: { cluster: app, max_stream_duration: { max_stream_duration: 0.03s } }`;
    const leave: HttpFilterHooks = {
      onRequest(request, stream) {
        request.set('x-next', '1');
        stream.clearRouteCache();
      },
    };
    await using proxy = await story({ app: app.port, routes, filters: [leave] });
    await call(proxy, '/');
    expect((await proxy.logged(1))[0]?.details).toBe('via_upstream');
  });
});
