import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, type TestContext } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { type CollectedSpan, type Collector, startGrpcCollector, startHttpCollector } from '../support/otlp.ts';
import { type ProxyName, ProxyProcess } from '../support/proxy-process.ts';
import { type Answer, ask, type Question, startApp } from '../support/story.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const GRANDPARENT = '0020000000000001';
/** Ids that each proxy makes up stand for their first appearance: `<1>`, `<2>`… */
const RANDOM_ID = /[0-9a-f]{32}|[0-9a-f]{16}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

interface Case extends Question {
  readonly listener: string;
}

const REQUESTS: readonly Case[] = [
  { listener: 'ingress', path: '/items?page=2', headers: { 'user-agent': 'curl', 'x-client-trace-id': 'mine' } },
  { listener: 'ingress', headers: { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'a=b,c=d' } },
  { listener: 'ingress', headers: { traceparent: `00-${TRACE}-${PARENT}-00`, tracestate: 'a=b' } },
  { listener: 'ingress', path: '/decorated' },
  { listener: 'ingress', path: '/decorated', headers: { 'x-envoy-decorator-operation': 'from-peer' } },
  { listener: 'ingress', path: '/silent' },
  { listener: 'ingress', path: '/unsampled' },
  { listener: 'ingress', path: '/unsampled', headers: { 'x-envoy-force-trace': 'true' } },
  { listener: 'ingress', path: '/unsampled', headers: { 'x-client-trace-id': 'mine' } },
  { listener: 'ingress', headers: { 'x-request-id': '87654321-1111-4111-8111-111111111111' } },
  { listener: 'ingress', path: '/unsampled', headers: { 'x-request-id': '87654321-1111-9111-8111-111111111111' } },
  { listener: 'ingress', path: '/unsampled', headers: { 'x-request-id': '87654321-1111-a111-8111-111111111111' } },
  { listener: 'ingress', path: '/none-overall', headers: { 'x-request-id': '87654321-1111-b111-8111-111111111111' } },
  { listener: 'ingress', headers: { 'x-request-id': 'no-uuid' } },
  { listener: 'ingress', headers: { 'x-request-id': 'abcdef01-and-something-else' } },
  { listener: 'ingress', path: '/direct' },
  { listener: 'ingress', path: '/nowhere' },
  { listener: 'ingress', headers: { 'x-answer': '404' } },
  { listener: 'ingress', method: 'POST', body: 'hello', headers: { 'x-answer': '500' } },
  { listener: 'egress', headers: { host: 'shop.test' } },
  { listener: 'egress', path: '/decorated' },
  { listener: 'egress', path: '/renamed' },
  { listener: 'egress', headers: { 'x-answer': '404' } },
  { listener: 'egress', method: 'POST', headers: { 'content-type': 'application/grpc', 'grpc-timeout': '5S' } },
  ...Array.from({ length: 18 }, (_, code) => ({
    listener: code % 2 === 0 ? 'tries' : 'egress',
    method: 'POST',
    headers: { 'content-type': 'application/grpc', 'x-grpc': String(code) },
  })),
  { listener: 'tries' },
  { listener: 'tries', headers: { traceparent: `00-${TRACE}-${PARENT}-01` } },
  { listener: 'tries', headers: { traceparent: `00-${TRACE}-${PARENT}-00` } },
  { listener: 'tries', path: '/nowhere' },
  { listener: 'tries', path: '/retried', headers: { 'x-answer': '503' } },
  { listener: 'tries', path: '/tagged', headers: { 'x-tenant': 'blue' } },
  { listener: 'named', path: '/decorated', headers: { 'x-name': 'given' } },
  { listener: 'silent', headers: { traceparent: `00-${TRACE}-${PARENT}-01` } },
];

const B3_REQUESTS: readonly Case[] = [
  { listener: 'ingress' },
  {
    listener: 'ingress',
    headers: { 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT, 'x-b3-sampled': '1', 'x-b3-parentspanid': GRANDPARENT },
  },
  { listener: 'ingress', headers: { 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT } },
  { listener: 'ingress', headers: { 'x-b3-traceid': TRACE.slice(16), 'x-b3-spanid': PARENT, 'x-b3-sampled': '0' } },
  { listener: 'ingress', headers: { 'x-b3-sampled': '0' } },
  { listener: 'ingress', headers: { 'x-b3-flags': '1' } },
  { listener: 'ingress', headers: { b3: `${TRACE}-${PARENT}-1-${GRANDPARENT}` } },
  { listener: 'ingress', headers: { b3: `${TRACE}-${PARENT}` } },
  { listener: 'ingress', headers: { b3: `${TRACE}-${PARENT}-d` } },
  { listener: 'ingress', headers: { b3: `${TRACE}-${PARENT}-0` } },
  { listener: 'ingress', headers: { b3: '0' } },
  { listener: 'ingress', path: '/decorated' },
  { listener: 'egress', headers: { b3: `${TRACE}-${PARENT}-1` } },
  { listener: 'egress', headers: { 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT, 'x-b3-sampled': '1' } },
  { listener: 'tries', headers: { b3: `${TRACE}-${PARENT}-1` } },
  { listener: 'tries', path: '/retried', headers: { 'x-answer': '503' } },
  { listener: 'tries', path: '/nowhere' },
];

it('the spans of Envoy and Outrigger say the same, and so do the headers that leave', async (context) => {
  await compare(context, REQUESTS, startHttpCollector, (port) => ({
    cluster: cluster('collector', port),
    provider: otlp(`http_service: { http_uri: { uri: "http://c.test/v1/traces", cluster: collector, timeout: 2s } }`),
  }));
}, 60_000);

it('the same over gRPC', async (context) => {
  await compare(context, REQUESTS.slice(0, 6), startGrpcCollector, (port) => ({
    cluster: cluster('collector', port, HTTP2),
    provider: otlp(`grpc_service: { envoy_grpc: { cluster_name: collector }, timeout: 2s }`),
  }));
}, 60_000);

for (const [what, fields] of [
  ['', ''],
  [' with long ids and spans of their own', ', trace_id_128bit: true, shared_span_context: false'],
] as const) {
  it(`spans for Zipkin and B3 headers${what} say the same`, async (context) => {
    await compare(context, B3_REQUESTS, startZipkinCollector, (port) => ({
      cluster: cluster('collector', port),
      provider: `{ name: envoy.tracers.zipkin, typed_config: { "@type": type.googleapis.com/envoy.config.trace.v3.ZipkinConfig, collector_cluster: collector, collector_endpoint: /api/v2/spans, collector_endpoint_version: HTTP_JSON${fields} } }`,
    }));
  }, 60_000);
}

const HTTP2 = `
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }`;

function otlp(service: string): string {
  return `{ name: envoy.tracers.opentelemetry, typed_config: { "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig, service_name: shop, ${service} } }`;
}

/** What one request left: the headers that app and client saw, and the spans that the collector got. */
interface Outcome {
  readonly status: number;
  readonly forwarded: Record<string, unknown>;
  readonly returned: string;
  readonly spans: readonly unknown[];
}

async function compare(
  context: TestContext,
  requests: readonly Case[],
  startCollector: () => Promise<Collector>,
  tracing: (port: number) => { cluster: string; provider: string },
): Promise<void> {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const [envoy, outrigger] = await Promise.all(
    (['envoy', 'outrigger'] as const).map((name) => run(name, requests, startCollector, tracing)),
  );
  for (const [i, request] of requests.entries()) {
    expect.soft(outrigger?.[i], JSON.stringify(request)).toEqual(envoy?.[i]);
  }
  expect(envoy?.flatMap(({ spans }) => spans).length).toBeGreaterThan(requests.length / 2);
}

async function run(
  name: ProxyName,
  requests: readonly Case[],
  startCollector: () => Promise<Collector>,
  tracing: (port: number) => { cluster: string; provider: string },
): Promise<Outcome[]> {
  let seen: Record<string, unknown> = {};
  await using app = await startApp((request, response) => {
    seen = request.headers;
    request.resume();
    if (request.headers['x-grpc'] !== undefined) {
      response.setHeader('content-type', 'application/grpc');
      response.setHeader('grpc-status', request.headers['x-grpc']);
      response.setHeader('grpc-message', 'as asked for');
    }
    if (request.url?.startsWith('/renamed')) response.setHeader('x-envoy-decorator-operation', 'by-server');
    response.writeHead(Number(request.headers['x-answer'] ?? 200)).end('hello');
  });
  await using collector = await startCollector();
  const text = configuration(app.port, tracing(collector.port));
  await using proxy = await ProxyProcess.start(name, name === 'envoy' ? FLUSH_AT_ONCE + text : text);
  const seenByCase: Seen[] = [];
  for (const [i, { listener, path = '/', ...question }] of requests.entries()) {
    seen = {};
    const marked = `${path}${path.includes('?') ? '&' : '?'}case=${i}`;
    const answer = await ask(proxy.ports.get(listener) as number, { ...question, path: marked });
    seenByCase.push({ answer, forwarded: seen });
  }
  await settled(collector);
  return seenByCase.map((one, i) => outcomeOf(one, spansOfCase(collector.spans, i), app.port));
}

/** What client and app saw. */
interface Seen {
  readonly answer: Answer;
  readonly forwarded: Record<string, unknown>;
}

/** The span of a request, which has its URL, and those of its tries. */
function spansOfCase(spans: readonly CollectedSpan[], index: number): CollectedSpan[] {
  const own = spans.filter((span) => new RegExp(`case=${index}$`).test(span.tags['http.url'] ?? ''));
  const tries = spans.filter(
    (span) =>
      span.tags['http.url'] === undefined &&
      own.some(({ traceId, spanId }) => span.traceId === traceId && span.parentId === spanId),
  );
  return [...own, ...tries];
}

const FLUSH_AT_ONCE = `layered_runtime:
  layers:
  - name: static
    static_layer:
      tracing.opentelemetry.min_flush_spans: 1
      tracing.opentelemetry.flush_interval_ms: 100
      tracing.zipkin.min_flush_spans: 1
      tracing.zipkin.flush_interval_ms: 100
`;

function outcomeOf({ answer, forwarded: seen }: Seen, collected: CollectedSpan[], appPort: number): Outcome {
  const names = new Map<string, string>();
  const anonymous = (text: string): string =>
    text.replaceAll(RANDOM_ID, (id) => {
      if ([TRACE, PARENT, GRANDPARENT].includes(id) || id.startsWith('87654321')) return id;
      if (!names.has(id)) names.set(id, `<${names.size + 1}>`);
      return names.get(id) as string;
    });
  const forwarded = Object.fromEntries(
    Object.entries(seen)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .filter(([name, value]) => /^(trace|b3|x-b3|x-envoy-dec|x-request-id|x-client)/.test(name) && value !== '')
      .map(([name, value]) => [name, anonymous(String(value))]),
  );
  const spans = collected
    .sort((a, b) => a.kind - b.kind || Number(a.startNs - b.startNs))
    .map((span) => JSON.parse(anonymous(JSON.stringify(comparable(span, appPort)))));
  return { status: answer.status, forwarded, returned: String(answer.headers['x-envoy-decorator-operation']), spans };
}

/** Spans come a second after their request at the latest. */
async function settled(collector: Collector): Promise<void> {
  const begin = Date.now();
  for (let count = -1; count !== collector.spans.length || Date.now() - begin < 3000; ) {
    count = collector.spans.length;
    await new Promise((done) => setTimeout(done, 500));
  }
}

/** Of a span what both must say alike: all but times and who reports. */
function comparable(span: CollectedSpan, appPort: number): unknown {
  const { traceId, spanId, parentId, traceState, kind, statusCode, flags, events } = span;
  const ports = (text: string): string =>
    text.replaceAll(`:${appPort}`, ':app').replaceAll(/127\.0\.0\.1:\d{4,}/g, '127.0.0.1:port');
  const tags = Object.fromEntries(Object.entries(span.tags).map(([name, value]) => [name, ports(value)]));
  const eventNames = events.map((event) => event.name);
  const name = ports(span.name);
  return { traceId, spanId, parentId, traceState, kind, name, statusCode, flags, tags, events: eventNames };
}

/** A Zipkin collector; its spans in the shape of the others. */
async function startZipkinCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      for (const span of JSON.parse(Buffer.concat(chunks).toString()) as ZipkinSpan[]) spans.push(ofZipkin(span));
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as AddressInfo).port,
    spans,
    requests: [],
    answer: 202,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

interface ZipkinSpan {
  traceId: string;
  id: string;
  parentId?: string;
  kind: string;
  name: string;
  timestamp: number;
  duration: number;
  shared?: boolean;
  localEndpoint: { serviceName: string };
  annotations: { value: string }[];
  tags: Record<string, string>;
}

function ofZipkin(span: ZipkinSpan): CollectedSpan {
  return {
    traceId: span.traceId,
    spanId: span.id,
    parentId: span.parentId ?? '',
    traceState: '',
    name: span.name,
    kind: span.kind === 'SERVER' ? 2 : 3,
    startNs: BigInt(span.timestamp) * 1000n,
    endNs: BigInt(span.timestamp + span.duration) * 1000n,
    tags: { ...span.tags, service: span.localEndpoint.serviceName, shared: String(span.shared) },
    events: span.annotations.map(({ value }) => ({ name: value, atNs: 0n })),
    statusCode: 0,
    flags: 0,
    resource: {},
    scope: '',
  };
}

function cluster(name: string, port: number, fields = ''): string {
  return `
  - name: ${name}
    connect_timeout: 1s${fields}
    load_assignment:
      cluster_name: ${name}
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;
}

function listener(name: string, direction: string, tracing: string, provider: string): string {
  return `
  - name: ${name}
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    traffic_direction: ${direction}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          internal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }
          use_remote_address: true
          tracing:
            provider: ${provider}
${tracing}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - { match: { prefix: /decorated }, route: { cluster: app }, decorator: { operation: by-route } }
              - { match: { prefix: /silent }, route: { cluster: app }, decorator: { operation: quiet, propagate: false } }
              - { match: { prefix: /direct }, direct_response: { status: 500 } }
              - { match: { prefix: /nowhere }, route: { cluster: dead } }
              - match: { prefix: /unsampled }
                route: { cluster: app }
                tracing: { random_sampling: { numerator: 0 } }
              - match: { prefix: /none-overall }
                route: { cluster: app }
                tracing: { overall_sampling: { numerator: 0 } }
              - match: { prefix: /retried }
                route: { cluster: app, retry_policy: { retry_on: 5xx, num_retries: 1 } }
              - match: { prefix: /tagged }
                route: { cluster: app }
                metadata: { filter_metadata: { team: { owner: { name: ann, size: 3, ok: true }, lone: { a: [1, x] } } } }
                tracing:
                  custom_tags:
                  - { tag: both, literal: { value: route } }
                  - { tag: own, request_header: { name: x-absent, default_value: nobody } }
              - { match: { prefix: / }, route: { cluster: app } }
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;
}

const TAGS = `            spawn_upstream_span: true
            verbose: true
            custom_tags:
            - { tag: both, literal: { value: manager } }
            - { tag: tenant, request_header: { name: X-Tenant } }
            - { tag: env, environment: { name: OUTRIGGER_NO_SUCH_VARIABLE } }
            - { tag: env-or, environment: { name: OUTRIGGER_NO_SUCH_VARIABLE, default_value: none } }
            - { tag: name, metadata: { kind: { route: {} }, metadata_key: { key: team, path: [{ key: owner }, { key: name }] } } }
            - { tag: size, metadata: { kind: { route: {} }, metadata_key: { key: team, path: [{ key: owner }, { key: size }] } } }
            - { tag: ok, metadata: { kind: { route: {} }, metadata_key: { key: team, path: [{ key: owner }, { key: ok }] } } }
            - { tag: all, metadata: { kind: { route: {} }, metadata_key: { key: team, path: [{ key: lone }] } } }
            - { tag: none, metadata: { kind: { request: {} }, metadata_key: { key: a, path: [{ key: b }] }, default_value: d } }
            - { tag: format, value: "%REQ(:METHOD)% %RESPONSE_CODE% %REQ(x-absent)%" }`;

function configuration(app: number, { cluster: collector, provider }: { cluster: string; provider: string }): string {
  return `node: { id: node-1, cluster: mesh, locality: { zone: here } }
static_resources:
  listeners:${listener('ingress', 'INBOUND', '', provider)}${listener('egress', 'OUTBOUND', '', provider)}${listener(
    'tries',
    'INBOUND',
    TAGS,
    provider,
  )}${listener(
    'named',
    'INBOUND',
    '            operation: "op %REQ(x-name)%"\n            upstream_operation: "up %REQ(x-name)%"\n            spawn_upstream_span: true',
    provider,
  )}${listener('silent', 'INBOUND', '            no_context_propagation: true', provider)}
  clusters:${cluster('app', app)}${cluster('dead', 1)}${collector}
`;
}
