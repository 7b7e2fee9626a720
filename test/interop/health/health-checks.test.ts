import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import {
  type CheckedServer,
  GrpcHealthServer,
  http2Server,
  httpServer,
  tcpServer,
} from '../../support/health-servers.ts';
import { httpConfig } from '../../support/proxy.ts';
import { type ProxyName, ProxyProcess, unusedPort } from '../../support/proxy-process.ts';

const stack = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), 'outrigger-health-checks-'));
let app: CheckedServer;
let app2: CheckedServer;
let talker: CheckedServer;
let grpcServer: GrpcHealthServer;
let deadPort: number;

beforeAll(async () => {
  const answer: Parameters<typeof httpServer>[0] = (request, response) => {
    const path = request.url ?? '';
    if (path === '/silent') return;
    if (path === '/reset') {
      request.socket.destroy();
      return;
    }
    if (path.includes('degraded')) response.setHeader('x-envoy-degraded', 'true');
    if (path.includes('fail')) response.setHeader('x-envoy-immediate-health-check-fail', 'true');
    if (path.includes('name')) response.setHeader('x-envoy-upstream-healthchecked-cluster', 'shop');
    response.statusCode = Number(/\d{3}/.exec(path)?.[0] ?? 200);
    response.end('all is well');
  };
  app = stack.use(await httpServer(answer));
  app2 = stack.use(await http2Server(answer as unknown as Parameters<typeof http2Server>[0]));
  talker = stack.use(
    await tcpServer((socket) => {
      socket.on('data', () => socket.write('one two three'));
    }),
  );
  grpcServer = stack.use(await new GrpcHealthServer().start());
  grpcServer.statuses.set('shop', 1).set('closed', 2);
  deadPort = await unusedPort();
});
afterAll(async () => {
  await stack.disposeAsync();
  rmSync(folder, { recursive: true });
});

interface Case {
  readonly name: string;
  readonly check: object;
  readonly port?: number;
  /** Of the endpoint. */
  readonly endpoint?: object;
  readonly member?: object;
  readonly cluster?: object;
}

const HTTP2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

const http = (path: string, more: object = {}): object => ({ http_health_check: { path, ...more } });
const grpc = (service_name: string, more: object = {}): object => ({ grpc_health_check: { service_name, ...more } });
const hex = (text: string): object => ({ text: Buffer.from(text).toString('hex') });
const status = (start: number, end: number): object[] => [{ start, end }];

function cases(): Case[] {
  return [
    { name: 'ok', check: http('/ok') },
    { name: 'status', check: http('/503') },
    { name: 'redirect', check: http('/301') },
    { name: 'expected', check: http('/301', { expected_statuses: status(200, 400) }) },
    { name: 'not-expected', check: http('/ok', { expected_statuses: status(201, 300) }) },
    { name: 'retriable', check: http('/503', { retriable_statuses: status(500, 600) }) },
    { name: 'refused', check: http('/ok'), port: deadPort },
    { name: 'reset', check: http('/reset') },
    { name: 'silent', check: http('/silent') },
    { name: 'degraded', check: http('/degraded') },
    { name: 'degraded-failed', check: http('/degraded-503') },
    { name: 'excluded', check: http('/fail-503') },
    { name: 'not-excluded', check: http('/fail-200') },
    { name: 'named', check: http('/name', { service_name_matcher: { prefix: 'sh' } }) },
    { name: 'misnamed', check: http('/name', { service_name_matcher: { exact: 'bakery' } }) },
    { name: 'nameless', check: http('/ok', { service_name_matcher: { exact: 'shop' } }) },
    { name: 'body', check: http('/ok', { receive: [hex('all'), hex('well')] }) },
    { name: 'wrong-body', check: http('/ok', { receive: [hex('well'), hex('all')] }) },
    { name: 'short-buffer', check: http('/ok', { receive: [hex('well')], response_buffer_size: 6 }) },
    { name: 'post', check: http('/ok', { method: 'POST', send: hex('ping') }) },
    { name: 'head', check: http('/ok', { method: 'HEAD' }) },
    {
      name: 'headers',
      check: http('/ok', {
        host: 'shop.test',
        request_headers_to_add: [
          { header: { key: 'x-check', value: '1' } },
          { header: { key: 'user-agent', value: 'us' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
        ],
        request_headers_to_remove: ['x-nothing'],
      }),
    },
    { name: 'own-host', check: http('/ok', { host: 'shop.test' }), endpoint: { hostname: 'one.test' } },
    { name: 'own-port', check: http('/ok'), port: deadPort, endpoint: { port_value: app.port } },
    {
      name: 'own-address',
      check: http('/ok'),
      port: deadPort,
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: app.port } } },
    },
    { name: 'disabled', check: http('/503'), endpoint: { disable_active_health_check: true } },
    { name: 'eds-unhealthy', check: http('/ok'), member: { health_status: 'UNHEALTHY' } },
    { name: 'eds-draining', check: http('/503'), member: { health_status: 'DRAINING' } },
    { name: 'eds-degraded', check: http('/ok'), member: { health_status: 'DEGRADED' } },
    {
      name: 'new-hosts',
      check: http('/503'),
      cluster: { common_lb_config: { ignore_new_hosts_until_first_hc: true } },
    },
    { name: 'http2', check: http('/ok', { codec_client_type: 'HTTP2' }), port: app2.port },
    {
      name: 'http2-post',
      check: http('/503', { codec_client_type: 'HTTP2', method: 'POST', send: hex('ping') }),
      port: app2.port,
    },
    { name: 'http2-to-http1', check: http('/ok', { codec_client_type: 'HTTP2' }) },
    { name: 'tcp', check: { tcp_health_check: {} } },
    { name: 'tcp-refused', check: { tcp_health_check: {} }, port: deadPort },
    {
      name: 'tcp-talk',
      check: { tcp_health_check: { send: hex('hi'), receive: [hex('one'), hex('three')] } },
      port: talker.port,
    },
    {
      name: 'tcp-wrong-talk',
      check: { tcp_health_check: { send: hex('hi'), receive: [hex('three'), hex('one')] } },
      port: talker.port,
    },
    { name: 'grpc', check: grpc(''), port: grpcServer.port, cluster: HTTP2 },
    {
      name: 'grpc-service',
      check: grpc('shop', { authority: 'shop.test', initial_metadata: [{ header: { key: 'x-meta', value: 'data' } }] }),
      port: grpcServer.port,
      cluster: HTTP2,
    },
    { name: 'grpc-closed', check: grpc('closed'), port: grpcServer.port, cluster: HTTP2 },
    { name: 'grpc-unknown', check: grpc('nobody'), port: grpcServer.port, cluster: HTTP2 },
    { name: 'grpc-none', check: grpc('shop'), port: app2.port, cluster: HTTP2 },
    { name: 'grpc-refused', check: grpc('shop'), port: deadPort, cluster: HTTP2 },
  ];
}

const THRESHOLDS = { timeout: '1s', interval: '60s', unhealthy_threshold: 2, healthy_threshold: 2 };

function clusterOf({ name, check, port = app.port, endpoint, member, cluster }: Case): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  const lb_endpoints = [
    { endpoint: { address, ...(endpoint === undefined ? {} : { health_check_config: endpoint }) }, ...member },
  ];
  return {
    name,
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints }] },
    health_checks: [{ ...THRESHOLDS, ...check }],
    ...cluster,
  };
}

const STATS = [
  ...[
    'attempt',
    'success',
    'failure',
    'passive_failure',
    'network_failure',
    'verify_cluster',
    'healthy',
    'degraded',
  ].map((name) => `health_check.${name}`),
  ...['total', 'healthy', 'degraded', 'excluded'].map((name) => `membership_${name}`),
  'upstream_cx_total',
  'upstream_rq_total',
];

interface Outcome {
  readonly facts: Record<string, unknown>;
  readonly requests: string[];
}

/** What both proxies make of the first check of each cluster. */
async function outcomeOf(name: ProxyName): Promise<Outcome> {
  const all = cases();
  app.seen.length = 0;
  app2.seen.length = 0;
  grpcServer.calls.length = 0;
  const [listeners] = httpConfig(0, { routes: '- match: { prefix: / }\n  route: { cluster: ok }' }).split(
    '\n  clusters:',
  );
  await using proxy = await ProxyProcess.start(
    name,
    `${listeners}\n  clusters: ${JSON.stringify(all.map(clusterOf))}\n`,
  );
  const stats = await proxy.stats();
  const flags = new Map<string, string>();
  for (const line of (await proxy.text('/clusters')).split('\n')) {
    const [cluster = '', , key, value = ''] = line.split('::');
    if (key === 'health_flags') flags.set(cluster, value);
  }
  const json = JSON.parse(await proxy.text('/clusters?format=json')) as {
    cluster_statuses: { name: string; host_statuses: { health_status: object }[] }[];
  };
  const facts = Object.fromEntries(
    all.map((one) => [
      one.name,
      {
        flags: flags.get(one.name),
        json: json.cluster_statuses.find((status) => status.name === one.name)?.host_statuses[0]?.health_status,
        ...Object.fromEntries(STATS.map((stat) => [stat, stats.get(`cluster.${one.name}.${stat}`)])),
      },
    ]),
  );
  const seen = [...app.seen, ...app2.seen].map(({ line, headers, body }) => {
    // Node names the host of HTTP/2 twice.
    const { ':authority': authority, ...rest } = headers as Record<string, unknown>;
    return JSON.stringify([line, { host: authority, ...rest }, body]);
  });
  const calls = grpcServer.calls.map(({ service, metadata }) => JSON.stringify([service, metadata]));
  return { facts, requests: [...seen, ...calls].map(sortedKeys).sort() };
}

function sortedKeys(text: string): string {
  return JSON.stringify(JSON.parse(text), (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

test('the first checks: flags, statistics and requests are those of Envoy', { timeout: 60_000 }, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const wanted = await outcomeOf('envoy');
  const own = await outcomeOf('outrigger');
  expect(own.facts).toEqual(wanted.facts);
  expect(own.requests).toEqual(wanted.requests);
});

/** What the checked server does, check by check; after that it answers no more. */
const SCRIPT = [200, 0, 200, 503, 200, 200, 0, 0, 0, 0, 200, 0, 200, 200, 200, 429, 200, 429, 429, 200, 200];

/** The lines of the event log, without their times. */
async function eventsOf(name: ProxyName): Promise<unknown[]> {
  let checks = 0;
  await using server = await httpServer((request, response) => {
    const status = SCRIPT[checks++];
    if (status === undefined) return;
    if (status === 0) request.socket.destroy();
    else {
      response.statusCode = status;
      response.end();
    }
  });
  const log = join(folder, `${name}.log`);
  const check = {
    ...THRESHOLDS,
    timeout: '30s',
    interval: '0.02s',
    no_traffic_interval: '0.02s',
    event_log_path: log,
    always_log_health_check_failures: true,
    always_log_health_check_success: true,
    ...http('/', { retriable_statuses: status(429, 430) }),
  };
  const config = httpConfig(server.port, { cluster: `health_checks: [${JSON.stringify(check)}]` });
  await using proxy = await ProxyProcess.start(name, config);
  await proxy.stat('cluster.app.health_check.attempt', (attempts) => attempts > SCRIPT.length, 20_000);
  const lines = async (): Promise<string[]> => {
    await proxy.reopenLogs();
    return readFileSync(log, 'utf8').trim().split('\n');
  };
  let before = 0;
  for (let found = await lines(); found.length !== before; found = await lines()) {
    before = found.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return (await lines()).map((line) => {
    const event = JSON.parse(line) as Record<string, unknown> & { host: { socket_address: { port_value: number } } };
    // These differ from run to run, or are empty in one of them.
    for (const key of ['timestamp', 'locality', 'metadata']) delete event[key];
    return { ...event, host: event.host.socket_address.port_value === server.port };
  });
}

test('thresholds: the same answers lead to the same events as in Envoy', { timeout: 60_000 }, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const wanted = await eventsOf('envoy');
  expect(wanted.length).toBeGreaterThan(SCRIPT.length - 5);
  expect(await eventsOf('outrigger')).toEqual(wanted);
});
