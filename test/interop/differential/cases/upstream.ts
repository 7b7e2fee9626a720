import { get, OK, post, REFUSED_RESPONSE, request, response, type Scenario } from '../harness/case.ts';

const CHUNKED_HEAD = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';

/** Upstreams that misbehave. */
export const upstreams: Scenario = {
  name: 'upstreams',
  routes: `- match: { prefix: /dead }
  route: { cluster: upstreams-dead }
- match: { prefix: /unknown }
  route: { cluster: nowhere }
- match: { prefix: /unknown-404 }
  route: { cluster: nowhere, cluster_not_found_response_code: NOT_FOUND }
- match: { prefix: /by-header }
  route: { cluster_header: x-cluster }
- match: { prefix: /empty }
  route: { cluster: upstreams-empty }
- match: { prefix: /short }
  route: { cluster: $app, timeout: 0.08s }
- match: { prefix: /idle }
  route: { cluster: $app, timeout: 0s, idle_timeout: 0.08s }
- match: { prefix: / }
  route: { cluster: $app }`,
  routeConfiguration: 'validate_clusters: false',
  clusters: `- name: upstreams-dead
  connect_timeout: 1s
  load_assignment:
    cluster_name: upstreams-dead
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $dead } } } }] }]
- name: upstreams-empty
  connect_timeout: 1s
  load_assignment: { cluster_name: upstreams-empty, endpoints: [] }`,
  cases: [
    { name: 'closes without an answer', send: post('/', 'x'), upstream: [['FIN']] },
    { name: 'resets without an answer', send: post('/', 'x'), upstream: [['RST']] },
    { name: 'closes a GET without an answer', send: get('/'), upstream: [['FIN']] },
    { name: 'closes after connecting', send: get('/'), upstream: [{ at: 'connect', steps: ['FIN'] }] },
    { name: 'refuses connections', send: get('/dead') },
    { name: 'is not configured', send: get('/unknown') },
    { name: 'is not configured, by another code', send: get('/unknown-404') },
    { name: 'is named by a header', send: get('/by-header', 'X-Cluster: upstreams-app') },
    { name: 'is named by a header that is missing', send: get('/by-header') },
    { name: 'is named by a header and unknown', send: get('/by-header', 'X-Cluster: nowhere') },
    { name: 'has no endpoint', send: get('/empty') },
    { name: 'answers garbage', send: get('/'), upstream: ['garbage\r\n\r\n'] },
    {
      name: 'answers LF',
      differs: { 'strict-line-ends': REFUSED_RESPONSE },
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\ncontent-length: 2\n\nok'],
    },
    {
      name: 'answers in HTTP/2.0',
      differs: { 'strict-status-line': ['status', 'headers', 'body', 'flags', 'details', 'log'] },
      send: get('/'),
      upstream: ['HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n'],
    },
    {
      name: 'answers a status of two digits',
      differs: { 'strict-status-line': REFUSED_RESPONSE },
      send: get('/'),
      upstream: ['HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n'],
    },
    { name: 'answers a status of 700', send: get('/'), upstream: [response('700 Odd')] },
    {
      name: 'answers a status of 099',
      differs: { 'strict-status-line': REFUSED_RESPONSE },
      send: get('/'),
      upstream: [response('099 Odd')],
    },
    {
      name: 'answers a folded line',
      differs: { 'obsolete-folding': REFUSED_RESPONSE },
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n'],
    },
    {
      name: 'answers a space before the colon',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\nx-a : b\r\ncontent-length: 0\r\n\r\n'],
    },
    { name: 'answers NUL', send: get('/'), upstream: ['HTTP/1.1 200 OK\r\nx-a: a\0\r\ncontent-length: 0\r\n\r\n'] },
    {
      name: 'answers length and chunked',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    },
    {
      name: 'answers two lengths',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok'],
    },
    {
      name: 'answers two equal lengths',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok'],
    },
    {
      name: 'answers an unknown coding',
      send: get('/'),
      upstream: [['HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok', 'FIN']],
    },
    {
      name: 'answers a length that is no number',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'],
    },
    {
      name: 'answers 204 with a length',
      send: get('/'),
      upstream: ['HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n'],
    },
    {
      name: 'answers 204 with chunks',
      send: get('/'),
      upstream: ['HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
    },
    {
      name: 'answers 304 with a body',
      send: get('/'),
      upstream: ['HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok'],
    },
    { name: 'answers HEAD with a body', send: request('HEAD /'), methods: ['HEAD'], upstream: [OK] },
    { name: 'answers more than its length', send: get('/'), upstream: [`${OK}more`] },
    { name: 'answers twice', send: get('/'), upstream: [OK + OK] },
    { name: 'ends in the middle of its head', send: get('/'), upstream: [['HTTP/1.1 200 OK\r\nx-a', 'FIN']] },
    {
      name: 'ends in the middle of its length',
      send: get('/'),
      upstream: [['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok', 20, 'FIN']],
    },
    {
      name: 'resets in the middle of its length',
      send: get('/'),
      upstream: [['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok', 30, 'RST']],
    },
    { name: 'ends in the middle of a chunk', send: get('/'), upstream: [[`${CHUNKED_HEAD}5\r\nok`, 20, 'FIN']] },
    { name: 'answers a bad chunk', send: get('/'), upstream: [[`${CHUNKED_HEAD}2\r\nok\r\n`, 20, 'zz\r\n']] },
    { name: 'answers a bad chunk at once', send: get('/'), upstream: [`${CHUNKED_HEAD}zz\r\n`] },
    {
      name: 'answers before the body has come',
      send: [request('POST /', ['Content-Length: 5']), 'he'],
      upstream: [{ at: 'head', steps: [OK] }],
    },
    {
      name: 'answers an error before the body has come',
      send: [request('POST /', ['Content-Length: 5']), 'he'],
      upstream: [{ at: 'head', steps: [response('413 Payload Too Large', ['connection: close']), 'FIN'] }],
    },
    {
      name: 'answers before the body, which then comes',
      send: [request('POST /', ['Content-Length: 5']), 'he', 40, 'llo'],
      upstream: [{ at: 'head', steps: [OK] }],
    },
    { name: 'takes longer than the route allows', send: get('/short'), upstream: [[400, OK]] },
    {
      name: 'stops within its body longer than the route allows',
      send: get('/short'),
      upstream: [['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok', 400]],
    },
    {
      name: 'is slow within the time that the route allows',
      send: get('/short'),
      upstream: [['HTTP/1.1 200 OK\r\n', 20, 'content-length: 2\r\n\r\no', 20, 'k']],
    },
    { name: 'is idle longer than the route allows', send: get('/idle'), upstream: [[400, OK]] },
    {
      name: 'is idle within its body',
      send: get('/idle'),
      upstream: [['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok', 400]],
    },
    { name: 'waits for a body that stops', send: request('POST /idle', ['Content-Length: 5'], 'he') },
    {
      name: 'has a client that resets',
      send: [get('/'), 120, 'RST'],
      upstream: [[500, OK]],
      responses: 0,
      probe: false,
    },
    { name: 'has a client that ends', send: [get('/'), 120, 'FIN'], upstream: [[500, OK]], responses: 0, probe: false },
  ],
};

/** Limits of time and size of the connection manager. */
export const times: Scenario = {
  name: 'times',
  manager: `request_headers_timeout: 0.1s
request_timeout: 0.15s
stream_idle_timeout: 0.2s
drain_timeout: 0.05s
common_http_protocol_options: { idle_timeout: 0.2s, max_requests_per_connection: 2 }`,
  cases: [
    { name: 'a head that does not end', send: 'GET / HTTP/1.1\r\nHost: te', probe: false },
    { name: 'a body that does not end', send: request('POST /', ['Content-Length: 5'], 'he') },
    { name: 'an upstream that does not answer', send: get('/'), upstream: [[500, OK]] },
    { name: 'a connection without a request', send: [400], responses: 0, probe: false },
    { name: 'a connection idle after a request', send: [get('/'), { responses: 1 }, 350], probe: false },
    { name: 'two requests on a connection of two', send: [get('/'), { responses: 1 }, get('/')], responses: 2 },
  ],
};

const policy = (fields: string) =>
  `retry_policy: { retry_back_off: { base_interval: 0.001s, max_interval: 0.01s }, ${fields} }`;
const BUSY = response('503 Service Unavailable');

/** Retries: what is tried again, how often, and what the upstream and the client see of it. */
export const retries: Scenario = {
  name: 'retries',
  routes: `- match: { prefix: /5xx }
  route: { cluster: $app, ${policy('retry_on: 5xx, num_retries: 2')} }
- match: { prefix: /gateway }
  route: { cluster: $app, ${policy('retry_on: gateway-error')} }
- match: { prefix: /reset }
  route: { cluster: $app, ${policy('retry_on: reset')} }
- match: { prefix: /before }
  route: { cluster: $app, ${policy('retry_on: reset-before-request')} }
- match: { prefix: /connect }
  route: { cluster: retries-dead, ${policy('retry_on: connect-failure, num_retries: 1')} }
- match: { prefix: /4xx }
  route: { cluster: $app, ${policy('retry_on: retriable-4xx')} }
- match: { prefix: /codes }
  route: { cluster: $app, ${policy('retry_on: retriable-status-codes, retriable_status_codes: [404]')} }
- match: { prefix: /headers }
  route: { cluster: $app, ${policy('retry_on: retriable-headers, retriable_headers: [{ name: x-retry, present_match: true }]')} }
- match: { prefix: /per-try }
  route: { cluster: $app, ${policy('retry_on: 5xx, num_retries: 1, per_try_timeout: 0.06s')} }
- match: { prefix: /attempts }
  route: { cluster: $app, ${policy('retry_on: 5xx')} }
- match: { prefix: / }
  route: { cluster: $app }`,
  virtualHost: 'include_request_attempt_count: true\ninclude_attempt_count_in_response: true',
  clusters: `- name: retries-dead
  connect_timeout: 1s
  load_assignment:
    cluster_name: retries-dead
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $dead } } } }] }]`,
  stats: [
    'cluster.retries-app.upstream_rq_retry',
    'cluster.retries-app.upstream_rq_retry_success',
    'cluster.retries-app.upstream_rq_retry_limit_exceeded',
    'cluster.retries-app.upstream_rq_per_try_timeout',
    'cluster.retries-app.upstream_rq_total',
  ],
  cases: [
    { name: '5xx, then success', send: get('/5xx'), upstream: [BUSY, OK] },
    { name: '5xx up to the limit', send: get('/5xx'), upstream: [BUSY] },
    { name: '5xx with a body sent twice', send: post('/5xx', 'body'), upstream: [BUSY, OK] },
    { name: '5xx and a reset', send: get('/5xx'), upstream: [['FIN'], OK] },
    { name: '4xx is not retried by 5xx', send: get('/5xx'), upstream: [response('404 Not Found')] },
    { name: 'gateway-error on 502', send: get('/gateway'), upstream: [response('502 Bad Gateway'), OK] },
    { name: 'gateway-error not on 500', send: get('/gateway'), upstream: [response('500 Internal Server Error'), OK] },
    { name: 'gateway-error not on a reset', send: get('/gateway'), upstream: [['FIN'], OK] },
    { name: 'reset', send: get('/reset'), upstream: [['RST'], OK] },
    { name: 'reset not on 503', send: get('/reset'), upstream: [BUSY, OK] },
    { name: 'reset-before-request not after the request', send: get('/before'), upstream: [['FIN'], OK] },
    { name: 'connect-failure up to the limit', differs: { 'flag-order': ['flags'] }, send: get('/connect') },
    { name: 'retriable-4xx on 409', send: get('/4xx'), upstream: [response('409 Conflict'), OK] },
    { name: 'retriable-4xx not on 404', send: get('/4xx'), upstream: [response('404 Not Found'), OK] },
    { name: 'a retriable status', send: get('/codes'), upstream: [response('404 Not Found'), OK] },
    { name: 'a retriable header', send: get('/headers'), upstream: [response('200 OK', ['x-retry: 1']), OK] },
    { name: 'a per-try timeout', send: get('/per-try'), upstream: [[300, OK], OK] },
    {
      name: 'per-try timeouts up to the limit',
      differs: { 'flag-order': ['flags'] },
      send: get('/per-try'),
      upstream: [[300, OK]],
    },
    { name: 'attempts are counted', send: get('/attempts'), upstream: [BUSY, OK] },
    { name: 'no policy', send: get('/'), upstream: [BUSY] },
    {
      name: 'a policy of the request',
      send: get('/', 'X-Envoy-Retry-On: 5xx', 'X-Envoy-Max-Retries: 2'),
      upstream: [BUSY, BUSY, OK],
    },
    {
      name: 'retriable codes of the request',
      send: get('/', 'X-Envoy-Retry-On: retriable-status-codes', 'X-Envoy-Retriable-Status-Codes: 404'),
      upstream: [response('404 Not Found'), OK],
    },
    { name: 'a timeout of the request', send: get('/', 'X-Envoy-Upstream-Rq-Timeout-Ms: 60'), upstream: [[300, OK]] },
    {
      name: 'a per-try timeout of the request',
      send: get('/5xx', 'X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms: 60'),
      upstream: [[300, OK], OK],
    },
  ],
};
