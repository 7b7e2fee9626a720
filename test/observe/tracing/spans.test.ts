import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CollectedSpan, type Collector, startHttpCollector } from '../../support/otlp.ts';
import {
  type Answer,
  type App,
  ask,
  echo,
  echoed,
  type Question,
  type Story,
  startApp,
  story,
} from '../../support/story.ts';

/** YAML of a connection manager that reports to the cluster `collector`. */
function otlpTracing(fields = ''): string {
  return `tracing:
  provider:
    name: envoy.tracers.opentelemetry
    typed_config:
      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
      service_name: shop
      http_service:
        http_uri: { uri: "http://collector.test/v1/traces", cluster: collector, timeout: 2s }
${fields}`;
}

function cluster(name: string, port: number): string {
  return `- name: ${name}
  load_assignment:
    cluster_name: ${name}
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

describe('spans of requests', () => {
  let app: App;
  let collector: Collector;
  beforeAll(async () => {
    app = await startApp((request, response) => {
      response.statusCode = Number(request.headers['x-answer'] ?? 200);
      echo()(request, response);
    });
    collector = await startHttpCollector();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await collector[Symbol.asyncDispose]();
  });

  const start = (tracing: string, routes?: string, listener?: string): Promise<Story> =>
    story({
      app: app.port,
      manager: otlpTracing(tracing),
      clusters: `${cluster('collector', collector.port)}\n${cluster('dead', 1)}`,
      ...(routes === undefined ? {} : { routes }),
      ...(listener === undefined ? {} : { listener }),
    });

  /** One request, and the spans that it left; the proxy's end flushes them. */
  async function trace(
    setUp: { tracing?: string; routes?: string; listener?: string },
    question: Question = {},
  ): Promise<{ answer: Answer; spans: CollectedSpan[] }> {
    collector.spans.length = 0;
    const proxy = await start(setUp.tracing ?? '', setUp.routes, setUp.listener);
    const answer = await ask(proxy.port, question);
    await proxy[Symbol.asyncDispose]();
    return { answer, spans: [...collector.spans] };
  }

  test('one span tells what was asked and what became of it', async () => {
    const { answer, spans } = await trace(
      {},
      { path: '/items?page=2', headers: { 'user-agent': 'curl', host: 'shop.test' } },
    );
    expect(spans).toHaveLength(1);
    const [span] = spans as [CollectedSpan];
    expect(span.name).toBe('ingress');
    expect(span.kind).toBe(2);
    expect(span.parentId).toBe('');
    expect(span.statusCode).toBe(0);
    expect(span.endNs).toBeGreaterThan(span.startNs);
    expect(span.resource).toMatchObject({ 'service.name': 'shop', 'telemetry.sdk.name': 'outrigger' });
    expect(span.tags).toEqual({
      node_id: '',
      zone: '',
      'guid:x-request-id': echoed(answer).headers['x-request-id'],
      'http.url': 'http://shop.test/items?page=2',
      'http.method': 'GET',
      downstream_cluster: '-',
      user_agent: 'curl',
      'http.protocol': 'HTTP/1.1',
      'peer.address': '127.0.0.1',
      request_size: '0',
      response_size: String(answer.body.length),
      component: 'proxy',
      upstream_cluster: 'app',
      'upstream_cluster.name': 'app',
      'http.status_code': '200',
      response_flags: '-',
    });
    expect(echoed(answer).headers.traceparent).toBe(`00-${span.traceId}-${span.spanId}-01`);
    expect(echoed(answer).headers).not.toHaveProperty('tracestate');
  });

  test('a trace that the client began goes on, with its state', async () => {
    const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'a=b,c=d' };
    const { answer, spans } = await trace({}, { headers });
    const [span] = spans as [CollectedSpan];
    expect(span).toMatchObject({ traceId: TRACE, parentId: PARENT, traceState: 'a=b,c=d', flags: 0x301 });
    expect(echoed(answer).headers.traceparent).toBe(`00-${TRACE}-${span.spanId}-01`);
    expect(echoed(answer).headers.tracestate).toBe('a=b,c=d');
  });

  test('what the client decided against is not reported, and the next hop hears of it', async () => {
    const { answer, spans } = await trace({}, { headers: { traceparent: `00-${TRACE}-${PARENT}-00` } });
    expect(spans).toEqual([]);
    expect(echoed(answer).headers.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  });

  test('a malformed traceparent begins a new trace and is not passed on', async () => {
    const { answer, spans } = await trace({}, { headers: { traceparent: `00-${TRACE}-${PARENT}`, tracestate: 'a=b' } });
    const [span] = spans as [CollectedSpan];
    expect(span.traceId).not.toBe(TRACE);
    expect(span.parentId).toBe('');
    expect(echoed(answer).headers.traceparent).toBe(`00-${span.traceId}-${span.spanId}-01`);
    expect(echoed(answer).headers).not.toHaveProperty('tracestate');
  });

  test('a share of 0 traces nothing, and says so to the next hop', async () => {
    const { answer, spans } = await trace({ tracing: '  random_sampling: { value: 0 }' });
    expect(spans).toEqual([]);
    expect(echoed(answer).headers.traceparent).toMatch(/-00$/);
    expect(echoed(answer).headers['x-request-id']?.charAt(14)).toBe('4');
  });

  test('with spans of their own, tries are children of the request, and the upstream is told of the try', async () => {
    const { answer, spans } = await trace({ tracing: '  spawn_upstream_span: true' }, {});
    const server = spans.find((span) => span.kind === 2) as CollectedSpan;
    const client = spans.find((span) => span.kind === 3) as CollectedSpan;
    expect(spans).toHaveLength(2);
    expect(client).toMatchObject({ traceId: server.traceId, parentId: server.spanId, name: 'router app egress' });
    expect(client.tags).toEqual({
      'http.protocol': 'HTTP/1.1',
      upstream_address: `127.0.0.1:${app.port}`,
      'peer.address': `127.0.0.1:${app.port}`,
      component: 'proxy',
      upstream_cluster: 'app',
      'upstream_cluster.name': 'app',
      'http.status_code': '200',
      response_flags: '-',
    });
    expect(echoed(answer).headers.traceparent).toBe(`00-${client.traceId}-${client.spanId}-01`);
  });

  test('every try has its span', async () => {
    const { spans } = await trace(
      {
        tracing: '  spawn_upstream_span: true',
        routes: `- match: { prefix: / }
  route: { cluster: app, retry_policy: { retry_on: 5xx, num_retries: 1 } }`,
      },
      { headers: { 'x-answer': '503' } },
    );
    const [request] = spans.filter((span) => span.kind === 2) as [CollectedSpan];
    const tries = spans.filter((span) => span.kind === 3);
    expect(tries.map((span) => span.parentId)).toEqual([request.spanId, request.spanId]);
    expect(tries.map((span) => span.tags['retry.count'])).toEqual([undefined, '1']);
    expect(tries.map((span) => [span.tags['http.status_code'], span.tags.error, span.statusCode])).toEqual([
      ['503', 'true', 2],
      ['503', 'true', 2],
    ]);
    expect(request.tags).toMatchObject({ response_flags: 'URX', error: 'true' });
    expect(request.statusCode).toBe(2);
  });

  test('an upstream that is not there is an error of the try, with its reason', async () => {
    const { spans } = await trace({
      tracing: '  spawn_upstream_span: true',
      routes: '- match: { prefix: / }\n  route: { cluster: dead }',
    });
    const [request, attempt] = spans.sort((one, other) => one.kind - other.kind) as [CollectedSpan, CollectedSpan];
    expect(attempt.tags).toMatchObject({
      error: 'true',
      'error.reason': 'remote connection failure',
      'http.protocol': '-',
      'http.status_code': '0',
      response_flags: 'UF',
      upstream_address: '127.0.0.1:1',
    });
    expect(request.tags).toMatchObject({ 'http.status_code': '503', response_flags: 'UF', error: 'true' });
    expect([request.statusCode, attempt.statusCode]).toEqual([2, 0]);
  });

  test('the path of a span is cut', async () => {
    const { spans } = await trace(
      { tracing: '  max_path_tag_length: 6' },
      { path: '/items?page=2', headers: { host: 'a' } },
    );
    expect(spans[0]?.tags['http.url']).toBe('http://a/items');
  });

  test('a decorator names the span, and tells the other proxy the name', async () => {
    const routes = `- match: { prefix: / }
  route: { cluster: app }
  decorator: { operation: list-items }`;
    const ingress = await trace({ routes });
    expect(ingress.spans[0]?.name).toBe('list-items');
    expect(ingress.answer.headers['x-envoy-decorator-operation']).toBe('list-items');
    const egress = await trace({ routes, listener: 'traffic_direction: OUTBOUND' });
    expect(egress.spans[0]).toMatchObject({ name: 'list-items', kind: 3 });
    expect(echoed(egress.answer).headers['x-envoy-decorator-operation']).toBe('list-items');
    const named = await trace({ routes }, { headers: { 'x-envoy-decorator-operation': 'from-peer' } });
    expect(named.spans[0]?.name).toBe('from-peer');
    expect(named.answer.headers).not.toHaveProperty('x-envoy-decorator-operation');
    expect(echoed(named.answer).headers).not.toHaveProperty('x-envoy-decorator-operation');
  });

  test('custom tags come from text, environment, headers, metadata and formats; the route has the last word', async () => {
    process.env.OUTRIGGER_TAG_TEST = 'from-env';
    const { spans } = await trace(
      {
        tracing: `  custom_tags:
  - { tag: text, literal: { value: fixed } }
  - { tag: env, environment: { name: OUTRIGGER_TAG_TEST } }
  - { tag: no-env, environment: { name: OUTRIGGER_NO_SUCH, default_value: none } }
  - { tag: header, request_header: { name: X-Tenant } }
  - { tag: absent, request_header: { name: x-absent } }
  - { tag: meta, metadata: { kind: { route: {} }, metadata_key: { key: team, path: [{ key: owner }, { key: name }] } } }
  - { tag: format, value: "%REQ(:METHOD)% %RESPONSE_CODE%" }`,
        routes: `- match: { prefix: / }
  route: { cluster: app }
  metadata: { filter_metadata: { team: { owner: { name: ann } } } }
  tracing: { custom_tags: [{ tag: text, literal: { value: of-route } }] }`,
      },
      { headers: { 'x-tenant': 'a"b' } },
    );
    delete process.env.OUTRIGGER_TAG_TEST;
    const tags = spans[0]?.tags ?? {};
    expect(tags).toMatchObject({
      text: 'of-route',
      env: 'from-env',
      'no-env': 'none',
      header: 'a"b',
      meta: 'ann',
      format: 'GET 200',
    });
    expect(tags).not.toHaveProperty('absent');
  });

  test('verbose spans list when bytes passed', async () => {
    const { spans } = await trace({ tracing: '  verbose: true' });
    expect(spans[0]?.events.map((event) => event.name)).toEqual([
      'last_downstream_rx_byte_received',
      'first_upstream_tx_byte_sent',
      'last_upstream_tx_byte_sent',
      'first_upstream_rx_byte_received',
      'last_upstream_rx_byte_received',
      'first_downstream_tx_byte_sent',
      'last_downstream_tx_byte_sent',
    ]);
  });
});
