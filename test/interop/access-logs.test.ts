import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { LOG_FILE, type ProxyName, ProxyProcess } from '../support/proxy-process.ts';
import { ask, eventually, type Question, startApp } from '../support/story.ts';

const OPERATORS = [
  'REQ(:METHOD)',
  'REQ(X-A)',
  'REQ(X-ABSENT?X-A)',
  'REQ(X-A):3',
  'REQUEST_HEADER(X-A)',
  'RESP(X-B)',
  'RESP(X-ABSENT?X-B):2',
  'RESPONSE_HEADER(X-B)',
  'TRAILER(X-T)',
  'RESPONSE_TRAILER(X-T)',
  'PATH',
  'PATH(NQ)',
  'PATH(WQ:PATH)',
  'PATH(NQ:ORIG)',
  'PATH(NQ:ORIG_OR_PATH)',
  'QUERY_PARAM(a)',
  'QUERY_PARAM(a):2',
  'QUERY_PARAMS',
  'QUERY_PARAMS(ORIG)',
  'PROTOCOL',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'CONNECTION_TERMINATION_DETAILS',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_TLS_VERSION',
  'DOWNSTREAM_TRANSPORT_FAILURE_REASON',
  'REQUESTED_SERVER_NAME',
  'GRPC_STATUS',
  'GRPC_STATUS(SNAKE_STRING)',
  'GRPC_STATUS(NUMBER)',
  'GRPC_STATUS_NUMBER',
  'ROUTE_NAME',
  'STREAM_ID',
  'HOSTNAME',
  'ENVIRONMENT(OUTRIGGER_NO_SUCH_VARIABLE)',
  'ACCESS_LOG_TYPE',
  'DYNAMIC_METADATA(test)',
  'DYNAMIC_METADATA(test:text)',
  'DYNAMIC_METADATA(test:number)',
  'DYNAMIC_METADATA(test:absent)',
  'METADATA(ROUTE:team:owner)',
  'METADATA(ROUTE:team:owner:name)',
  'FILTER_STATE(absent)',
  'FILTER_STATE(absent:PLAIN)',
  'LOCAL_REPLY_BODY',
  'CUSTOM_FLAGS',
  'TRACE_ID',
  'SPAN_ID',
  'VIRTUAL_CLUSTER_NAME',
  'START_TIME_LOCAL(%Y-%m)',
  'EMIT_TIME(%Y-%m)',
  'EMIT_TIME_LOCAL(%Y-%m %Z)',
  'START_TIME(%Y %m %b %%)',
  'COALESCE({"operators":[{"command":"REQ","param":"x-absent"},{"command":"REQ","param":"x-a"}]})',
  'COALESCE({"operators":["TRACE_ID",{"command":"REQ","param":"x-a","max_length":2}]})',
];

/** Numbers that differ from run to run: both must have one, or neither. */
const VARYING = [
  'DURATION',
  'REQUEST_DURATION',
  'REQUEST_TX_DURATION',
  'RESPONSE_DURATION',
  'RESPONSE_TX_DURATION',
  'COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)',
  'COMMON_DURATION(US_TX_BEG:US_RX_END:ns)',
  'COMMON_DURATION(DS_RX_END:US_TX_BEG)',
  'UPSTREAM_HOST',
  'UPSTREAM_REMOTE_PORT',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_LOCAL_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS',
  'DOWNSTREAM_DIRECT_LOCAL_PORT',
  'CONNECTION_ID',
  'START_TIME',
  'START_TIME_LOCAL',
  'START_TIME(%s)',
  'START_TIME(%s.%3f)',
  'EMIT_TIME',
  'EMIT_TIME_LOCAL',
  'UNIQUE_ID',
];

const REQUESTS: readonly Question[] = [
  { path: '/items?a=alpha&b=2', headers: { 'x-a': 'letters', 'x-envoy-original-path': '/before?c=d' } },
  { path: '/items?a=', headers: { 'x-a': Buffer.from('quo"te\\ and ü').toString('latin1') } },
  { path: '/retried', headers: { 'x-answer': '503' } },
  { path: '/direct' },
  { path: '/nowhere' },
  { path: '/none' },
  { path: '/no-cluster' },
  { path: '/slow' },
  { method: 'POST', path: '/items', body: 'hello' },
  { method: 'HEAD', path: '/items' },
  { path: '/meta' },
  { path: '/denied' },
  { method: 'POST', path: '/grpc', headers: { 'content-type': 'application/grpc', 'x-grpc': '5' } },
  { method: 'POST', path: '/grpc', headers: { 'content-type': 'application/grpc' } },
  { method: 'POST', path: '/nowhere', headers: { 'content-type': 'application/grpc' } },
  { path: '/trailers', headers: { 'x-trailer': 'yes' } },
  { path: '/healthz', headers: { 'x-envoy-force-trace': 'true' } },
  { path: '/items', headers: { 'x-client-trace-id': 'mine', 'x-answer': '404' } },
];

it('the access logs of Envoy and Outrigger say the same of the same requests, in every format', async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const [envoy, outrigger] = await Promise.all([run('envoy'), run('outrigger')]);
  expect(outrigger.size).toBeGreaterThan(REQUESTS.length);
  for (const [key, line] of envoy) expect.soft(outrigger.get(key), key).toEqual(line);
  expect([...outrigger.keys()].sort()).toEqual([...envoy.keys()].sort());
}, 60_000);

async function run(name: ProxyName): Promise<Map<string, unknown>> {
  await using app = await startApp((request, response) => {
    request.resume();
    if (request.url?.startsWith('/slow')) return;
    response.setHeader('x-b', 'answer');
    if (request.headers['x-grpc'] !== undefined) response.setHeader('grpc-status', request.headers['x-grpc']);
    response.writeHead(Number(request.headers['x-answer'] ?? 200));
    if (request.headers['x-trailer'] !== undefined) response.addTrailers({ 'x-t': 'end' });
    response.end('hello');
  });
  await using proxy = await ProxyProcess.start(name, configuration(app.port));
  const file = join(proxy.folder, 'access.log');
  const lines = (): string[] => readFileSync(file, 'latin1').split('\n').slice(0, -1);
  for (const [i, question] of REQUESTS.entries()) {
    await ask(proxy.ports.get('http') as number, {
      ...question,
      headers: { ...question.headers, 'x-case': String(i) },
    });
  }
  await ask(proxy.ports.get('http') as number, { path: '/last' });
  await eventually('the log is written', () => lines().some((line) => line.includes('LAST')), 10_000);
  return new Map(
    lines()
      .filter((line) => !line.includes('LAST'))
      .map(keyed),
  );
}

/** Keys of metadata have no order in Envoy. */
function inOrder(text: string): unknown {
  return text.startsWith('{') ? JSON.parse(text) : text;
}

/** A line behind the name of its format and the number of its request. */
function keyed(line: string): [key: string, line: unknown] {
  if (!line.startsWith('{')) return [line.split(' ', 2).join(' '), line.split(' | ').map(inOrder)];
  const record = comparable(line);
  return [`${record.kind} ${record.case}`, record];
}

/** A line without what differs from run to run. */
function comparable(line: string): Record<string, unknown> {
  const record = JSON.parse(line) as Record<string, unknown>;
  for (const name of VARYING) if (name in record) record[name] = typeof record[name];
  return record;
}

function log(format: string, filter = ''): string {
  return `
          - name: file${filter === '' ? '' : `\n            filter: ${filter}`}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: ${LOG_FILE}
              log_format: ${format}`;
}

const text = (format: string): string => `{ text_format_source: { inline_string: ${JSON.stringify(format)} } }`;
const marked = (mark: string): string => text(`${mark} %REQ(X-CASE)%\n`);

const status = (op: string, value: number): string =>
  `{ status_code_filter: { comparison: { op: ${op}, value: { default_value: ${value}, runtime_key: k } } } }`;

const FILTERS: Readonly<Record<string, string>> = {
  'status>=400': status('GE', 400),
  'status<=200': status('LE', 200),
  'status=503': status('EQ', 503),
  'status!=200': status('NE', 200),
  'duration>=90': '{ duration_filter: { comparison: { op: GE, value: { default_value: 90, runtime_key: k } } } }',
  'no-health': '{ not_health_check_filter: {} }',
  traceable: '{ traceable_filter: {} }',
  share: '{ runtime_filter: { runtime_key: k, percent_sampled: { numerator: 100 } } }',
  'no-share': '{ runtime_filter: { runtime_key: k } }',
  and: `{ and_filter: { filters: [${status('GE', 400)}, ${status('LE', 499)}] } }`,
  or: `{ or_filter: { filters: [${status('EQ', 404)}, ${status('EQ', 503)}] } }`,
  header: '{ header_filter: { header: { name: x-a, string_match: { prefix: let } } } }',
  'no-header': '{ header_filter: { header: { name: x-a, present_match: true, invert_match: true } } }',
  flags: '{ response_flag_filter: { flags: [UF, NR, URX] } }',
  'any-flag': '{ response_flag_filter: {} }',
  grpc: '{ grpc_status_filter: { statuses: [NOT_FOUND, UNAVAILABLE] } }',
  'not-grpc': '{ grpc_status_filter: { statuses: [NOT_FOUND, UNKNOWN], exclude: true } }',
  type: '{ log_type_filter: { types: [DownstreamEnd, TcpConnectionEnd] } }',
  'not-type': '{ log_type_filter: { types: [DownstreamEnd], exclude: true } }',
  'no-type': '{ log_type_filter: { types: [DownstreamStart] } }',
  metadata:
    '{ metadata_filter: { matcher: { filter: test, path: [{ key: text }], value: { string_match: { exact: tagged } } }, match_if_key_not_found: false } }',
  'metadata-or-absent':
    '{ metadata_filter: { matcher: { filter: test, path: [{ key: text }], value: { string_match: { exact: other } } } } }',
};

function configuration(app: number): string {
  const all = Object.fromEntries([...OPERATORS, ...VARYING].map((operator) => [operator, `%${operator}%`]));
  const nested = {
    number: '%RESPONSE_CODE%',
    text: 'code %RESPONSE_CODE% of %REQ(X-ABSENT)%',
    list: ['%PROTOCOL%', '%BYTES_SENT%', 'fixed', '%REQ(X-ABSENT)%'],
    inner: { absent: '%REQ(X-ABSENT)%', deep: { meta: '%DYNAMIC_METADATA(test)%', escaped: '%REQ(X-A)%' } },
    literal: 'ü"\\',
    empty: {},
  };
  return `node: { id: node, cluster: mesh }
static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - name: chain
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          generate_request_id: false
          http_protocol_options: { enable_trailers: true }
          tracing: {}
          access_log:${log(`{ json_format: ${JSON.stringify({ kind: 'all', case: '%REQ(X-CASE)%', ...all })} }`, NOT_LAST)}${log(
            `{ json_format: ${JSON.stringify({ kind: 'nested', case: '%REQ(X-CASE)%', ...nested })} }`,
            NOT_LAST,
          )}${log(`{ json_format: ${JSON.stringify({ kind: 'sparse', case: '%REQ(X-CASE)%', ...nested })}, omit_empty_values: true }`, NOT_LAST)}${log(
            text(`TEXT %REQ(X-CASE)% ${OPERATORS.map((operator) => `%${operator}%`).join(' | ')}\n`),
            NOT_LAST,
          )}${Object.entries(FILTERS)
            .map(([name, filter]) => log(marked(name), `{ and_filter: { filters: [${NOT_LAST}, ${filter}] } }`))
            .join(
              '',
            )}${log(text('LAST\n'), '{ header_filter: { header: { name: ":path", string_match: { exact: /last } } } }')}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - { name: direct, match: { prefix: /direct }, direct_response: { status: 418, body: { inline_string: teapot } } }
              - { match: { prefix: /nowhere }, route: { cluster: dead } }
              - { match: { prefix: /none }, route: { cluster: empty } }
              - { match: { prefix: /no-cluster }, route: { cluster_header: x-cluster } }
              - { match: { prefix: /slow }, route: { cluster: app, timeout: 0.1s } }
              - { match: { prefix: /retried }, route: { cluster: app, retry_policy: { retry_on: 5xx, num_retries: 1 } } }
              - name: meta
                match: { prefix: /meta }
                route: { cluster: app }
                metadata: { filter_metadata: { team: { owner: { name: ann } } } }
              - { name: items, match: { prefix: /items }, route: { cluster: app, prefix_rewrite: /things } }
              - { match: { prefix: /grpc }, route: { cluster: app } }
              - { match: { prefix: /trailers }, route: { cluster: app } }
              - { match: { prefix: /healthz }, route: { cluster: app } }
              - { match: { prefix: /denied }, route: { cluster: app } }
          http_filters:
          - name: health
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck
              pass_through_mode: false
              headers: [{ name: ":path", string_match: { prefix: /healthz } }]
          - name: metadata
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config
              request_rules:
              - header: ":path"
                on_header_present: { metadata_namespace: test, key: path, type: STRING }
              - header: x-case
                on_header_present: { metadata_namespace: test, key: number, type: NUMBER }
              - header: x-a
                on_header_present: { metadata_namespace: test, key: text, value: tagged }
          - name: rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: DENY
                policies: { no: { permissions: [{ url_path: { path: { prefix: /denied } } }], principals: [{ any: true }] } }
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:${cluster('app', endpoint(app))}${cluster('dead', endpoint(1))}${cluster('empty', '[]')}
`;
}

const NOT_LAST = '{ header_filter: { header: { name: ":path", string_match: { exact: /last }, invert_match: true } } }';

function endpoint(port: number): string {
  return `[{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } }] }]`;
}

function cluster(name: string, endpoints: string): string {
  return `
  - name: ${name}
    connect_timeout: 1s
    load_assignment: { cluster_name: ${name}, endpoints: ${endpoints} }`;
}
