import { get, post, request, type Scenario } from '../harness/case.ts';

function direct(match: string, name: string): string {
  return `- match: ${match}\n  direct_response: { status: 200, body: { inline_string: ${name} } }`;
}

/** Which route a request takes: every route answers its own name. */
export const matches: Scenario = {
  name: 'matches',
  routes: [
    direct('{ path: /exact }', 'exact'),
    direct('{ path: /CaSe, case_sensitive: false }', 'insensitive'),
    direct('{ path_separated_prefix: /separated }', 'separated'),
    direct('{ safe_regex: { regex: "/re/[0-9]+" } }', 'regex'),
    direct('{ prefix: /h, headers: [{ name: x-a, string_match: { exact: one } }] }', 'header-exact'),
    direct('{ prefix: /h, headers: [{ name: x-a, string_match: { prefix: pre } }] }', 'header-prefix'),
    direct('{ prefix: /h, headers: [{ name: x-n, range_match: { start: 5, end: 10 } }] }', 'header-range'),
    direct(
      '{ prefix: /h, headers: [{ name: x-absent, present_match: false }, { name: x-p, present_match: true }] }',
      'header-present',
    ),
    direct(
      '{ prefix: /h, headers: [{ name: x-i, string_match: { exact: never }, invert_match: true }, { name: x-i, present_match: true }] }',
      'header-inverted',
    ),
    direct('{ prefix: /h, headers: [{ name: ":method", string_match: { exact: DELETE } }] }', 'header-method'),
    direct('{ prefix: /q, query_parameters: [{ name: a, string_match: { exact: "1" } }] }', 'query-exact'),
    direct('{ prefix: /q, query_parameters: [{ name: b, present_match: true }] }', 'query-present'),
    direct('{ prefix: /never, runtime_fraction: { default_value: { numerator: 0 } } }', 'never'),
    direct('{ prefix: /grpc, grpc: {} }', 'grpc'),
    direct('{ prefix: /long }', 'long'),
    direct('{ prefix: /long/er }', 'longer'),
    direct('{ prefix: / }', 'rest'),
  ].join('\n'),
  virtualHosts: [
    'exact.example',
    '*.suffix.example',
    '*-dash.example',
    'prefix.*',
    'UPPER.example',
    'port.example:8080',
    '[::1]',
  ]
    .map(
      (domain, index) =>
        `- name: host-${index}\n  domains: ["${domain}"]\n  routes:\n  - match: { prefix: / }\n    direct_response: { status: 200, body: { inline_string: "${domain}" } }`,
    )
    .join('\n'),
  cases: [
    ...[
      '/exact',
      '/exact?q',
      '/exact/',
      '/case',
      '/CASE?x',
      '/separated',
      '/separated/x',
      '/separatedx',
      '/re/12',
      '/re/12x',
      '/re/12?q',
      '/q?a=1',
      '/q?a=2',
      '/q?x&b',
      '/q?a=%31',
      '/q?b=',
      '/never',
      '/grpc',
      '/long/er',
      '/other',
      '/',
    ].map((path) => ({ name: path, send: get(path) })),
    { name: 'a header that is equal', send: get('/h', 'X-A: one') },
    { name: 'a header in two lines', send: get('/h', 'X-A: one', 'X-A: two') },
    { name: 'a header with a prefix', send: get('/h', 'X-A: prefixed') },
    { name: 'a header within a range', send: get('/h', 'X-N: 9') },
    { name: 'a header at the end of a range', send: get('/h', 'X-N: 10') },
    { name: 'a header that is no number', send: get('/h', 'X-N: 7x') },
    { name: 'a header that is there, another that is not', send: get('/h', 'X-P: ') },
    { name: 'an inverted header', send: get('/h', 'X-I: yes') },
    { name: 'an inverted header that is equal', send: get('/h', 'X-I: never') },
    { name: 'the method as a header', send: request('DELETE /h') },
    { name: 'gRPC', send: post('/grpc', '', 'Content-Type: application/grpc+proto') },
    { name: 'nearly gRPC', send: post('/grpc', '', 'Content-Type: application/grpc-web') },
    { name: 'HEAD of a direct response', send: request('HEAD /'), methods: ['HEAD'] },
    { name: 'a body to a direct response', send: post('/', 'body') },
    ...[
      'exact.example',
      'EXACT.example',
      'exact.example:80',
      'exact.example.',
      'a.suffix.example',
      'a.b.suffix.example',
      'suffix.example',
      'x-dash.example',
      'prefix.anything',
      'upper.example',
      'port.example:8080',
      'port.example',
      '[::1]',
      'other.example',
    ].map((host) => ({
      name: `host ${host}`,
      send: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    })),
  ],
};

function redirect(path: string, fields: string): string {
  return `- match: { prefix: ${path} }\n  redirect: { ${fields} }`;
}

/** Where redirects lead, and direct responses without a body. */
export const redirects: Scenario = {
  name: 'redirects',
  routes: [
    redirect('/host', 'host_redirect: other.example'),
    redirect('/port', 'port_redirect: 8443'),
    redirect('/https', 'https_redirect: true'),
    redirect('/scheme', 'scheme_redirect: ftp'),
    redirect('/path', 'path_redirect: /new'),
    redirect('/query', 'path_redirect: "/new?x=y"'),
    redirect('/prefix', 'prefix_rewrite: /to'),
    redirect('/regex', 'regex_rewrite: { pattern: { regex: "^/regex/(.*)$" }, substitution: "/r/\\\\1" }'),
    redirect('/strip', 'path_redirect: /new, strip_query: true'),
    redirect('/301', 'path_redirect: /new, response_code: MOVED_PERMANENTLY'),
    redirect('/302', 'path_redirect: /new, response_code: FOUND'),
    redirect('/303', 'path_redirect: /new, response_code: SEE_OTHER'),
    redirect('/307', 'path_redirect: /new, response_code: TEMPORARY_REDIRECT'),
    redirect('/308', 'path_redirect: /new, response_code: PERMANENT_REDIRECT'),
    redirect('/all', 'https_redirect: true, host_redirect: other.example, port_redirect: 444, path_redirect: /new'),
    '- match: { prefix: /400 }\n  direct_response: { status: 400 }',
    '- match: { prefix: /403 }\n  direct_response: { status: 403 }',
    '- match: { prefix: /204 }\n  direct_response: { status: 204 }',
    '- match: { prefix: /typed }\n  direct_response: { status: 200, body: { inline_string: "{}" } }\n  response_headers_to_add: [{ header: { key: content-type, value: application/json } }]',
  ].join('\n'),
  cases: [
    ...[
      '/host/a?b',
      '/port/a',
      '/https/a?b',
      '/scheme',
      '/path/a?b',
      '/query/a?b',
      '/prefix/a?b',
      '/prefixed',
      '/regex/a?b',
      '/strip?x',
      '/301',
      '/302',
      '/303',
      '/307',
      '/308',
      '/all?x',
      '/400',
      '/403',
      '/204',
      '/typed',
      '/elsewhere',
    ].map((path) => ({ name: path, send: get(path) })),
    { name: 'https with a port', send: get('/https').replace('test.example', 'test.example:80') },
    { name: 'port over a port', send: get('/port').replace('test.example', 'test.example:80') },
    { name: 'host over an IPv6 address', send: get('/port').replace('test.example', '[::1]:80') },
    { name: 'forwarded as https', send: get('/host', 'X-Forwarded-Proto: https') },
    { name: 'HEAD', send: request('HEAD /host'), methods: ['HEAD'] },
    { name: 'POST', send: post('/307', 'body') },
    { name: 'an absolute target', send: get('http://abs.example/path/x') },
  ],
};

/** What of a request's path and host reaches the upstream. */
export const rewrites: Scenario = {
  name: 'rewrites',
  routes: `- match: { prefix: /prefix/ }
  route: { cluster: $app, prefix_rewrite: / }
- match: { prefix: /same }
  route: { cluster: $app, prefix_rewrite: /other }
- match: { path: /path }
  route: { cluster: $app, prefix_rewrite: /other }
- match: { prefix: /regex }
  route: { cluster: $app, regex_rewrite: { pattern: { regex: "/regex/([a-z]+)/([a-z]+)" }, substitution: "/\\\\2/\\\\1" } }
- match: { prefix: /host-literal }
  route: { cluster: $app, host_rewrite_literal: literal.example }
- match: { prefix: /host-header }
  route: { cluster: $app, host_rewrite_header: x-host }
- match: { prefix: /host-regex }
  route: { cluster: $app, host_rewrite_path_regex: { pattern: { regex: "^/host-regex/(.+)/x$" }, substitution: "\\\\1" } }
- match: { prefix: /append-host }
  route: { cluster: $app, host_rewrite_literal: literal.example, append_x_forwarded_host: true }
- match: { prefix: /weighted }
  route: { weighted_clusters: { clusters: [{ name: $app, weight: 1, request_headers_to_add: [{ header: { key: x-w, value: w } }], host_rewrite_literal: weighted.example }, { name: none, weight: 0 }] } }
- match: { prefix: / }
  route: { cluster: $app }`,
  routeConfiguration: 'validate_clusters: false',
  cases: [
    ...[
      '/prefix/a?b',
      '/prefix/',
      '/same/a',
      '/samea?x',
      '/path?q',
      '/regex/a/b?c',
      '/regex/1',
      '/host-literal',
      '/host-regex/h.example/x?q',
      '/append-host',
      '/weighted',
      '/plain?a=b',
    ].map((path) => ({ name: path, send: get(path) })),
    { name: 'host of a header', send: get('/host-header', 'X-Host: header.example') },
    { name: 'host of a header that is missing', send: get('/host-header') },
    { name: 'x-forwarded-host is there already', send: get('/append-host', 'X-Forwarded-Host: first.example') },
    { name: 'x-envoy-original-path from outside', send: get('/prefix/a', 'X-Envoy-Original-Path: /forged') },
  ],
};
