import { OK, post, request, response, type Scenario } from '../harness/case.ts';

const GRPC = 'Content-Type: application/grpc';
const STRICT = { 'strict-grpc-timeout': ['upstream'] } as const;
const SLOW = [[400, OK]] as const;

const deadline = (path: string, timeout: string, ...headers: string[]) => ({
  name: `${path} ${timeout}`,
  send: post(path, '', GRPC, `grpc-timeout: ${timeout}`, ...headers),
});

/** How long a call may last, by its own `grpc-timeout` and by the route. */
export const grpcDeadlines: Scenario = {
  name: 'grpc-deadlines',
  routes: `- match: { prefix: /max }
  route: { cluster: $app, max_stream_duration: { grpc_timeout_header_max: 0.1s } }
- match: { prefix: /open }
  route: { cluster: $app, max_stream_duration: { grpc_timeout_header_max: 0s } }
- match: { prefix: /offset }
  route: { cluster: $app, max_stream_duration: { grpc_timeout_header_max: 0s, grpc_timeout_header_offset: 0.1s } }
- match: { prefix: /duration }
  route: { cluster: $app, timeout: 0.05s, max_stream_duration: { max_stream_duration: 0.15s, grpc_timeout_header_max: 0.1s } }
- match: { prefix: /unlimited }
  route: { cluster: $app, timeout: 0.05s, max_stream_duration: { max_stream_duration: 0s } }
- match: { prefix: /timeout }
  route: { cluster: $app, timeout: 0.05s, max_stream_duration: {} }
- match: { prefix: /ignored }
  route: { cluster: $app }`,
  cases: [
    { ...deadline('/max', '5S'), upstream: SLOW },
    { ...deadline('/max', '50m'), upstream: SLOW },
    { ...deadline('/max', '50000u'), upstream: SLOW },
    { ...deadline('/max', '50000001n'), upstream: SLOW },
    { ...deadline('/max', '1M') },
    { ...deadline('/max', '123456789m'), upstream: SLOW },
    { ...deadline('/max', '50x'), upstream: SLOW },
    { ...deadline('/max', 'm'), upstream: SLOW },
    { ...deadline('/open', '100m'), upstream: SLOW },
    { ...deadline('/open', '1H') },
    { ...deadline('/offset', '150m'), upstream: SLOW },
    { ...deadline('/duration', '5S'), upstream: SLOW },
    { ...deadline('/duration', '5x'), upstream: SLOW },
    { ...deadline('/unlimited', '50m'), upstream: SLOW },
    { ...deadline('/timeout', '50m'), upstream: SLOW },
    { ...deadline('/ignored', '50m'), upstream: SLOW },
    { name: 'no gRPC', send: post('/open', '', 'grpc-timeout: 50m'), upstream: SLOW },
    { name: 'no gRPC, with a limit', send: post('/duration', '', 'grpc-timeout: 50m'), upstream: SLOW },
    { name: 'no gRPC, with a shorter limit', send: post('/duration', '', 'grpc-timeout: 5S'), upstream: SLOW },
    { name: 'no gRPC, no grpc-timeout', send: post('/duration', '') },
    { name: 'no grpc-timeout', send: post('/duration', '', GRPC) },
    deadline('/ignored', '1S'),
    deadline('/open', '99999999S'),
    deadline('/open', '99999999H'),
    deadline('/open', '200000S'),
    { ...deadline('/open', '+5S'), differs: STRICT },
    { ...deadline('/open', '5 S'), differs: STRICT },
    {
      name: 'a request that is not complete',
      send: request('POST /open', [GRPC, 'grpc-timeout: 50m', 'content-length: 5'], 'a'),
    },
    {
      name: 'a response that is not complete',
      send: post('/open', '', GRPC, 'grpc-timeout: 50m'),
      upstream: [['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab', 400, 'cde']],
      probe: false,
    },
  ],
  stats: ['http.grpc-deadlines.downstream_rq_max_duration_reached', 'cluster.grpc-deadlines-app.upstream_rq_timeout'],
};

/** A limit of the connection manager's. */
export const grpcManagerDeadline: Scenario = {
  name: 'grpc-manager-deadline',
  manager: 'common_http_protocol_options: { max_stream_duration: 0.2s }',
  routes: `- match: { prefix: /open }
  route: { cluster: $app, max_stream_duration: { grpc_timeout_header_max: 0s } }
- match: { prefix: /unlimited }
  route: { cluster: $app, max_stream_duration: { max_stream_duration: 0s } }
- match: { prefix: / }
  route: { cluster: $app }`,
  cases: [
    deadline('/', '5S'),
    deadline('/open', '5S'),
    deadline('/open', '5x'),
    { ...deadline('/unlimited', '5S'), differs: { 'deadline-kept': ['upstream'] } },
  ],
};

const trailersOnly = (status: string) =>
  response('200 OK', ['content-type: application/grpc', `grpc-status: ${status}`]);
const policy = (fields: string) =>
  `retry_policy: { retry_back_off: { base_interval: 0.001s, max_interval: 0.01s }, ${fields} }`;
const CONDITIONS = { cancelled: 1, 'deadline-exceeded': 4, 'resource-exhausted': 8, internal: 13, unavailable: 14 };

/** What is tried again by `grpc-status`. */
export const grpcRetries: Scenario = {
  name: 'grpc-retries',
  routes: [
    ...Object.keys(CONDITIONS).map(
      (name) => `- match: { prefix: /${name}/ }\n  route: { cluster: $app, ${policy(`retry_on: ${name}`)} }`,
    ),
    `- match: { prefix: /5xx/ }\n  route: { cluster: $app, ${policy('retry_on: "5xx,unavailable"')} }`,
    '- match: { prefix: / }\n  route: { cluster: $app }',
  ].join('\n'),
  cases: [
    ...Object.entries(CONDITIONS).map(([name, status]) => ({
      name,
      send: post(`/${name}/`, '', GRPC),
      upstream: [trailersOnly(String(status)), trailersOnly('0')],
    })),
    { name: 'another status', send: post('/unavailable/', '', GRPC), upstream: [trailersOnly('13'), OK] },
    { name: 'up to the limit', send: post('/unavailable/', '', GRPC), upstream: [trailersOnly('14')] },
    { name: 'no status', send: post('/unavailable/', '', GRPC), upstream: [response('503 Service Unavailable'), OK] },
    { name: 'no gRPC request', send: post('/unavailable/', ''), upstream: [trailersOnly('14'), OK] },
    { name: 'a status with zeros', send: post('/unavailable/', '', GRPC), upstream: [trailersOnly('014'), OK] },
    {
      name: 'conditions of the request',
      send: post('/', '', GRPC, 'X-Envoy-Retry-Grpc-On: unavailable,cancelled'),
      upstream: [trailersOnly('1'), OK],
    },
    {
      name: 'gRPC conditions in the header for others',
      send: post('/', '', GRPC, 'X-Envoy-Retry-On: unavailable'),
      upstream: [trailersOnly('14'), OK],
    },
    {
      name: 'other conditions in the header for gRPC',
      send: post('/', '', GRPC, 'X-Envoy-Retry-Grpc-On: 5xx'),
      upstream: [response('503 Service Unavailable'), OK],
    },
    {
      name: 'an upstream that limits its rate',
      send: post('/5xx/', '', GRPC),
      upstream: [response('503 Service Unavailable', ['x-envoy-ratelimited: true']), OK],
    },
  ],
  stats: ['cluster.grpc-retries-app.upstream_rq_retry'],
};

/** Calls that the proxy answers itself, and what it says of calls in the log. */
export const grpcAnswers: Scenario = {
  name: 'grpc-answers',
  manager: `path_with_escaped_slashes_action: REJECT_REQUEST
local_reply_config:
  mappers:
  - filter: { header_filter: { header: { name: x-own, present_match: true } } }
    headers_to_add: [{ header: { key: grpc-status, value: "9" } }, { header: { key: content-type, value: text/own } }]
  - filter: { header_filter: { header: { name: x-long, present_match: true } } }
    status_code: 429
    body_format_override: { json_format: { said: "%LOCAL_REPLY_BODY%" } }
  - filter: { header_filter: { header: { name: x-spaces, present_match: true } } }
    body_format_override: { text_format_source: { inline_string: " \\n%LOCAL_REPLY_BODY%\\t \\n\\n" } }`,
  routes: `- match: { prefix: /direct }
  direct_response: { status: 503, body: { inline_string: "no" } }
- match: { prefix: /fine }
  direct_response: { status: 200, body: { inline_string: "yes" } }
- match: { prefix: /redirect }
  redirect: { path_redirect: /new }
- match: { prefix: / }
  route: { cluster: $app }`,
  cases: [
    { name: 'HEAD', send: request('HEAD /direct', [GRPC]), methods: ['HEAD'] },
    { name: 'GET', send: request('GET /direct', [GRPC]) },
    { name: 'a status of its own', send: post('/direct', '', GRPC, 'x-own: 1') },
    { name: 'another code and body', send: post('/direct', '', GRPC, 'x-long: 1') },
    { name: 'a body that ends with a line', send: post('/direct', '', GRPC, 'x-spaces: 1') },
    { name: 'a direct 200', send: post('/fine', '', GRPC) },
    { name: 'a redirect', send: post('/redirect', '', GRPC) },
    { name: 'a path that is refused', differs: { 'path-as-it-came': ['log'] }, send: post('/a%2fb', '', GRPC) },
    { name: 'another charset', send: post('/direct', '', `${GRPC};charset=utf-8`) },
    { name: 'gRPC-Web', send: post('/direct', '', `${GRPC}-web`) },
    { name: 'upper case', send: post('/direct', '', 'Content-Type: Application/gRPC') },
    { name: 'trailers only', send: post('/', '', GRPC), upstream: [trailersOnly('5')] },
    { name: 'no number', send: post('/', '', GRPC), upstream: [trailersOnly('a')] },
    { name: 'an unknown number', send: post('/', '', GRPC), upstream: [trailersOnly('17')] },
    { name: 'no status', send: post('/', '', GRPC), upstream: [response('503 Service Unavailable')] },
    { name: 'no status and 200', send: post('/', '', GRPC), upstream: [OK] },
    { name: 'a status of what is no call', send: post('/', ''), upstream: [trailersOnly('5')] },
    {
      name: 'in trailers',
      send: post('/', '', GRPC),
      upstream: ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 3\r\n\r\n'],
    },
  ],
};
