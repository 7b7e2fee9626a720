import { get, OK, post, request, type Scenario } from '../harness/case.ts';

/** Replies of the proxy's own, rewritten. */
export const localReplies: Scenario = {
  name: 'local-replies',
  manager: `local_reply_config:
  mappers:
  - filter: { status_code_filter: { comparison: { op: EQ, value: { default_value: 404, runtime_key: none } } } }
    status_code: 410
    body: { inline_string: gone ü }
    headers_to_add: [{ header: { key: x-mapped, value: "%RESPONSE_CODE%" }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }]
  - filter: { response_flag_filter: { flags: [UC] } }
    status_code: 599
    body_format_override: { text_format_source: { inline_string: "%LOCAL_REPLY_BODY%|%RESPONSE_CODE%|%REQ(:path)%" }, content_type: text/html }
  - filter: { header_filter: { header: { name: x-json, present_match: true } } }
    body_format_override: { json_format: { umlaut: ö, code: "%RESPONSE_CODE%", body: "%LOCAL_REPLY_BODY%", path: "%REQ(:path)%" } }
  body_format: { text_format_source: { inline_string: "ä[%LOCAL_REPLY_BODY%] %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%" } }`,
  routes: `- match: { prefix: /direct }
  direct_response: { status: 418, body: { inline_string: teapot } }
- match: { prefix: /missing }
  direct_response: { status: 404 }
- match: { prefix: /redirect }
  redirect: { path_redirect: /new }
- match: { prefix: /app }
  route: { cluster: $app }`,
  cases: [
    { name: 'no route', send: get('/none') },
    { name: 'no route, HEAD', send: request('HEAD /none'), methods: ['HEAD'] },
    { name: 'a direct response', send: get('/direct') },
    { name: 'a direct 404', send: get('/missing') },
    { name: 'a redirect', send: get('/redirect') },
    {
      name: 'an upstream that closes',
      differs: { 'reason-phrases': ['status'] },
      send: get('/app'),
      upstream: [['FIN']],
    },
    { name: 'JSON', send: get('/direct', 'X-Json: 1') },
    { name: '404 of the app', send: get('/app'), upstream: ['HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'] },
    { name: 'a head that is wrong', differs: { 'named-faults': ['headers', 'body', 'log'] }, send: 'nonsense\r\n\r\n' },
    { name: 'gRPC without a route', send: post('/none', '', 'Content-Type: application/grpc') },
  ],
};

const GRPC = 'Content-Type: application/grpc';

/** Local replies to gRPC become trailers-only responses. */
export const grpcReplies: Scenario = {
  name: 'grpc-replies',
  routes: ['400', '401', '403', '404', '408', '413', '429', '500', '501', '502', '503', '504']
    .map(
      (status) =>
        `- match: { prefix: /${status} }\n  direct_response: { status: ${status}, body: { inline_string: "it's 100% ü ~" } }`,
    )
    .concat('- match: { prefix: /app }\n  route: { cluster: $app, timeout: 0.08s }')
    .join('\n'),
  cases: [
    ...['/400', '/401', '/403', '/404', '/408', '/413', '/429', '/500', '/501', '/502', '/503', '/504', '/none'].map(
      (path) => ({ name: path, send: post(path, '', GRPC) }),
    ),
    { name: 'with a body that follows', send: [request('POST /503', [GRPC, 'Content-Length: 5']), 'he'] },
    { name: 'an upstream that closes', send: post('/app', '', GRPC), upstream: [['FIN']] },
    { name: 'an upstream that is slow', send: post('/app', '', GRPC), upstream: [[300, OK]] },
  ],
};
