import * as v from 'valibot';
import {
  bool,
  boolValue,
  check,
  enumOf,
  headerName,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32Value,
  unsupported,
} from '../../src/config/schema/building-blocks.ts';
import { HeaderValueOption, HttpStatus, TokenBucket } from '../../src/config/schema/core.ts';
import { RuntimeFractionalPercent } from '../../src/config/schema/percent.ts';
import { HeaderMatcher, QueryParameterMatcher } from '../../src/config/schema/route-matchers.ts';

/** The shortest time in which Envoy refills a bucket. */
const MIN_FILL_INTERVAL_MS = 50;

/** envoy.config.route.v3.RateLimit.Action: exactly one of its fields. */
export const RateLimitAction = message(
  {
    source_cluster: optional(message({})),
    destination_cluster: optional(message({})),
    request_headers: optional(
      message({ header_name: headerName(), descriptor_key: nonEmptyString(), skip_if_absent: optional(bool(), false) }),
    ),
    query_parameters: optional(
      message({
        query_parameter_name: nonEmptyString(),
        descriptor_key: nonEmptyString(),
        skip_if_absent: optional(bool(), false),
      }),
    ),
    remote_address: optional(message({})),
    generic_key: optional(
      message({ descriptor_value: nonEmptyString(), descriptor_key: optional(string(), 'generic_key') }),
    ),
    header_value_match: optional(
      message({
        descriptor_key: optional(string(), 'header_match'),
        descriptor_value: nonEmptyString(),
        expect_match: optional(boolValue(), true),
        headers: list(HeaderMatcher, { min: 1 }),
      }),
    ),
    query_parameter_value_match: optional(
      message({
        descriptor_key: optional(string(), 'query_match'),
        descriptor_value: nonEmptyString(),
        expect_match: optional(boolValue(), true),
        query_parameters: list(QueryParameterMatcher, { min: 1 }),
      }),
    ),
  },
  oneof(
    [
      'source_cluster',
      'destination_cluster',
      'request_headers',
      'query_parameters',
      'remote_address',
      'generic_key',
      'header_value_match',
      'query_parameter_value_match',
      'dynamic_metadata',
      'metadata',
      'extension',
      'masked_remote_address',
      'remote_address_match',
    ],
    { required: true },
  ),
  unsupported('copy it into a header with header_to_metadata, or use request_headers', 'dynamic_metadata', 'metadata'),
  unsupported('use remote_address', 'masked_remote_address', 'remote_address_match'),
  unsupported('descriptor extensions are not available', 'extension'),
);
export type RateLimitAction = v.InferOutput<typeof RateLimitAction>;

/** envoy.config.route.v3.RateLimit, as the filter's own `rate_limits` take it. */
export const RateLimit = message(
  { actions: list(RateLimitAction, { min: 1 }) },
  unsupported('it only has a meaning in route configurations', 'stage', 'disable_key'),
  unsupported('every request counts once, when it comes', 'hits_addend', 'apply_on_stream_done'),
  unsupported('give the descriptor a bucket of its own', 'limit'),
  unsupported('set enable_x_ratelimit_headers on the filter', 'x_ratelimit_option'),
);
export type RateLimit = v.InferOutput<typeof RateLimit>;

/** envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor; an empty value stands for any value. */
export const LocalRateLimitDescriptor = message(
  {
    entries: list(message({ key: nonEmptyString(), value: optional(string(), '') }), { min: 1 }),
    token_bucket: TokenBucket,
  },
  unsupported('set filter_enforced to 0 percent', 'shadow_mode'),
  check((descriptor) => fillIntervalProblem(descriptor.token_bucket)),
);
export type LocalRateLimitDescriptor = v.InferOutput<typeof LocalRateLimitDescriptor>;

/** envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit. */
export const LocalRateLimit = message(
  {
    stat_prefix: nonEmptyString(),
    status: optional(HttpStatus),
    token_bucket: optional(TokenBucket),
    filter_enabled: optional(RuntimeFractionalPercent),
    filter_enforced: optional(RuntimeFractionalPercent),
    request_headers_to_add_when_not_enforced: optional(list(HeaderValueOption, { max: 10 }), []),
    response_headers_to_add: optional(list(HeaderValueOption, { max: 10 }), []),
    descriptors: optional(list(LocalRateLimitDescriptor), []),
    rate_limits: optional(list(RateLimit), []),
    local_rate_limit_per_downstream_connection: optional(bool(), false),
    enable_x_ratelimit_headers: optional(enumOf(['OFF', 'DRAFT_VERSION_03']), 'OFF'),
    always_consume_default_token_bucket: optional(boolValue(), true),
    rate_limited_as_resource_exhausted: optional(bool(), false),
    max_dynamic_descriptors: optional(uint32Value({ min: 1 }), 20),
  },
  unsupported('rate_limits of routes are not consulted, use rate_limits of the filter', 'stage', 'vh_rate_limits'),
  unsupported('the limit holds for this process', 'local_cluster_rate_limit'),
  check((config) => (config.token_bucket === undefined ? undefined : fillIntervalProblem(config.token_bucket))),
  check(duplicateProblem),
);
export type LocalRateLimit = v.InferOutput<typeof LocalRateLimit>;

/** The same message on a route, where a bucket is required. */
export const LocalRateLimitPerRoute = v.pipe(
  LocalRateLimit,
  v.check((config) => config.token_bucket !== undefined, 'token_bucket is required in a per-route configuration'),
);

function fillIntervalProblem(bucket: TokenBucket): Problem | undefined {
  if (bucket.fill_interval >= MIN_FILL_INTERVAL_MS) return undefined;
  const path = ['token_bucket', 'fill_interval'];
  return new Problem('the bucket is refilled too often', { path, allowed: 'at least 0.05s' });
}

function duplicateProblem(config: { descriptors: LocalRateLimitDescriptor[] }): Problem | undefined {
  const seen = new Set<string>();
  for (const [index, descriptor] of config.descriptors.entries()) {
    const text = JSON.stringify(descriptor.entries.map(({ key, value }) => [key, value]));
    if (seen.has(text)) return new Problem('the descriptor is given twice', { path: ['descriptors', index] });
    seen.add(text);
  }
  return undefined;
}
