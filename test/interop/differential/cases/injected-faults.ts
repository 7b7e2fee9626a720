import { get, post, response, type Scenario } from '../harness/case.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
const ALL = { numerator: 100, denominator: 'HUNDRED' };

const filter = (config: object): string =>
  `- ${JSON.stringify({ name: 'envoy.filters.http.fault', typed_config: { '@type': TYPE, ...config } })}`;

const DELAY = 'X-Envoy-Fault-Delay-Request';
const ABORT = 'X-Envoy-Fault-Abort-Request';
const GRPC_ABORT = 'X-Envoy-Fault-Abort-Grpc-Request';
const RATE = 'X-Envoy-Fault-Throughput-Response';

const asked = (...lines: string[]) => ({ name: lines.join(', '), send: get('/', ...lines) });

/** Faults that a client asks for. */
export const faultsByHeader: Scenario = {
  name: 'faults-by-header',
  filters: filter({
    delay: { header_delay: {}, percentage: ALL },
    abort: { header_abort: {}, percentage: ALL },
    response_rate_limit: { header_limit: {}, percentage: ALL },
  }),
  statsBelow: ['http.faults-by-header.fault.'],
  cases: [
    asked('X-Other: 1'),
    ...['1', '0', '-1', '+1', '1.5', 'x', '', '1x', '99999999999999999999'].map((ms) => asked(`${DELAY}: ${ms}`)),
    ...['0', '100', '1000', 'x', ''].map((share) => asked(`${DELAY}: 1`, `${DELAY}-Percentage: ${share}`)),
    ...['503', '200', '199', '598', '600', '0', '-503', 'x', '', '503x', '+503', '00503'].map((status) =>
      asked(`${ABORT}: ${status}`),
    ),
    ...['0', '100', 'x', ''].map((share) => asked(`${ABORT}: 503`, `${ABORT}-Percentage: ${share}`)),
    ...['5', '0', '16', '17', '999', '-1', 'x', ''].map((status) => asked(`${GRPC_ABORT}: ${status}`)),
    ...['0', '100'].map((share) => asked(`${GRPC_ABORT}: 5`, `${ABORT}-Percentage: ${share}`)),
    asked(`${ABORT}: 503`, `${GRPC_ABORT}: 5`),
    asked(`${ABORT}: x`, `${GRPC_ABORT}: 5`),
    asked(`${DELAY}: 1`, `${ABORT}: 503`),
    asked(`${DELAY}: 1`, `${ABORT}: 503`, `${RATE}: 100`),
    asked(`${DELAY}: 1`, `${ABORT}: 503`, 'X-Envoy-Downstream-Service-Cluster: shop'),
    asked(`${DELAY}: 1`, 'X-Envoy-Downstream-Service-Cluster: shop'),
    asked(`${ABORT}: 503`, `${ABORT}: 504`),
    ...['1', '100', '0', '-1', 'x', ''].map((rate) => asked(`${RATE}: ${rate}`)),
    ...['0', '100'].map((share) => asked(`${RATE}: 100`, `${RATE}-Percentage: ${share}`)),
    { name: 'abort of gRPC', send: post('/', '', 'Content-Type: application/grpc', `${ABORT}: 503`) },
    { name: 'gRPC status of gRPC', send: post('/', '', 'Content-Type: application/grpc', `${GRPC_ABORT}: 5`) },
    { name: 'delay with a body', send: post('/', 'body', `${DELAY}: 5`) },
    {
      name: 'a slow body',
      send: get('/', `${RATE}: 100`),
      upstream: [response('200 OK', [], 'x'.repeat(3000))],
    },
    {
      name: 'a slow body in chunks',
      send: get('/', `${RATE}: 100`),
      upstream: ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'],
    },
  ],
};

const abort = { http_status: 503, percentage: ALL };
const routes: Record<string, object> = {
  own: { abort },
  'own-cluster': { abort, upstream_cluster: '$app' },
  'other-cluster': { abort, upstream_cluster: 'other' },
  node: { abort, downstream_nodes: ['a', 'b'] },
  header: { abort, headers: [{ name: 'x-a', string_match: { exact: '1' } }, { name: 'x-b' }] },
  grpc: { abort: { grpc_status: 5, percentage: ALL } },
  'grpc-unknown': { abort: { grpc_status: 99, percentage: ALL } },
  never: { abort: { http_status: 503 }, delay: { fixed_delay: '0.001s' } },
  millions: { abort: { http_status: 503, percentage: { numerator: 1_000_000, denominator: 'MILLION' } } },
  full: { abort, max_active_faults: 0 },
  delay: { delay: { fixed_delay: '0.005s', percentage: ALL } },
  both: { abort, delay: { fixed_delay: '0.005s', percentage: ALL } },
  uncounted: { abort, disable_downstream_cluster_stats: true },
  limited: { response_rate_limit: { fixed_limit: { limit_kbps: 100 }, percentage: ALL } },
  nothing: {},
};

const shop = 'X-Envoy-Downstream-Service-Cluster: shop';

/** Faults that routes override. */
export const faultsByRoute: Scenario = {
  name: 'faults-by-route',
  filters: filter({ abort: { http_status: 418, percentage: ALL } }),
  routes: [
    ...Object.entries(routes).map(([name, config]) => ({
      match: { path: `/${name}` },
      route: { cluster: '$app' },
      typed_per_filter_config: { 'envoy.filters.http.fault': { '@type': TYPE, ...config } },
    })),
    { match: { path: '/direct' }, direct_response: { status: 200 } },
    { match: { prefix: '/' }, route: { cluster: '$app' } },
  ]
    .map((route) => `- ${JSON.stringify(route)}`)
    .join('\n'),
  statsBelow: ['http.faults-by-route.fault.'],
  cases: [
    { name: 'of the filter', send: get('/') },
    { name: 'of the filter, before a direct response', send: get('/direct') },
    ...Object.keys(routes).map((name) => ({ name, send: get(`/${name}`) })),
    { name: 'counted by cluster', send: get('/both', shop) },
    { name: 'not counted by cluster', send: get('/uncounted', shop) },
    { name: 'its node', send: get('/node', 'X-Envoy-Downstream-Service-Node: b') },
    { name: 'another node', send: get('/node', 'X-Envoy-Downstream-Service-Node: c') },
    { name: 'one header', send: get('/header', 'X-A: 1') },
    { name: 'both headers', send: get('/header', 'X-A: 1', 'X-B: 2') },
    { name: 'headers that nobody asks for', send: get('/own', `${ABORT}: 504`) },
    { name: 'gRPC', send: post('/grpc', '', 'Content-Type: application/grpc') },
    { name: 'HTTP of gRPC', send: post('/own', '', 'Content-Type: application/grpc') },
  ],
};
