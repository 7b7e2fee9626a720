import { get, OK, post, request, response, type Scenario } from '../harness/case.ts';

const CHUNKED = 'Transfer-Encoding: chunked';

/** Requests and responses as they should be. */
export const messages: Scenario = {
  name: 'messages',
  stats: [
    'http.messages.downstream_rq_total',
    'http.messages.downstream_rq_2xx',
    'http.messages.downstream_rq_3xx',
    'http.messages.downstream_rq_4xx',
    'http.messages.downstream_rq_5xx',
    'cluster.messages-app.upstream_rq_total',
    'cluster.messages-app.upstream_rq_2xx',
    'cluster.messages-app.upstream_rq_completed',
  ],
  cases: [
    { name: 'GET', send: get('/') },
    { name: 'GET with a query', send: get('/a/b?c=d&e') },
    { name: 'POST with a body', send: post('/', 'hello') },
    { name: 'POST without a length', send: request('POST /') },
    { name: 'POST with length 0', send: post('/', '') },
    { name: 'PUT with a body', send: request('PUT /', ['Content-Length: 2'], 'ok') },
    { name: 'PUT without a length', send: request('PUT /') },
    { name: 'PATCH without a length', send: request('PATCH /') },
    { name: 'DELETE', send: request('DELETE /') },
    { name: 'DELETE with a body', send: request('DELETE /', ['Content-Length: 2'], 'ok') },
    { name: 'GET with a body', send: request('GET /', ['Content-Length: 2'], 'ok') },
    { name: 'GET with length 0', send: request('GET /', ['Content-Length: 0']) },
    { name: 'OPTIONS', send: request('OPTIONS /') },
    { name: 'OPTIONS *', send: request('OPTIONS *') },
    { name: 'TRACE', send: request('TRACE /') },
    { name: 'an unknown method', send: request('BREW /') },
    { name: 'a method of WebDAV', send: request('PROPFIND /') },
    { name: 'a lower-case method', send: request('get /') },
    {
      name: 'HEAD with the length of a body',
      send: request('HEAD /'),
      methods: ['HEAD'],
      upstream: ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
    },
    {
      name: 'HEAD without a length',
      send: request('HEAD /'),
      methods: ['HEAD'],
      upstream: ['HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n'],
    },
    {
      name: 'HEAD with chunks announced',
      send: request('HEAD /'),
      methods: ['HEAD'],
      upstream: ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'],
    },
    { name: '204', send: get('/'), upstream: ['HTTP/1.1 204 No Content\r\n\r\n'] },
    { name: '204 with length 0', send: get('/'), upstream: ['HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n'] },
    { name: '304', send: get('/'), upstream: ['HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n'] },
    { name: '304 with a length', send: get('/'), upstream: ['HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n'] },
    {
      name: '205 with length 0',
      send: get('/'),
      upstream: ['HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n'],
    },
    {
      name: 'a status without a standard text',
      send: get('/'),
      upstream: ['HTTP/1.1 299 Peculiar\r\ncontent-length: 0\r\n\r\n'],
    },
    {
      name: 'a status of 599',
      differs: { 'reason-phrases': ['status'] },
      send: get('/'),
      upstream: [response('599 Odd')],
    },
    { name: 'a status line without a text', send: get('/'), upstream: ['HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n'] },
    {
      name: 'a status line with a space and no text',
      send: get('/'),
      upstream: ['HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n'],
    },
    {
      name: '404 of the upstream',
      send: get('/'),
      upstream: [response('404 Not Found', ['content-type: text/html'], 'no')],
    },
    { name: '503 of the upstream', send: get('/'), upstream: [response('503 Service Unavailable')] },
    { name: 'a chunked request', send: request('POST /', [CHUNKED], '5\r\nhello\r\n0\r\n\r\n') },
    { name: 'a chunked request without chunks', send: request('POST /', [CHUNKED], '0\r\n\r\n') },
    { name: 'a chunked GET', send: request('GET /', [CHUNKED], '2\r\nok\r\n0\r\n\r\n') },
    {
      name: 'chunks in several writes',
      send: [request('POST /', [CHUNKED], '5\r\nhe'), 20, 'llo\r', 20, '\n1;a=b\r\n!\r\n0\r\n', 20, '\r\n'],
    },
    {
      name: 'chunk sizes in either case, with zeros',
      send: request('POST /', [CHUNKED], '000A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n'),
    },
    {
      name: 'chunk extensions',
      send: request('POST /', [CHUNKED], '2;name=value;other="quoted"\r\nok\r\n0;last\r\n\r\n'),
    },
    {
      name: 'trailers that are not enabled',
      send: request('POST /', [CHUNKED, 'Trailer: X-T'], '2\r\nok\r\n0\r\nX-T: v\r\n\r\n'),
    },
    {
      name: 'a chunked response',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    },
    {
      name: 'a chunked response in pieces',
      send: get('/'),
      upstream: [
        ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\no', 20, 'k\r\n3;x\r\nend\r\n', 20, '0\r\n\r\n'],
      ],
    },
    {
      name: 'response trailers that are not enabled',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: v\r\n\r\n'],
    },
    {
      name: 'a body up to the end of the connection',
      send: get('/'),
      upstream: [['HTTP/1.1 200 OK\r\nx-a: b\r\n\r\nbody', 'FIN']],
    },
    { name: 'two requests after one another', send: [get('/1'), { responses: 1 }, get('/2')], responses: 2 },
    { name: 'two pipelined requests', send: get('/1') + get('/2'), responses: 2, upstream: [[30, OK], OK] },
    {
      name: 'three pipelined requests with bodies',
      send: post('/1', 'one') + request('POST /2', [CHUNKED], '3\r\ntwo\r\n0\r\n\r\n') + get('/3'),
      responses: 3,
    },
    {
      name: 'a request byte by byte',
      send: [
        ...get('/slow')
          .split('')
          .flatMap((byte) => [byte, 1]),
      ],
    },
    { name: 'Connection: close', send: get('/', 'Connection: close') },
    { name: 'Connection: keep-alive', send: get('/', 'Connection: keep-alive') },
    {
      name: 'the upstream says close',
      send: get('/'),
      upstream: [['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok', 'FIN']],
    },
    {
      name: 'the upstream says close and two requests',
      send: [get('/1'), { responses: 1 }, get('/2')],
      responses: 2,
      upstream: [['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok', 'FIN']],
    },
    {
      name: 'a keep-alive header from the upstream',
      send: get('/'),
      upstream: [response('200 OK', ['Connection: keep-alive', 'Keep-Alive: timeout=5'])],
    },
    { name: 'the client half-closes behind its request', send: [get('/'), 80, 'FIN'], upstream: [[30, OK]] },
    { name: 'a body of 100,000 bytes', send: post('/', 'x'.repeat(100_000)) },
    { name: 'a response of 100,000 bytes', send: get('/'), upstream: [response('200 OK', [], 'y'.repeat(100_000))] },
    {
      name: 'cookies in several lines',
      send: get('/', 'Cookie: a=1', 'Cookie: b=2'),
      upstream: [response('200 OK', ['Set-Cookie: a=1', 'Set-Cookie: b=2'])],
    },
  ],
};

/** `Expect: 100-continue` and other interim responses. */
export const interim: Scenario = {
  name: 'interim',
  cases: [
    {
      name: 'the proxy continues the client',
      send: [request('POST /', ['Expect: 100-continue', 'Content-Length: 2']), { responses: 1 }, 'ok'],
      responses: 2,
    },
    {
      name: 'the body comes without waiting',
      send: request('POST /', ['Expect: 100-continue', 'Content-Length: 2'], 'ok'),
      responses: 2,
    },
    { name: 'an expectation that is unknown', send: post('/', 'ok', 'Expect: wonders') },
    {
      name: 'an expectation in other letters',
      send: request('POST /', ['Expect: 100-Continue', 'Content-Length: 2'], 'ok'),
      responses: 2,
    },
    { name: '100-continue without a body', send: get('/', 'Expect: 100-continue'), responses: 1 },
    {
      name: 'the upstream continues too',
      send: post('/', 'ok'),
      upstream: [[`HTTP/1.1 100 Continue\r\n\r\n${OK}`]],
      responses: 1,
    },
    {
      name: '103 from the upstream',
      send: get('/'),
      upstream: [`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`],
      responses: 1,
    },
    { name: '102 from the upstream', send: get('/'), upstream: [`HTTP/1.1 102 Processing\r\n\r\n${OK}`], responses: 1 },
    {
      name: '101 that nobody asked for',
      differs: { 'unasked-101': ['status', 'headers', 'body', 'upstreamFate', 'flags', 'details', 'log'] },
      send: get('/'),
      upstream: ['HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
    },
    {
      name: 'only an interim response, then the end',
      differs: { 'interim-is-no-response': ['details'] },
      send: get('/'),
      upstream: [['HTTP/1.1 103 Early Hints\r\n\r\n', 'FIN']],
    },
  ],
};

export const proxiedInterim: Scenario = {
  name: 'interim-proxied',
  manager: 'proxy_100_continue: true',
  cases: [
    {
      name: 'the upstream continues the client',
      send: [request('POST /', ['Expect: 100-continue', 'Content-Length: 2']), { responses: 1 }, 'ok'],
      responses: 2,
      upstream: [{ at: 'head', steps: ['HTTP/1.1 100 Continue\r\n\r\n', 40, OK] }],
    },
    {
      name: 'the upstream refuses',
      send: request('POST /', ['Expect: 100-continue', 'Content-Length: 2']),
      upstream: [{ at: 'head', steps: [response('417 Expectation Failed')] }],
    },
    {
      name: '103 from the upstream',
      differs: { 'reason-phrases': ['status'] },
      send: get('/'),
      upstream: [`HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}`],
      responses: 2,
    },
  ],
};

/** Trailers, where both sides have them enabled. */
export const trailers: Scenario = {
  name: 'trailers',
  manager: 'http_protocol_options: { enable_trailers: true }',
  cluster: `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http_protocol_options: { enable_trailers: true } }`,
  cases: [
    {
      name: 'request trailers',
      send: request('POST /', [CHUNKED, 'Trailer: X-T'], '2\r\nok\r\n0\r\nX-T: v\r\nX-U: w\r\n\r\n'),
    },
    {
      name: 'a request trailer with white space',
      send: request('POST /', [CHUNKED], '2\r\nok\r\n0\r\nX-T:   v  \r\n\r\n'),
    },
    { name: 'an invalid request trailer', send: request('POST /', [CHUNKED], '2\r\nok\r\n0\r\nX T: v\r\n\r\n') },
    {
      name: 'response trailers',
      send: get('/'),
      upstream: ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: v\r\n\r\n'],
    },
    { name: 'trailers without a body', send: request('POST /', [CHUNKED], '0\r\nX-T: v\r\n\r\n') },
    {
      name: 'a content-length among the trailers',
      differs: { 'forbidden-trailers': ['upstream'] },
      send: request('POST /', [CHUNKED], '2\r\nok\r\n0\r\nContent-Length: 5\r\n\r\n'),
    },
    {
      name: 'x-forwarded-for among the trailers',
      differs: { 'forbidden-trailers': ['upstream'] },
      send: request('POST /', [CHUNKED], '2\r\nok\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n'),
    },
  ],
};
