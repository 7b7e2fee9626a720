import { get, OK, post, request, response, type Scenario } from '../harness/case.ts';

function filter(name: string, type: string, fields: string): string {
  const lines = fields.split('\n').map((line) => `    ${line}`);
  return `- name: ${name}\n  typed_config:\n    "@type": type.googleapis.com/envoy.extensions.filters.http.${type}\n${lines.join('\n')}`;
}

const rbac = (fields: string) => filter('envoy.filters.http.rbac', 'rbac.v3.RBAC', fields);
const policy = (name: string, permission: string, principal = '{ any: true }') =>
  `    ${name}: { permissions: [${permission}], principals: [${principal}] }`;

const RBAC_ACTIONS: [name: string, action: string][] = [
  ['rbac-allow', 'ALLOW'],
  ['rbac-deny', 'DENY'],
];

/** Access rules, as a list of what is allowed and as a list of what is denied. */
export const rbacs: readonly Scenario[] = RBAC_ACTIONS.map(([name, action]) => ({
  name,
  filters: rbac(`rules:
  action: ${action}
  policies:
${policy('header', '{ header: { name: x-user, string_match: { exact: admin } } }')}
${policy('prefix', '{ header: { name: x-group, string_match: { prefix: ops } } }')}
${policy('path', '{ url_path: { path: { exact: /path } } }')}
${policy('method', '{ and_rules: { rules: [{ header: { name: ":method", string_match: { exact: PUT } } }, { not_rule: { header: { name: x-no, present_match: true } } }] } }')}
${policy('remote', '{ url_path: { path: { prefix: /local } } }', '{ remote_ip: { address_prefix: 127.0.0.0, prefix_len: 8 } }')}
${policy('direct', '{ url_path: { path: { prefix: /other } } }', '{ direct_remote_ip: { address_prefix: 10.0.0.0, prefix_len: 8 } }')}`),
  stats: [`http.${name}.rbac.allowed`, `http.${name}.rbac.denied`],
  cases: [
    { name: 'nothing', send: get('/') },
    { name: 'a header', send: get('/', 'X-User: admin') },
    { name: 'a header in two lines', send: get('/', 'X-User: guest', 'X-User: admin') },
    { name: 'a header in two lines, the other way round', send: get('/', 'X-User: admin', 'X-User: guest') },
    { name: 'a header with a comma', send: get('/', 'X-User: admin,guest') },
    { name: 'a header in other letters', send: get('/', 'X-User: Admin') },
    { name: 'a prefix in the second line', send: get('/', 'X-Group: dev', 'X-Group: ops-1') },
    { name: 'a path', send: get('/path?query') },
    { name: 'a path in other letters', send: get('/Path') },
    { name: 'a path with a dot segment', send: get('/x/../path') },
    { name: 'a method', send: request('PUT /', ['Content-Length: 0']) },
    { name: 'a method, but not with a header', send: request('PUT /', ['Content-Length: 0', 'X-No: 1']) },
    { name: 'an address', send: get('/local') },
    { name: 'an address that is another', send: get('/other') },
    { name: 'a forwarded address', send: get('/local', 'X-Forwarded-For: 10.1.1.1') },
    { name: 'a body', send: post('/', 'body') },
    { name: 'gRPC', send: post('/', '', 'Content-Type: application/grpc') },
    { name: 'HEAD', send: request('HEAD /'), methods: ['HEAD'] },
  ],
}));

/** Requests per time. The buckets do not fill again while the test runs. */
export const localRateLimit: Scenario = {
  name: 'rate-limit',
  filters: filter(
    'envoy.filters.http.local_ratelimit',
    'local_ratelimit.v3.LocalRateLimit',
    `stat_prefix: limit
token_bucket: { max_tokens: 2, tokens_per_fill: 1, fill_interval: 3600s }
filter_enabled: { default_value: { numerator: 100 } }
filter_enforced: { default_value: { numerator: 100 } }
enable_x_ratelimit_headers: DRAFT_VERSION_03
response_headers_to_add: [{ header: { key: x-limited, value: "yes" } }]`,
  ),
  stats: ['enabled', 'ok', 'rate_limited', 'enforced'].map((name) => `limit.http_local_rate_limit.${name}`),
  cases: [
    { name: 'the first', send: get('/'), probe: false },
    { name: 'the second', send: get('/'), probe: false },
    { name: 'the third', send: get('/'), probe: false },
    { name: 'the fourth, with a body', send: post('/', 'body'), probe: false },
    { name: 'the fifth, gRPC', send: post('/', '', 'Content-Type: application/grpc'), probe: false },
  ],
};

export const ipTags: Scenario = {
  name: 'ip-tags',
  manager: 'xff_num_trusted_hops: 0',
  filters: filter(
    'envoy.filters.http.ip_tagging',
    'ip_tagging.v3.IPTagging',
    `request_type: BOTH
ip_tags:
- { ip_tag_name: loopback, ip_list: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }
- { ip_tag_name: ten, ip_list: [{ address_prefix: 10.0.0.0, prefix_len: 8 }] }
- { ip_tag_name: ten-one, ip_list: [{ address_prefix: 10.1.0.0, prefix_len: 16 }] }
- { ip_tag_name: six, ip_list: [{ address_prefix: "2001:db8::", prefix_len: 32 }] }`,
  ),
  cases: [
    { name: 'the peer', send: get('/') },
    { name: 'a forwarded address', send: get('/', 'X-Forwarded-For: 10.0.0.1') },
    { name: 'a narrower range', send: get('/', 'X-Forwarded-For: 10.1.0.1') },
    { name: 'IPv6', send: get('/', 'X-Forwarded-For: 2001:db8::5') },
    { name: 'no range', send: get('/', 'X-Forwarded-For: 11.0.0.1') },
    { name: 'a forged tag', send: get('/', 'X-Envoy-Ip-Tags: forged', 'X-Forwarded-For: 11.0.0.1') },
  ],
};

const ORIGIN = 'Origin: https://app.example';

/** The same ranges, the wider one last. */
export const ipTagsReversed: Scenario = {
  name: 'ip-tags-reversed',
  filters: filter(
    'envoy.filters.http.ip_tagging',
    'ip_tagging.v3.IPTagging',
    `request_type: BOTH
ip_tags:
- { ip_tag_name: ten-one, ip_list: [{ address_prefix: 10.1.0.0, prefix_len: 16 }] }
- { ip_tag_name: a-ten, ip_list: [{ address_prefix: 10.0.0.0, prefix_len: 8 }] }
- { ip_tag_name: same, ip_list: [{ address_prefix: 10.1.0.0, prefix_len: 16 }] }`,
  ),
  cases: [{ name: 'several ranges', send: get('/', 'X-Forwarded-For: 10.1.0.1') }],
};

export const cors: Scenario = {
  name: 'cors',
  filters: filter('envoy.filters.http.cors', 'cors.v3.Cors', ''),
  virtualHost: `typed_per_filter_config:
  envoy.filters.http.cors:
    "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy
    allow_origin_string_match: [{ exact: "https://app.example" }, { safe_regex: { regex: "https://[a-z]+\\\\.test" } }]
    allow_methods: GET, POST
    allow_headers: x-a, x-b
    expose_headers: x-c
    max_age: "60"
    allow_credentials: true`,
  stats: ['http.cors.cors.origin_valid', 'http.cors.cors.origin_invalid'],
  cases: [
    { name: 'no origin', send: get('/') },
    { name: 'an origin', send: get('/', ORIGIN) },
    { name: 'an origin by its pattern', send: get('/', 'Origin: https://abc.test') },
    { name: 'another origin', send: get('/', 'Origin: https://evil.example') },
    { name: 'an origin that nearly matches', send: get('/', 'Origin: https://abc.test.evil') },
    { name: 'a preflight', send: request('OPTIONS /', [ORIGIN, 'Access-Control-Request-Method: POST']) },
    {
      name: 'a preflight of another origin',
      send: request('OPTIONS /', ['Origin: https://evil.example', 'Access-Control-Request-Method: POST']),
    },
    { name: 'OPTIONS that is no preflight', send: request('OPTIONS /', [ORIGIN]) },
    {
      name: 'a preflight with an empty method',
      send: request('OPTIONS /', [ORIGIN, 'Access-Control-Request-Method: ']),
    },
    {
      name: 'an app that answers CORS itself',
      send: get('/', ORIGIN),
      upstream: [response('200 OK', ['access-control-allow-origin: *'])],
    },
    { name: 'origin null', send: get('/', 'Origin: null') },
  ],
};

export const headerToMetadata: Scenario = {
  name: 'header-to-metadata',
  filters: filter(
    'envoy.filters.http.header_to_metadata',
    'header_to_metadata.v3.Config',
    `request_rules:
- { header: x-version, on_header_present: { metadata_namespace: ns, key: version }, on_header_missing: { metadata_namespace: ns, key: version, value: default }, remove: true }
- { header: x-number, on_header_present: { metadata_namespace: ns, key: number, type: NUMBER } }
- { cookie: session, on_header_present: { metadata_namespace: ns, key: session } }
- { header: ":path", on_header_present: { metadata_namespace: ns, key: path, regex_value_rewrite: { pattern: { regex: "^/([a-z]+)/.*$" }, substitution: "\\\\1" } } }`,
  ),
  routes: `- match: { prefix: / }
  route: { cluster: $app }
  request_headers_to_add:
  - { header: { key: x-m-version, value: "%DYNAMIC_METADATA(ns:version)%" } }
  - { header: { key: x-m-number, value: "%DYNAMIC_METADATA(ns:number)%" } }
  - { header: { key: x-m-session, value: "%DYNAMIC_METADATA(ns:session)%" } }
  - { header: { key: x-m-path, value: "%DYNAMIC_METADATA(ns:path)%" } }`,
  cases: [
    { name: 'present', send: get('/abc/d', 'X-Version: 2', 'X-Number: 4.5', 'Cookie: a=b; session=s1; c=d') },
    { name: 'missing', send: get('/') },
    { name: 'empty', send: get('/', 'X-Version: ', 'X-Number: ', 'Cookie: session=') },
    { name: 'no number', send: get('/', 'X-Number: many') },
    { name: 'two lines', send: get('/', 'X-Version: 1', 'X-Version: 2') },
    { name: 'cookies in two lines', send: get('/', 'Cookie: a=b', 'Cookie: session=s2') },
  ],
};

export const faults: Scenario = {
  name: 'faults',
  filters: filter(
    'envoy.filters.http.fault',
    'fault.v3.HTTPFault',
    `abort: { http_status: 503, percentage: { numerator: 100 } }
headers: [{ name: x-fault, string_match: { exact: abort } }]`,
  ),
  stats: ['http.faults.fault.aborts_injected'],
  cases: [
    { name: 'not asked for', send: get('/') },
    { name: 'an abort', send: get('/', 'X-Fault: abort') },
    { name: 'an abort of a request with a body', send: post('/', 'body', 'X-Fault: abort') },
    { name: 'an abort of gRPC', send: post('/', '', 'X-Fault: abort', 'Content-Type: application/grpc') },
  ],
};

export const buffers: Scenario = {
  name: 'buffers',
  filters: filter('envoy.filters.http.buffer', 'buffer.v3.Buffer', 'max_request_bytes: 10'),
  cases: [
    { name: 'a body that fits', send: post('/', '0123456789') },
    {
      name: 'chunks that fit get a length',
      send: request('POST /', ['Transfer-Encoding: chunked'], '2\r\nok\r\n2\r\nay\r\n0\r\n\r\n'),
    },
    { name: 'a body that comes in pieces', send: [request('POST /', ['Content-Length: 4']), 'o', 15, 'ka', 15, 'y'] },
    { name: 'a body that is too long', differs: { 'early-refusal': ['log'] }, send: post('/', '0123456789a') },
    {
      name: 'chunks that are too long',
      send: request('POST /', ['Transfer-Encoding: chunked'], 'b\r\n0123456789a\r\n0\r\n\r\n'),
    },
    { name: 'no body', send: get('/') },
    { name: 'an empty chunked body', send: request('POST /', ['Transfer-Encoding: chunked'], '0\r\n\r\n') },
    {
      name: 'a body that does not come whole',
      send: [request('POST /', ['Content-Length: 5']), 'he', 20, 'FIN'],
      responses: 0,
      probe: false,
    },
  ],
};

export const healthChecks: Scenario = {
  name: 'health-checks',
  filters: filter(
    'envoy.filters.http.health_check',
    'health_check.v3.HealthCheck',
    `pass_through_mode: false
headers: [{ name: ":path", string_match: { exact: /healthz } }]`,
  ),
  cases: [
    { name: 'the check', send: get('/healthz') },
    { name: 'the check with a query', send: get('/healthz?x') },
    { name: 'HEAD of the check', send: request('HEAD /healthz'), methods: ['HEAD'] },
    {
      name: 'POST to the check',
      differs: { 'health-check-body': ['headers', 'fate', 'log'] },
      send: post('/healthz', 'body'),
    },
    { name: 'another path', send: get('/other') },
  ],
};

export const mutations: Scenario = {
  name: 'mutations',
  filters: filter(
    'envoy.filters.http.header_mutation',
    'header_mutation.v3.HeaderMutation',
    `mutations:
  request_mutations:
  - append: { header: { key: x-added, value: "%REQ(x-a)%-b" }, append_action: APPEND_IF_EXISTS_OR_ADD }
  - append: { header: { key: x-set, value: new }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }
  - remove: x-remove
  response_mutations:
  - append: { header: { key: x-added, value: "%RESPONSE_CODE%" } }
  - remove: x-remove`,
  ),
  routes:
    '- match: { prefix: /reply }\n  direct_response: { status: 200 }\n- match: { prefix: / }\n  route: { cluster: $app }',
  cases: [
    {
      name: 'a request and its response',
      send: get('/', 'X-A: a', 'X-Set: old', 'X-Remove: r', 'X-Added: first'),
      upstream: [response('200 OK', ['x-remove: r', 'x-added: first'])],
    },
    { name: 'a reply of the proxy', send: get('/reply') },
    { name: 'an upstream that fails', send: get('/'), upstream: [['FIN'], OK] },
  ],
};
