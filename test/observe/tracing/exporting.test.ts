import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Collector, startGrpcCollector, startHttpCollector } from '../../support/otlp.ts';
import { type App, ask, eventually, type Story, startApp, story } from '../../support/story.ts';

const WAIT_MS = 15_000;
const HTTP2 = `  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { http2_protocol_options: {} }`;

const BY = {
  HTTP: {
    start: startHttpCollector,
    service: `http_service:
        http_uri: { uri: "http://collector.test:4318/v1/traces", cluster: collector, timeout: 2s }
        request_headers_to_add: [{ header: { key: Authorization, value: Bearer-x } }]`,
    cluster: '',
    unavailable: 503,
    refused: 400,
    ok: 200,
  },
  gRPC: {
    start: startGrpcCollector,
    service: `grpc_service:
        envoy_grpc: { cluster_name: collector }
        timeout: 2s
        initial_metadata: [{ key: Authorization, value: Bearer-x }]`,
    cluster: HTTP2,
    unavailable: 14,
    refused: 3,
    ok: 0,
  },
} as const;

describe.each(['HTTP', 'gRPC'] as const)('spans leave by OTLP over %s', (way) => {
  const { start, service, cluster, unavailable, refused, ok } = BY[way];
  let app: App;
  let collector: Collector;
  beforeAll(async () => {
    app = await startApp((_, response) => response.end('ok'));
    collector = await start();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await collector[Symbol.asyncDispose]();
  });

  const startProxy = (port = collector.port, fields = ''): Promise<Story> => {
    collector.spans.length = 0;
    collector.requests.length = 0;
    collector.answer = ok;
    return story({
      app: app.port,
      manager: `tracing:
  provider:
    name: envoy.tracers.opentelemetry
    typed_config:
      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
      ${service}
${fields}`,
      clusters: `- name: collector
  connect_timeout: 1s
${cluster}
  load_assignment:
    cluster_name: collector
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`,
    });
  };
  const requests = async (proxy: Story, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await ask(proxy.port, { path: `/${i}` });
  };

  test('in the background, together, with what the configuration adds', async () => {
    await using proxy = await startProxy();
    await requests(proxy, 5);
    await eventually('the collector has the spans', () => collector.spans.length === 5, WAIT_MS);
    expect(collector.requests.length).toBeLessThan(5);
    const [first] = collector.requests;
    expect(first?.path).toBe(
      way === 'HTTP' ? 'POST /v1/traces' : '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    );
    expect(first?.headers).toMatchObject({ authorization: 'Bearer-x' });
    if (way === 'HTTP')
      expect(first?.headers).toMatchObject({ host: 'collector.test:4318', 'content-type': 'application/x-protobuf' });
    await eventually('they are counted', () => proxy.stat('tracing.opentelemetry.spans_sent') === 5, WAIT_MS);
    expect(proxy.stat('tracing.opentelemetry.timer_flushed')).toBeGreaterThan(0);
    expect(proxy.stat('cluster.collector.upstream_rq_total')).toBe(collector.requests.length);
  });

  test('again, with the next ones, when the collector could not take them', async () => {
    await using proxy = await startProxy();
    collector.answer = unavailable;
    await requests(proxy, 2);
    await eventually('the collector has refused', () => collector.requests.length > 0, WAIT_MS);
    collector.answer = ok;
    await requests(proxy, 1);
    await eventually('the collector has all', () => collector.spans.length === 3, WAIT_MS);
    expect(proxy.stat('tracing.opentelemetry.spans_dropped')).toBe(0);
  });

  test('once, when the collector says that it will never take them', async () => {
    await using proxy = await startProxy();
    collector.answer = refused;
    await requests(proxy, 2);
    await eventually('they are dropped', () => proxy.stat('tracing.opentelemetry.spans_dropped') === 2, WAIT_MS);
    expect(collector.requests).toHaveLength(1);
  });

  test('within bounds: with nobody there, what is too much is dropped and requests are served', async () => {
    await using proxy = await startProxy(1, '      max_cache_size: 3');
    await requests(proxy, 10);
    expect(proxy.stat('tracing.opentelemetry.spans_dropped')).toBe(7);
    expect(proxy.stat('http.test.downstream_rq_2xx')).toBe(10);
  });

  test('at the end, what waits', async () => {
    {
      await using proxy = await startProxy();
      await requests(proxy, 3);
    }
    expect(collector.spans).toHaveLength(3);
  });
});

test('managers that report to the same place share one queue, and each counts its own decisions', async () => {
  await using app = await startApp((_, response) => response.end('ok'));
  await using collector = await startHttpCollector();
  const manager = (prefix: string): string => `
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${prefix}
          tracing: {}
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: app } }] }
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;
  const clusterOf = (name: string, port: number): string => `
  - name: ${name}
    load_assignment:
      cluster_name: ${name}
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;
  const { startTestProxy } = await import('../../support/proxy.ts');
  const proxy = await startTestProxy(`
tracing:
  http:
    name: envoy.tracers.opentelemetry
    typed_config:
      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
      http_service: { http_uri: { uri: "http://c/v1/traces", cluster: collector, timeout: 2s } }
static_resources:
  listeners:${['a', 'b']
    .map(
      (name) => `
  - name: ${name}
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:${manager(name)}`,
    )
    .join('')}
  clusters:${clusterOf('app', app.port)}${clusterOf('collector', collector.port)}
`);
  for (const { port } of proxy.proxy.listeners()) await ask(port);
  expect(proxy.stat('http.a.tracing.random_sampling')).toBe(1);
  expect(proxy.stat('http.b.tracing.random_sampling')).toBe(1);
  await proxy.proxy.close();
  expect(collector.spans).toHaveLength(2);
  expect(collector.requests).toHaveLength(1);
});

test('each thread sends its spans, the last ones at the end', async () => {
  await using app = await startApp((_, response) => response.end('ok'));
  await using collector = await startHttpCollector();
  const { httpConfig, startTestProxy } = await import('../../support/proxy.ts');
  const config = httpConfig(app.port, {
    manager: `tracing:
  provider:
    name: envoy.tracers.opentelemetry
    typed_config:
      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
      http_service: { http_uri: { uri: "http://c/v1/traces", cluster: collector, timeout: 2s } }`,
    clusters: `- name: collector
  load_assignment:
    cluster_name: collector
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${collector.port} } } }`,
  });
  const proxy = await startTestProxy(config, { concurrency: 2 });
  for (let i = 0; i < 20; i++) await ask(proxy.port, { path: `/${i}` });
  await proxy.proxy.close();
  const paths = collector.spans.map(({ tags }) => tags['http.url']?.split('/').at(-1));
  expect(paths.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
});
