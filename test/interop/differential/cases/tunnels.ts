import { get, post, request, response, type Scenario } from '../harness/case.ts';

const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZQ=='];
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n';

/** Upgrades and CONNECT, where they are allowed. */
export const tunnels: Scenario = {
  name: 'tunnels',
  manager: 'upgrade_configs: [{ upgrade_type: websocket }, { upgrade_type: CONNECT }]',
  routes: `- match: { prefix: /off }
  route: { cluster: $app, upgrade_configs: [{ upgrade_type: websocket, enabled: false }] }
- match: { prefix: / }
  route: { cluster: $app }
- match: { connect_matcher: {} }
  route: { cluster: $app }`,
  cases: [
    {
      name: 'an upgrade, and bytes from both sides',
      differs: { 'tunnel-half-close': ['flags', 'details'] },
      send: [request('GET /chat', UPGRADE), { text: 'hello' }, 'bytes', 30],
      upstream: [[SWITCHED, 'hello']],
      probe: false,
    },
    {
      name: 'an upgrade whose upstream ends',
      differs: { 'tunnel-half-close': ['flags', 'details'] },
      send: [request('GET /chat', UPGRADE)],
      upstream: [[SWITCHED, 'bye', 30, 'FIN']],
      probe: false,
    },
    {
      name: 'an upgrade whose client ends',
      differs: { 'tunnel-half-close': ['fate', 'flags', 'details'] },
      send: [request('GET /chat', UPGRADE), { responses: 1 }, 'bye', 20, 'FIN', 20],
      upstream: [SWITCHED],
      probe: false,
    },
    {
      name: 'an upgrade that the upstream refuses',
      send: request('GET /chat', UPGRADE),
      upstream: [response('403 Forbidden', [], 'no')],
    },
    {
      name: 'an upgrade that the upstream ignores',
      differs: { 'ignored-upgrade': ['headers', 'body', 'details', 'log'] },
      send: request('GET /chat', UPGRADE),
    },
    {
      name: 'an upgrade in other letters',
      differs: { 'tunnel-half-close': ['flags', 'details'], 'connection-rewritten': ['upstream'] },
      send: [request('GET /chat', ['connection: keep-alive, UPGRADE', 'upgrade: WebSocket']), { responses: 1 }],
      upstream: [SWITCHED],
      probe: false,
    },
    { name: 'an upgrade that the route forbids', send: request('GET /off', UPGRADE) },
    { name: 'an upgrade that nobody configured', send: request('GET /', ['Connection: Upgrade', 'Upgrade: foo']) },
    {
      name: 'an upgrade to h2c',
      send: request('GET /', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']),
    },
    {
      name: 'an upgrade with a body',
      differs: { 'ignored-upgrade': ['headers', 'body', 'details', 'upstream', 'log'] },
      send: request('POST /chat', [...UPGRADE, 'Content-Length: 2'], 'ok'),
      probe: false,
    },
    {
      name: 'CONNECT',
      differs: { 'tunnel-half-close': ['flags', 'details'] },
      send: [
        request('CONNECT test.example:443').replace('Host: test.example', 'Host: test.example:443'),
        { responses: 1 },
        'bytes',
        30,
      ],
      methods: ['CONNECT'],
      upstream: ['HTTP/1.1 200 OK\r\n\r\nhello'],
      probe: false,
    },
    {
      name: 'CONNECT that the upstream refuses',
      send: request('CONNECT test.example:443'),
      methods: ['CONNECT'],
      upstream: [response('403 Forbidden', [], 'no')],
      probe: false,
    },
    { name: 'CONNECT without a port', send: request('CONNECT test.example'), methods: ['CONNECT'], probe: false },
    { name: 'CONNECT with a path', send: request('CONNECT /x'), methods: ['CONNECT'], probe: false },
    {
      name: 'CONNECT with a length',
      send: post('/', 'ok').replace('POST /', 'CONNECT test.example:443'),
      methods: ['CONNECT'],
      probe: false,
    },
  ],
};

/** Where they are not. */
export const noTunnels: Scenario = {
  name: 'no-tunnels',
  routes: `- match: { prefix: /on }
  route: { cluster: $app, upgrade_configs: [{ upgrade_type: websocket }] }
- match: { prefix: / }
  route: { cluster: $app }
- match: { connect_matcher: {} }
  route: { cluster: $app }`,
  cases: [
    { name: 'an upgrade', send: request('GET /', UPGRADE) },
    {
      name: 'an upgrade that the route allows',
      differs: { 'tunnel-half-close': ['flags', 'details'] },
      send: [request('GET /on', UPGRADE), { responses: 1 }],
      upstream: [SWITCHED],
      probe: false,
    },
    { name: 'CONNECT', send: request('CONNECT test.example:443'), methods: ['CONNECT'], probe: false },
    { name: 'Connection: upgrade without Upgrade', send: get('/', 'Connection: upgrade') },
  ],
};
