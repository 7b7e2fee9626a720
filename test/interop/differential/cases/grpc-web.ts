import { type Case, post, request, response, type Scenario } from '../harness/case.ts';

const WEB = 'Content-Type: application/grpc-web';
const TEXT = 'Content-Type: application/grpc-web-text';
const ASK_TEXT = 'Accept: application/grpc-web-text';
const GRPC = 'content-type: application/grpc';

const message = (text: string) => `\0\0\0\0${String.fromCharCode(text.length)}${text}`;
const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');

/** A response in pieces, with trailers. */
function streamed(pieces: readonly string[], head = [GRPC], trailers = ['grpc-status: 0'], status = '200 OK') {
  return [
    `HTTP/1.1 ${[status, ...head, 'transfer-encoding: chunked'].join('\r\n')}\r\n\r\n`,
    ...pieces.flatMap((piece) => [`${piece.length.toString(16)}\r\n${piece}\r\n`, 5]),
    `0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`,
  ];
}
const ANSWER = streamed([message('hello')]);

const cases: readonly Case[] = [
  { name: 'binary', send: post('/a.B/C', message('abc'), WEB), upstream: [ANSWER] },
  { name: 'binary, +proto', send: post('/a.B/C', message('abc'), `${WEB}+proto`), upstream: [ANSWER] },
  { name: 'text', send: post('/a.B/C', base64(message('abcd')), TEXT, ASK_TEXT), upstream: [ANSWER] },
  {
    name: 'text, +proto',
    send: post('/a.B/C', base64(message('ab')), `${TEXT}+proto`, `${ASK_TEXT}+proto`),
    upstream: [ANSWER],
  },
  { name: 'text only one way', send: post('/a.B/C', base64(message('abc')), TEXT), upstream: [ANSWER] },
  { name: 'text only the other way', send: post('/a.B/C', message('abc'), WEB, ASK_TEXT), upstream: [ANSWER] },
  { name: 'text among others', send: post('/a.B/C', message('abc'), WEB, `${ASK_TEXT}, */*`), upstream: [ANSWER] },
  {
    name: 'accept and te that came',
    send: post('/a.B/C', message('abc'), WEB, 'TE: trailers', 'grpc-accept-encoding: gzip'),
    upstream: [ANSWER],
  },
  ...[
    'application/grpc-web;charset=utf-8',
    'application/grpc-web+json',
    'Application/grpc-web',
    'application/grpc',
    'text/plain',
  ].map((type) => ({ name: type, send: post('/a.B/C', message('abc'), `Content-Type: ${type}`), upstream: [ANSWER] })),
  { name: 'no content type', send: post('/a.B/C', 'abc'), upstream: [response('200 OK', [], 'plain')] },
  { name: 'no body', send: request('GET /a.B/C', [WEB]), upstream: [ANSWER] },
  {
    name: 'chunks',
    send: [
      request('POST /a.B/C', [TEXT, 'Transfer-Encoding: chunked']),
      '3\r\nAAA\r\n',
      10,
      '6\r\nAAANhY\r\n',
      10,
      '3\r\nmM=\r\n0\r\n\r\n',
    ],
    upstream: [ANSWER],
  },
  {
    name: 'several messages',
    send: post('/a.B/C', base64(message('a')) + base64(message('bc')), TEXT, ASK_TEXT),
    upstream: [ANSWER],
  },
  {
    name: 'several messages without padding',
    send: post('/a.B/C', base64(message('a') + message('bcd')), TEXT),
    upstream: [ANSWER],
  },
  { name: 'base64 that ends early', send: post('/a.B/C', 'AAAAAAN', TEXT), upstream: [ANSWER] },
  { name: 'no base64', send: post('/a.B/C', 'AAAA****', TEXT), upstream: [ANSWER] },
  { name: 'base64 for URLs', send: post('/a.B/C', 'AAAA-_-_', TEXT), upstream: [ANSWER] },
  { name: 'odd padding', send: post('/a.B/C', 'AAA=A===', TEXT), upstream: [ANSWER] },
  {
    name: 'messages in pieces',
    send: post('/a.B/C', message('abc'), WEB, ASK_TEXT),
    upstream: [streamed(['\0', '\0\0\0\u0003a', 'bc\0\0\0\0', '\0\0\0\0\0\u0001', 'd'])],
  },
  {
    name: 'an unfinished message',
    differs: { 'grpc-web-text-streams': ['body', 'log'] },
    send: post('/a.B/C', message('abc'), WEB, ASK_TEXT),
    upstream: [streamed(['\0\0\0\0\u0005ab'])],
  },
  {
    name: 'several trailers',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [streamed([message('x')], [GRPC], ['grpc-status: 3', 'Grpc-Message: no%20way', 'x-a: 1', 'x-a: 2'])],
  },
  {
    name: 'several trailers, text',
    send: post('/a.B/C', message('abc'), WEB, ASK_TEXT),
    upstream: [streamed([message('x')], [GRPC], ['grpc-status: 3', 'x-a: 1'])],
  },
  { name: 'trailers alone', send: post('/a.B/C', message('abc'), WEB), upstream: [streamed([])] },
  {
    name: 'trailers in the head',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [response('200 OK', [GRPC, 'grpc-status: 5', 'grpc-message: none'])],
  },
  {
    name: 'no trailers',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [response('200 OK', [GRPC], message('x'))],
  },
  {
    name: 'no trailers, text',
    differs: { 'grpc-web-text-end': ['body', 'fate', 'flags', 'details'] },
    send: post('/a.B/C', message('abc'), WEB, ASK_TEXT),
    upstream: [response('200 OK', [GRPC], message('x'))],
  },
  {
    name: 'a response in gRPC-Web',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [response('200 OK', ['content-type: application/grpc-web+proto'], message('x'))],
  },
  {
    name: 'HTML',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [response('200 OK', ['content-type: text/html'], '<p>100% ü\n</p>')],
  },
  {
    name: 'HTML, text',
    send: post('/a.B/C', message('abc'), WEB, ASK_TEXT),
    upstream: [response('404 Not Found', ['content-type: text/html'], '<p>no</p>')],
  },
  {
    name: 'HTML in pieces',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [streamed(['<p>', 'no', '</p>'], ['content-type: text/html'], [])],
  },
  {
    name: 'much HTML',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [response('500 Internal Server Error', [], 'x'.repeat(20_000))],
  },
  {
    name: 'an error without a body',
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [response('503 Service Unavailable')],
  },
  {
    name: 'an error of HTTP with gRPC',
    differs: { 'grpc-web-status': ['log'] },
    send: post('/a.B/C', message('abc'), WEB),
    upstream: [streamed([message('x')], [GRPC], ['grpc-status: 2'], '503 Service Unavailable')],
  },
  { name: 'an upstream that fails', send: post('/a.B/C', message('abc'), WEB), upstream: [['FIN']] },
  { name: 'a direct response', send: post('/direct', message('abc'), WEB) },
  { name: 'a direct response, text', send: post('/direct', message('abc'), WEB, ASK_TEXT) },
  { name: 'a redirect', send: post('/redirect', message('abc'), WEB) },
  { name: 'no method', send: post('/nothing', message('abc'), WEB), upstream: [ANSWER] },
  { name: 'CORS', send: post('/a.B/C', message('abc'), WEB, 'Origin: https://a.example'), upstream: [ANSWER] },
  {
    name: 'a preflight',
    send: request('OPTIONS /a.B/C', ['Origin: https://a.example', 'Access-Control-Request-Method: POST']),
  },
];

/** gRPC-Web from browsers. */
export const grpcWeb: Scenario = {
  name: 'grpc-web',
  manager: 'http_protocol_options: { enable_trailers: true }',
  cluster: 'http_protocol_options: { enable_trailers: true }',
  filters: `- name: envoy.filters.http.cors
  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors }
- name: envoy.filters.http.grpc_web
  typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb }`,
  virtualHost: `typed_per_filter_config:
  envoy.filters.http.cors:
    "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
    allow_origin_string_match: [{ exact: "https://a.example" }]
    allow_methods: POST
    allow_headers: x-grpc-web,content-type
    expose_headers: grpc-status,grpc-message`,
  routes: `- match: { prefix: /direct }
  direct_response: { status: 403, body: { inline_string: "no" } }
- match: { prefix: /redirect }
  redirect: { path_redirect: /new }
- match: { prefix: / }
  route: { cluster: $app }`,
  cases,
  statsBelow: ['cluster.grpc-web-app.grpc'],
};
