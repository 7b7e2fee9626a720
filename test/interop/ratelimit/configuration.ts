import { rateLimitCluster, rateLimitFilter } from '../../support/ratelimit.ts';

/** One route, its limits, and how requests may differ that go there. */
interface LimitedRoute {
  readonly path: string;
  readonly action?: string;
  readonly limits?: string;
  readonly perRoute?: string;
  readonly more?: string;
}

const key = (value: string, more = ''): string =>
  `{ actions: [{ generic_key: { descriptor_value: "${value}" } }]${more} }`;
const metadataKey = '{ key: limits, path: [{ key: plan }] }';

export const ROUTES: readonly LimitedRoute[] = [
  { path: '/none' },
  {
    path: '/generic',
    limits: `[${key('a')}, { actions: [{ generic_key: { descriptor_key: k, descriptor_value: b } }] }]`,
  },
  {
    path: '/clusters',
    limits: '[{ actions: [{ source_cluster: {} }, { destination_cluster: {} }] }]',
  },
  {
    path: '/headers',
    limits:
      '[{ actions: [{ request_headers: { header_name: x-a, descriptor_key: a } }, { request_headers: { header_name: x-b, descriptor_key: b, skip_if_absent: true } }] }]',
  },
  { path: '/pseudo', limits: '[{ actions: [{ request_headers: { header_name: ":path", descriptor_key: p } }] }]' },
  { path: '/remote', limits: '[{ actions: [{ remote_address: {} }] }]' },
  {
    path: '/masked',
    limits:
      '[{ actions: [{ masked_remote_address: {} }] }, { actions: [{ masked_remote_address: { v4_prefix_mask_len: 9, v6_prefix_mask_len: 45 } }] }, { actions: [{ masked_remote_address: { v4_prefix_mask_len: 0, v6_prefix_mask_len: 0 } }] }]',
  },
  {
    path: '/match',
    limits:
      '[{ actions: [{ header_value_match: { descriptor_value: "yes", headers: [{ name: x-a, string_match: { prefix: o } }] } }] }, { actions: [{ header_value_match: { descriptor_key: not, descriptor_value: "no", expect_match: false, headers: [{ name: x-a, string_match: { prefix: o } }] } }] }]',
  },
  {
    path: '/query',
    limits:
      '[{ actions: [{ query_parameters: { query_parameter_name: q, descriptor_key: q } }, { query_parameters: { query_parameter_name: r, descriptor_key: r, skip_if_absent: true } }] }]',
  },
  {
    path: '/querymatch',
    limits:
      '[{ actions: [{ query_parameter_value_match: { descriptor_value: "yes", query_parameters: [{ name: q, string_match: { exact: "1" } }] } }] }, { actions: [{ query_parameter_value_match: { descriptor_key: not, descriptor_value: "no", expect_match: false, query_parameters: [{ name: q, string_match: { exact: "1" } }] } }] }]',
  },
  {
    path: '/metadata',
    limits: `[{ actions: [{ metadata: { descriptor_key: m, metadata_key: ${metadataKey} } }] }, { actions: [{ metadata: { descriptor_key: d, metadata_key: ${metadataKey}, default_value: none } }] }, { actions: [${'{ generic_key: { descriptor_value: g } }'}, { metadata: { descriptor_key: s, metadata_key: ${metadataKey}, skip_if_absent: true } }] }]`,
  },
  {
    path: '/routemetadata',
    limits: `[{ actions: [{ metadata: { descriptor_key: m, source: ROUTE_ENTRY, metadata_key: ${metadataKey} } }] }]`,
    more: 'metadata: { filter_metadata: { limits: { plan: gold } } }',
  },
  {
    path: '/override',
    limits: `[${key('a', `, limit: { dynamic_metadata: { metadata_key: { key: limits, path: [{ key: own }] } } }`)}]`,
  },
  {
    path: '/hits',
    limits: `[${key('a', ', hits_addend: { number: 5 }')}, ${key('b', ', hits_addend: { number: 0 }')}]`,
  },
  {
    path: '/format',
    limits: `[${key('a', ', hits_addend: { format: "%DYNAMIC_METADATA(limits:tokens)%" }')}, ${key('b', ', hits_addend: { format: "%REQ(x-hits)%" }')}]`,
  },
  {
    path: '/done',
    limits: `[${key('a', ', apply_on_stream_done: true, hits_addend: { format: "%BYTES_SENT%" }')}, ${key('b')}]`,
  },
  { path: '/stage', limits: `[${key('zero')}, ${key('one', ', stage: 1')}]` },
  { path: '/include', limits: `[${key('a')}]`, action: 'include_vh_rate_limits: true' },
  { path: '/perroute-include', limits: `[${key('a')}]`, perRoute: 'vh_rate_limits: INCLUDE' },
  { path: '/perroute-ignore', perRoute: 'vh_rate_limits: IGNORE' },
  { path: '/perroute-option', limits: `[${key('a')}]`, perRoute: 'override_option: INCLUDE_POLICY' },
  { path: '/perroute-option-ignore', perRoute: 'override_option: IGNORE_POLICY' },
  { path: '/perroute-own', limits: `[${key('a')}]`, perRoute: `rate_limits: [${key('own')}]` },
  { path: '/perroute-domain', limits: `[${key('a')}]`, perRoute: 'domain: other' },
  {
    path: '/own-hits',
    perRoute: `rate_limits: [${key('a', ', hits_addend: { number: 5 }')}, ${key('b', ', hits_addend: { number: 0 }')}]`,
  },
  {
    path: '/own-format',
    perRoute: `rate_limits: [${key('a', ', hits_addend: { format: "%DYNAMIC_METADATA(limits:tokens)%" }')}, ${key('b', ', hits_addend: { format: "%REQ(x-hits)%" }')}]`,
  },
  {
    path: '/own-done',
    perRoute: `rate_limits: [${key('a', ', apply_on_stream_done: true, hits_addend: { format: "%BYTES_SENT%" }')}, ${key('b')}]`,
  },
  {
    path: '/own-limit',
    perRoute: `rate_limits: [${key('a', ', limit: { dynamic_metadata: { metadata_key: { key: limits, path: [{ key: own }] } } }')}]`,
  },
  { path: '/over', limits: `[${key('over')}]` },
  { path: '/over-more', limits: `[${key('over with more')}]` },
  { path: '/ok-more', limits: `[${key('ok with more')}]` },
  { path: '/nonsense', limits: `[${key('nonsense')}]` },
  { path: '/unknown', limits: `[${key('unknown')}]` },
  { path: '/broken', limits: `[${key('broken')}]` },
  { path: '/silent', limits: `[${key('silent')}]` },
];

function routeText({ path, action = '', limits = '', perRoute = '', more = '' }: LimitedRoute): string {
  const override = `typed_per_filter_config: { envoy.filters.http.ratelimit: { "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute, ${perRoute} } }`;
  return `
              - match: { path: "${path}" }
                route:
                  cluster: app
                  ${action}
                  ${limits === '' ? '' : `rate_limits: ${limits}`}
                ${perRoute === '' ? '' : override}
                ${more}`;
}

/** The listeners, by what their filter has besides. */
export const LISTENERS: Readonly<Record<string, string>> = {
  plain: '',
  shown: 'enable_x_ratelimit_headers: DRAFT_VERSION_03',
  closed: 'failure_mode_deny: true\nstat_prefix: edge\nrate_limited_as_resource_exhausted: true',
  stage1: 'stage: 1',
  odd: 'rate_limited_status: { code: 503 }\nstatus_on_error: { code: 504 }\nfailure_mode_deny: true\ndisable_x_envoy_ratelimited_header: true\nresponse_headers_to_add: [{ header: { key: x-limited, value: "%REQ(x-id)%" } }]',
  own: `rate_limits: [{ actions: [{ request_headers: { header_name: x-a, descriptor_key: own } }] }]`,
  lenient: 'filter_enforced: { default_value: { numerator: 0 } }\nenable_x_ratelimit_headers: DRAFT_VERSION_03',
  internal: 'request_type: internal',
};

const TO_METADATA = `
          - name: envoy.filters.http.header_to_metadata
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config
              request_rules:
              - header: x-plan
                on_header_present: { metadata_namespace: limits, key: plan, type: STRING }
              - header: x-tokens
                on_header_present: { metadata_namespace: limits, key: tokens, type: NUMBER }`;

function listener(name: string, fields: string): string {
  const filter = rateLimitFilter(fields)
    .replace('timeout: 10s', 'timeout: 0.3s')
    .split('\n')
    .map((line) => `          ${line}`)
    .join('\n');
  return `
  - name: ${name}
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          use_remote_address: true
          xff_num_trusted_hops: 1
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $log
              log_format: { text_format_source: { inline_string: "%REQ(x-id)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n" } }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              rate_limits: [${key('host')}]
              routes:${ROUTES.map(routeText).join('')}
              - { match: { path: /direct }, direct_response: { status: 204 } }
          http_filters:${TO_METADATA}
${filter}
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;
}

/** All listeners before one app and one service. */
export function configuration(appPort: number, servicePort: number): string {
  return `
node: { id: one, cluster: edge }
static_resources:
  listeners:${Object.entries(LISTENERS)
    .map(([name, fields]) => listener(name, fields))
    .join('')}
  clusters:
  - name: app
    connect_timeout: 2s
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${appPort} } } }
${rateLimitCluster(servicePort)
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
`;
}
