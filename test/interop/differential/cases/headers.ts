import { get, OK, post, request, response, type Scenario } from '../harness/case.ts';

const add = (key: string, value: string, action = '') =>
  `{ header: { key: ${key}, value: "${value}" }${action === '' ? '' : `, append_action: ${action}`} }`;

const OPERATORS = [
  'REQ(x-a)',
  'REQ(x-none)',
  'REQ(x-none?x-a)',
  'REQ(x-a):2',
  'REQ(:path)',
  'REQ(:method)',
  'PROTOCOL',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'ROUTE_NAME',
  'UPSTREAM_CLUSTER',
  'RESPONSE_CODE',
  'BYTES_RECEIVED',
  'REQUESTED_SERVER_NAME',
  'DYNAMIC_METADATA(a:b)',
];

/** Headers that the configuration adds, replaces and removes, at every level. */
export const headerLevels: Scenario = {
  name: 'header-levels',
  filters: `- name: envoy.filters.http.fault
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
    abort: { http_status: 429, percentage: { numerator: 100 } }
    headers: [{ name: x-fault, present_match: true }]`,
  routeConfiguration: `validate_clusters: false
request_headers_to_add: [${add('x-level', 'table')}, ${add('x-over', 'table', 'OVERWRITE_IF_EXISTS_OR_ADD')}]
response_headers_to_add: [${add('x-level', 'table')}, ${add('x-over', 'table', 'OVERWRITE_IF_EXISTS_OR_ADD')}]
request_headers_to_remove: [x-remove-table]
response_headers_to_remove: [x-remove-table]`,
  virtualHost: `request_headers_to_add: [${add('x-level', 'host')}, ${add('x-over', 'host', 'OVERWRITE_IF_EXISTS_OR_ADD')}]
response_headers_to_add: [${add('x-level', 'host')}, ${add('x-over', 'host', 'OVERWRITE_IF_EXISTS_OR_ADD')}]
request_headers_to_remove: [x-remove-host]`,
  routes: `- match: { prefix: /actions }
  route: { cluster: $app }
  request_headers_to_add:
  - ${add('x-append', 'new', 'APPEND_IF_EXISTS_OR_ADD')}
  - ${add('x-absent', 'new', 'ADD_IF_ABSENT')}
  - ${add('x-replace', 'new', 'OVERWRITE_IF_EXISTS_OR_ADD')}
  - ${add('x-if', 'new', 'OVERWRITE_IF_EXISTS')}
  - { header: { key: x-empty, value: "%REQ(x-none)%" } }
  - { header: { key: x-kept, value: "%REQ(x-none)%" }, keep_empty_value: true }
  response_headers_to_add:
  - ${add('x-append', 'new', 'APPEND_IF_EXISTS_OR_ADD')}
  - ${add('x-absent', 'new', 'ADD_IF_ABSENT')}
  - ${add('x-replace', 'new', 'OVERWRITE_IF_EXISTS_OR_ADD')}
  - ${add('x-if', 'new', 'OVERWRITE_IF_EXISTS')}
  request_headers_to_remove: [x-remove, user-agent]
  response_headers_to_remove: [x-remove, server]
- match: { prefix: /operators }
  name: the-route
  route: { cluster: $app }
  request_headers_to_add:
${OPERATORS.map((operator, index) => `  - ${add(`x-op-${index}`, `<%${operator}%>`)}`).join('\n')}
  - ${add('x-percent', '100%%')}
  response_headers_to_add:
  - ${add('x-code', '%RESPONSE_CODE%')}
  - ${add('x-resp', '%RESP(x-up)%')}
  - ${add('x-details', '%RESPONSE_CODE_DETAILS%')}
  - ${add('x-flags', '%RESPONSE_FLAGS%')}
- match: { prefix: /weighted }
  route:
    weighted_clusters:
      clusters:
      - name: $app
        weight: 1
        request_headers_to_add: [${add('x-level', 'cluster')}]
        response_headers_to_add: [${add('x-level', 'cluster')}]
        request_headers_to_remove: [x-remove-cluster]
  request_headers_to_add: [${add('x-level', 'route')}]
  response_headers_to_add: [${add('x-level', 'route')}]
- match: { prefix: /slow }
  route: { cluster: $app, timeout: 0.06s }
- match: { prefix: /nowhere }
  route: { cluster: nowhere }
- match: { prefix: /direct }
  direct_response: { status: 200 }
  response_headers_to_add: [${add('x-level', 'route')}]
- match: { prefix: / }
  route: { cluster: $app }
  request_headers_to_add: [${add('x-level', 'route')}, ${add('x-over', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD')}]
  response_headers_to_add: [${add('x-level', 'route')}, ${add('x-over', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD')}]`,
  cases: [
    {
      name: 'every level',
      send: get('/', 'X-Remove-Table: a', 'X-Remove-Host: b', 'X-Stay: c'),
      upstream: [response('200 OK', ['x-remove-table: a', 'x-stay: c'])],
    },
    {
      name: 'every level over what is there',
      send: get('/', 'X-Level: client', 'X-Over: client'),
      upstream: [response('200 OK', ['x-level: app', 'x-over: app'])],
    },
    { name: 'a weighted cluster', send: get('/weighted', 'X-Remove-Cluster: a') },
    { name: 'a direct response', send: get('/direct') },
    { name: 'a reply of a filter', send: get('/', 'X-Fault: 1') },
    { name: 'a reply of a filter to a direct response', send: get('/direct', 'X-Fault: 1') },
    { name: 'a timeout', send: get('/slow'), upstream: [[300, OK]] },
    { name: 'a cluster that is not there', send: get('/nowhere') },
    { name: 'an upgrade that is refused', send: get('/', 'Connection: upgrade', 'Upgrade: x') },
    {
      name: 'actions on what is absent',
      send: get('/actions', 'User-Agent: u', 'X-Remove: r'),
      upstream: [response('200 OK', ['x-remove: r'])],
    },
    {
      name: 'actions on what is there',
      send: get('/actions', 'X-Append: old', 'X-Absent: old', 'X-Replace: old', 'X-If: old'),
      upstream: [response('200 OK', ['x-append: old', 'x-absent: old', 'x-replace: old', 'x-if: old'])],
    },
    {
      name: 'actions on several lines',
      send: get('/actions', 'X-Replace: 1', 'X-Replace: 2', 'X-If: 1', 'X-If: 2', 'X-Remove: 1', 'X-Remove: 2'),
    },
    { name: 'operators', send: get('/operators', 'X-A: value'), upstream: [response('200 OK', ['x-up: from-app'])] },
    { name: 'operators on a failure', send: get('/operators', 'X-A: value'), upstream: [['FIN']] },
  ],
};

/** Spelling of header names. */
export const preservedCase: Scenario = {
  name: 'preserved-case',
  manager: `http_protocol_options:
  header_key_format:
    stateful_formatter:
      name: preserve_case
      typed_config: { "@type": type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig }`,
  cluster: `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config:
      http_protocol_options:
        header_key_format:
          stateful_formatter:
            name: preserve_case
            typed_config: { "@type": type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig }`,
  cases: [
    {
      name: 'a request and its response',
      send: get('/', 'X-MiXed: a', 'ACCEPT: b', 'lower: c'),
      upstream: [response('200 OK', ['X-ReSp: a', 'lower: b', 'Content-Type: c'])],
    },
    { name: 'a body', send: post('/', 'ok') },
    {
      name: 'chunks',
      differs: { 'framing-spelling': ['headers', 'upstream'] },
      send: request('POST /', ['Transfer-Encoding: chunked'], '2\r\nok\r\n0\r\n\r\n'),
      upstream: ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    },
    { name: 'Connection: close', send: get('/', 'Connection: close') },
  ],
};

export const properCase: Scenario = {
  name: 'proper-case',
  manager: 'http_protocol_options: { header_key_format: { proper_case_words: {} } }',
  cluster: `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http_protocol_options: { header_key_format: { proper_case_words: {} } } }`,
  cases: [
    {
      name: 'a request and its response',
      send: get('/', 'x-some-header: a', 'X-MiXed: b', 'a1b-2c.d_e: c'),
      upstream: [response('200 OK', ['x-resp-one: a', 'etag: b', 'x_y.z: c'])],
    },
    { name: 'a body', send: post('/', 'ok') },
    {
      name: 'chunks and close',
      send: request('POST /', ['Transfer-Encoding: chunked', 'Connection: close'], '2\r\nok\r\n0\r\n\r\n'),
      upstream: ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
    },
  ],
};

/** Modes of the Server header, names, Via. */
export const serverNames: readonly Scenario[] = [
  ['server-append', 'server_header_transformation: APPEND_IF_ABSENT\nserver_name: outer\nvia: edge'],
  ['server-pass', 'server_header_transformation: PASS_THROUGH'],
  [
    'server-name',
    'server_name: outer\nvia: edge\nalways_set_request_id_in_response: true\nscheme_header_transformation: { scheme_to_overwrite: https }',
  ],
].map(
  ([name, manager]): Scenario => ({
    name: name as string,
    manager: manager as string,
    routes:
      '- match: { prefix: /redirect }\n  redirect: { path_redirect: /new }\n- match: { prefix: / }\n  route: { cluster: $app }',
    cases: [
      {
        name: 'an app that names itself',
        send: get('/', 'Via: 1.1 before', 'X-Request-Id: mine'),
        upstream: [response('200 OK', ['server: app', 'via: 1.1 app'])],
      },
      { name: 'an app that does not', send: get('/', 'X-Request-Id: mine'), upstream: [response('200 OK')] },
      { name: 'a reply of the proxy', send: get('/'), upstream: [['FIN']] },
      { name: 'a redirect', send: get('/redirect') },
      { name: 'a redirect with x-forwarded-proto', send: get('/redirect', 'X-Forwarded-Proto: http') },
    ],
  }),
);
