import { get, OK, post, request, type Scenario } from '../harness/case.ts';

const DOWNSTREAM = [
  'destroy',
  'destroy_local',
  'destroy_remote',
  'destroy_active_rq',
  'destroy_local_active_rq',
  'destroy_remote_active_rq',
  'drain_close',
  'protocol_error',
].map((name) => `downstream_cx_${name}`);

const UPSTREAM = [
  'total',
  'destroy',
  'destroy_local',
  'destroy_remote',
  'destroy_with_active_rq',
  'destroy_local_with_active_rq',
  'destroy_remote_with_active_rq',
  'close_notify',
  'connect_fail',
  'max_requests',
  'protocol_error',
].map((name) => `upstream_cx_${name}`);

/** The ends that connections come to, and who is said to have ended them. */
export const endsOfConnections: Scenario = {
  name: 'ends-of-connections',
  routes: `- match: { prefix: /dead }
  route: { cluster: ends-of-connections-dead }
- match: { prefix: /quick }
  route: { cluster: $app, timeout: 0.1s }
- match: { prefix: / }
  route: { cluster: $app }`,
  clusters: `- name: ends-of-connections-dead
  connect_timeout: 1s
  load_assignment:
    cluster_name: ends-of-connections-dead
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $dead } } }`,
  stats: [
    ...DOWNSTREAM.map((name) => `http.ends-of-connections.${name}`),
    ...UPSTREAM.map((name) => `cluster.ends-of-connections-app.${name}`),
    ...UPSTREAM.map((name) => `cluster.ends-of-connections-dead.${name}`),
    'cluster.ends-of-connections-app.upstream_rq_rx_reset',
    'cluster.ends-of-connections-app.upstream_rq_tx_reset',
  ],
  cases: [
    { name: 'the client ends after its response', send: get('/') },
    { name: 'the client says that it will end', send: get('/', 'Connection: close') },
    { name: 'the client ends before its response', send: [get('/'), 20, 'FIN'], upstream: [[60, OK]], responses: 0 },
    { name: 'the client resets before its response', send: [get('/'), 20, 'RST'], upstream: [[60, OK]], responses: 0 },
    { name: 'the client ends within its body', send: [request('POST /', ['Content-Length: 9']), 20, 'FIN'] },
    { name: 'the client ends within its head', send: ['GET / HTTP/1.1\r\nHost: a', 20, 'FIN'], responses: 0 },
    { name: 'the client breaks the protocol', send: 'GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n' },
    {
      name: 'the upstream says that it will end',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'],
    },
    { name: 'the upstream speaks HTTP/1.0', send: get('/'), upstream: [['HTTP/1.0 200 OK\r\n\r\nok', 'FIN']] },
    { name: 'the upstream ends after its response', send: get('/'), upstream: [[OK, 'FIN']] },
    { name: 'the upstream ends without a response', send: post('/', 'body'), upstream: ['FIN'] },
    { name: 'the upstream resets', send: post('/', 'body'), upstream: ['RST'] },
    {
      name: 'the upstream ends within its response',
      send: get('/'),
      upstream: [['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok', 20, 'FIN']],
    },
    { name: 'the upstream breaks the protocol', send: get('/'), upstream: ['garbage\r\n\r\n'] },
    {
      name: 'the upstream answers before the body has come',
      send: [request('POST /', ['Content-Length: 9']), { responses: 1 }],
      upstream: [{ at: 'head', steps: [OK] }],
    },
    { name: 'the upstream is too slow', send: get('/quick'), upstream: [[400, OK]] },
    { name: 'nobody listens', send: get('/dead') },
  ],
};
