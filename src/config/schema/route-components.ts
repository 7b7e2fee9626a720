import type * as v from 'valibot';
import {
  anyConfig,
  bool,
  boolValue,
  check,
  duration,
  enumOf,
  headerName,
  headerValue,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { DataSource, HeaderMutation, HeaderValueOption, Metadata, SubstitutionFormatString } from './core.ts';
import { MetadataMatcher, RegexMatchAndSubstitute, RegexMatcher, StringMatcher } from './matcher.ts';
import { RuntimeFractionalPercent } from './percent.ts';
import { RateLimit } from './rate-limit.ts';
import { RetryPolicy } from './retry-policy.ts';
import { HeaderMatcher, QueryParameterMatcher } from './route-matchers.ts';
import { Decorator, RouteTracing } from './tracing.ts';

/** envoy.config.route.v3: one route and what it can do. */

/** Header mutations as they stand in route configurations, virtual hosts, routes and weighted clusters. */
export const headerMutationFields = {
  request_headers_to_add: optional(list(HeaderValueOption, { max: 1000 }), []),
  request_headers_to_remove: optional(list(headerName()), []),
  response_headers_to_add: optional(list(HeaderValueOption, { max: 1000 }), []),
  response_headers_to_remove: optional(list(headerName()), []),
} as const;

/** `typed_per_filter_config`: overrides of HTTP filters by the name under which the connection manager lists them. */
export const perFilterConfigField = {
  typed_per_filter_config: optional(mapOf(anyConfig('route_filter_config')), {}),
} as const;

/**
 * envoy.config.route.v3.FilterConfig, the wrapper in `typed_per_filter_config` that also switches a filter off or on.
 */
export const FilterConfig = message({
  config: optional(anyConfig('route_filter_config')),
  is_optional: optional(bool(), false),
  disabled: optional(bool(), false),
});
export type FilterConfig = v.InferOutput<typeof FilterConfig>;

/** envoy.config.route.v3.RouteMatch: exactly one path condition, and all other conditions must hold too. */
export const RouteMatch = message(
  {
    prefix: optional(string()),
    path: optional(string()),
    path_separated_prefix: optional(
      string({ pattern: /^[^?#]+[^?#/]$/, allowed: 'at least two characters, no ? or #, no slash at the end' }),
    ),
    safe_regex: optional(RegexMatcher),
    connect_matcher: optional(message({})),
    case_sensitive: optional(boolValue(), true),
    runtime_fraction: optional(RuntimeFractionalPercent),
    headers: optional(list(HeaderMatcher), []),
    query_parameters: optional(list(QueryParameterMatcher), []),
    cookies: optional(
      list(
        message({
          name: string({ minLength: 1, maxLength: 1024 }),
          string_match: StringMatcher,
          invert_match: optional(bool(), false),
        }),
      ),
      [],
    ),
    grpc: optional(message({})),
    dynamic_metadata: optional(list(MetadataMatcher), []),
  },
  oneof(['prefix', 'path', 'path_separated_prefix', 'safe_regex', 'connect_matcher', 'path_match_policy'], {
    required: true,
  }),
  unsupported('path match extensions are not available, use safe_regex', 'path_match_policy'),
  unsupported('routes do not look at certificates', 'tls_context'),
  unsupported('match on headers or dynamic_metadata', 'filter_state'),
);
export type RouteMatch = v.InferOutput<typeof RouteMatch>;

/** envoy.config.route.v3.RouteAction.RequestMirrorPolicy. */
export const RequestMirrorPolicy = message(
  {
    cluster: optional(string(), ''),
    cluster_header: optional(headerName()),
    runtime_fraction: optional(RuntimeFractionalPercent),
    trace_sampled: optional(boolValue()),
    disable_shadow_host_suffix_append: optional(bool(), false),
    request_headers_mutations: optional(list(HeaderMutation, { max: 1000 }), []),
    host_rewrite_literal: optional(headerValue(), ''),
  },
  check((policy) => {
    if ((policy.cluster === '') === (policy.cluster_header === undefined)) {
      return new Problem('exactly one of cluster, cluster_header is required');
    }
    return undefined;
  }),
);
export type RequestMirrorPolicy = v.InferOutput<typeof RequestMirrorPolicy>;

/** envoy.config.route.v3.RouteAction.HashPolicy: exactly one source; a terminal one ends the search when it has a value. */
export const HashPolicy = message(
  {
    header: optional(message({ header_name: headerName(), regex_rewrite: optional(RegexMatchAndSubstitute) })),
    cookie: optional(
      message({
        name: nonEmptyString(),
        ttl: optional(duration()),
        path: optional(string(), ''),
        attributes: optional(list(message({ name: headerName(), value: optional(headerValue(), '') })), []),
      }),
    ),
    connection_properties: optional(message({ source_ip: optional(bool(), false) })),
    query_parameter: optional(message({ name: nonEmptyString() })),
    filter_state: optional(message({ key: nonEmptyString() })),
    terminal: optional(bool(), false),
  },
  oneof(['header', 'cookie', 'connection_properties', 'query_parameter', 'filter_state'], { required: true }),
);
export type HashPolicy = v.InferOutput<typeof HashPolicy>;

const ClusterWeight = message(
  {
    name: optional(string(), ''),
    cluster_header: optional(headerName()),
    weight: optional(uint32Value(), 0),
    ...headerMutationFields,
    ...perFilterConfigField,
    host_rewrite_literal: optional(headerValue(), ''),
  },
  check((entry) =>
    (entry.name === '') === (entry.cluster_header === undefined)
      ? new Problem('exactly one of name, cluster_header is required')
      : undefined,
  ),
  unsupported('subset load balancing is not available', 'metadata_match'),
);

/** envoy.config.route.v3.WeightedCluster. */
export const WeightedCluster = message(
  {
    clusters: list(ClusterWeight, { min: 1 }),
    total_weight: optional(uint32Value({ min: 1 })),
    runtime_key_prefix: optional(string(), ''),
    header_name: optional(headerName()),
    use_hash_policy: optional(boolValue()),
  },
  oneof(['header_name', 'use_hash_policy']),
  check((weighted) => {
    const sum = weighted.clusters.reduce((total, entry) => total + entry.weight, 0);
    if (sum === 0) return new Problem('the weights sum to 0', { path: ['clusters'] });
    if (sum > 4294967295) return new Problem('the weights sum to more than 4294967295', { path: ['clusters'] });
    return undefined;
  }),
);
export type WeightedCluster = v.InferOutput<typeof WeightedCluster>;

/** envoy.config.route.v3.RouteAction.UpgradeConfig. */
export const RouteUpgradeConfig = message(
  { upgrade_type: string({ minLength: 1 }), enabled: optional(boolValue(), true) },
  unsupported('CONNECT is handed on to the upstream, which ends the tunnel', 'connect_config'),
);
export type RouteUpgradeConfig = v.InferOutput<typeof RouteUpgradeConfig>;

/** envoy.config.route.v3.RouteAction. A timeout of 0 switches it off; `timeout` defaults to 15 s. */
export const RouteAction = message(
  {
    cluster: optional(nonEmptyString()),
    cluster_header: optional(headerName()),
    weighted_clusters: optional(WeightedCluster),
    cluster_not_found_response_code: optional(
      enumOf(['SERVICE_UNAVAILABLE', 'NOT_FOUND', 'INTERNAL_SERVER_ERROR']),
      'SERVICE_UNAVAILABLE',
    ),
    prefix_rewrite: optional(headerValue(), ''),
    regex_rewrite: optional(RegexMatchAndSubstitute),
    host_rewrite_literal: optional(headerValue()),
    auto_host_rewrite: optional(boolValue()),
    host_rewrite_header: optional(headerName()),
    host_rewrite_path_regex: optional(RegexMatchAndSubstitute),
    append_x_forwarded_host: optional(bool(), false),
    timeout: optional(duration(), '15s'),
    idle_timeout: optional(duration()),
    retry_policy: optional(RetryPolicy),
    request_mirror_policies: optional(list(RequestMirrorPolicy), []),
    priority: optional(enumOf(['DEFAULT', 'HIGH']), 'DEFAULT'),
    hash_policy: optional(list(HashPolicy), []),
    rate_limits: optional(list(RateLimit), []),
    include_vh_rate_limits: optional(boolValue(), false),
    upgrade_configs: optional(list(RouteUpgradeConfig), []),
    max_stream_duration: optional(
      message({
        max_stream_duration: optional(duration()),
        grpc_timeout_header_max: optional(duration()),
        grpc_timeout_header_offset: optional(duration()),
      }),
    ),
  },
  oneof(
    ['cluster', 'cluster_header', 'weighted_clusters', 'cluster_specifier_plugin', 'inline_cluster_specifier_plugin'],
    { required: true },
  ),
  oneof([
    'host_rewrite_literal',
    'auto_host_rewrite',
    'host_rewrite_header',
    'host_rewrite_path_regex',
    'host_rewrite',
  ]),
  oneof(['prefix_rewrite', 'regex_rewrite', 'path_rewrite_policy', 'path_rewrite']),
  unsupported(
    'cluster specifier extensions are not available',
    'cluster_specifier_plugin',
    'inline_cluster_specifier_plugin',
  ),
  unsupported('subset load balancing is not available', 'metadata_match'),
  unsupported('use prefix_rewrite or regex_rewrite', 'path_rewrite_policy', 'path_rewrite'),
  unsupported('use host_rewrite_literal', 'host_rewrite'),
  unsupported('configure envoy.filters.http.cors with typed_per_filter_config', 'cors'),
  unsupported(
    'internal redirects are not available',
    'internal_redirect_policy',
    'internal_redirect_action',
    'max_internal_redirects',
  ),
  unsupported('request hedging is not available', 'hedge_policy'),
  unsupported('use max_stream_duration', 'max_grpc_timeout', 'grpc_timeout_offset'),
  unsupported('it is not available', 'early_data_policy', 'flush_timeout', 'retry_policy_typed_config'),
  check((action) =>
    action.prefix_rewrite !== '' && action.regex_rewrite !== undefined
      ? new Problem('cannot be given together with "prefix_rewrite"', { path: ['regex_rewrite'] })
      : undefined,
  ),
);
export type RouteAction = v.InferOutput<typeof RouteAction>;

/** envoy.config.route.v3.RedirectAction. */
export const RedirectAction = message(
  {
    https_redirect: optional(bool()),
    scheme_redirect: optional(string()),
    host_redirect: optional(headerValue(), ''),
    port_redirect: optional(uint32({ max: 65535 }), 0),
    path_redirect: optional(headerValue()),
    prefix_rewrite: optional(headerValue()),
    regex_rewrite: optional(RegexMatchAndSubstitute),
    response_code: optional(
      enumOf(['MOVED_PERMANENTLY', 'FOUND', 'SEE_OTHER', 'TEMPORARY_REDIRECT', 'PERMANENT_REDIRECT']),
      'MOVED_PERMANENTLY',
    ),
    strip_query: optional(bool(), false),
  },
  oneof(['https_redirect', 'scheme_redirect']),
  oneof(['path_redirect', 'prefix_rewrite', 'regex_rewrite']),
);
export type RedirectAction = v.InferOutput<typeof RedirectAction>;

/** envoy.config.route.v3.DirectResponseAction. */
export const DirectResponseAction = message({
  status: uint32({ min: 200, max: 599 }),
  body: optional(DataSource),
  body_format: optional(SubstitutionFormatString),
});
export type DirectResponseAction = v.InferOutput<typeof DirectResponseAction>;

/** envoy.config.route.v3.Route: a match and exactly one action. */
export const Route = message(
  {
    name: optional(string(), ''),
    match: RouteMatch,
    route: optional(RouteAction),
    redirect: optional(RedirectAction),
    direct_response: optional(DirectResponseAction),
    metadata: optional(Metadata),
    decorator: optional(Decorator),
    tracing: optional(RouteTracing),
    ...perFilterConfigField,
    ...headerMutationFields,
  },
  oneof(['route', 'redirect', 'direct_response', 'filter_action', 'non_forwarding_action'], { required: true }),
  unsupported('a route needs route, redirect or direct_response', 'filter_action', 'non_forwarding_action'),
  unsupported('routes have no statistics of their own', 'stat_prefix'),
  unsupported(
    'use per_connection_buffer_limit_bytes of the listener',
    'per_request_buffer_limit_bytes',
    'request_body_buffer_limit',
  ),
);
export type Route = v.InferOutput<typeof Route>;
