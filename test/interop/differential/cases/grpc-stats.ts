import { OK, post, request, response, type Scenario } from '../harness/case.ts';

const GRPC = 'Content-Type: application/grpc';
const trailersOnly = (status: string) =>
  response('200 OK', ['content-type: application/grpc', `grpc-status: ${status}`]);
/** A response whose body comes in pieces, with trailers. */
const streamed = (
  pieces: readonly string[],
  status: string,
  head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc',
) => [
  `${head}\r\ntransfer-encoding: chunked\r\n\r\n`,
  ...pieces.flatMap((piece) => [`${piece.length.toString(16)}\r\n${piece}\r\n`, 5]),
  `0\r\ngrpc-status: ${status}\r\n\r\n`,
];
const message = (text: string) => `\0\0\0\0${String.fromCharCode(text.length)}${text}`;

const filter = (...fields: string[]) => `- name: envoy.filters.http.grpc_stats
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig
${fields.map((field) => `    ${field}`).join('\n')}`;

/** Calls, and what is nearly one. */
const cases = [
  { name: 'success', send: post('/a.B/Ok', message('abc'), GRPC), upstream: [streamed([message('x')], '0')] },
  { name: 'trailers only', send: post('/a.B/Ok', '', GRPC), upstream: [trailersOnly('5')] },
  { name: 'an unknown status', send: post('/a.B/Odd', '', GRPC), upstream: [trailersOnly('16')] },
  {
    name: 'messages in pieces',
    send: post('/a.B/Many', message('') + message('abc') + message('d') + message(''), GRPC),
    upstream: [streamed(['\0', '\0\0\0', '\u0003a', 'bc\0\0\0\0\0\0', '\0\0\0\u0001z', '\0'], '0')],
  },
  {
    name: 'a body that is no message',
    send: post('/a.B/Text', '', GRPC),
    upstream: [streamed([message('x')], '2', 'HTTP/1.1 200 OK\r\ncontent-type: text/plain')],
  },
  {
    name: 'another status of HTTP',
    send: post('/a.B/Http', '', GRPC),
    upstream: [streamed([message('x')], '14', 'HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/grpc')],
  },
  { name: 'no status', send: post('/a.B/None', '', GRPC), upstream: [OK] },
  { name: 'no call', send: post('/a.B/Plain', message('abc')), upstream: [trailersOnly('0')] },
  { name: 'an upstream that fails', send: post('/a.B/Gone', '', GRPC), upstream: [['FIN']] },
  ...['/a.B/Query?x=/1', '/three/parts/here', '/one', '//double//slash', '/end/slash/', '/', '/a.B/'].map((path) => ({
    name: path,
    send: post(path, '', GRPC),
    upstream: [trailersOnly('0')],
  })),
  { name: 'no route', send: post('/direct/A', '', GRPC) },
  {
    name: 'a request in pieces',
    send: [request('POST /a.B/Slow', [GRPC, 'content-length: 8']), '\0\0\0', 5, '\0\u0003a', 5, 'bc'],
    upstream: [trailersOnly('0')],
  },
];

const scenario = (name: string, ...fields: string[]): Scenario => ({
  name,
  manager: 'http_protocol_options: { enable_trailers: true }',
  filters: filter(...fields),
  cluster: 'http_protocol_options: { enable_trailers: true }',
  routes:
    '- match: { prefix: /direct }\n  direct_response: { status: 503 }\n- match: { prefix: / }\n  route: { cluster: $app }',
  cases,
  statsBelow: [`cluster.${name}-app.grpc.`],
});

/** Figures of gRPC calls. */
export const grpcStats: readonly Scenario[] = [
  scenario('grpc-stats', 'stats_for_all_methods: true'),
  scenario('grpc-stats-dots', 'stats_for_all_methods: true', 'replace_dots_in_grpc_service_name: true'),
  scenario('grpc-stats-together', 'stats_for_all_methods: false'),
  scenario('grpc-stats-default', 'emit_filter_state: true'),
  scenario(
    'grpc-stats-listed',
    'individual_method_stats_allowlist: { services: [{ name: a.B, method_names: [Ok, Many] }, { name: three, method_names: [parts] }] }',
  ),
];
