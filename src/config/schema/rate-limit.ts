import type * as v from 'valibot';
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
  string,
  uint32Value,
  uint64Value,
  unsupported,
} from './building-blocks.ts';
import { formatProblem } from './format-text.ts';
import { HeaderMatcher, QueryParameterMatcher } from './route-matchers.ts';

/** envoy.config.route.v3.RateLimit: what a request is counted as, in routes, virtual hosts and rate limit filters. */

/** The highest stage (`RateLimit.stage`, and that of the filters). */
export const MAX_RATE_LIMIT_STAGE = 10;
/** The most that one request may count. */
const MAX_HITS = 1_000_000_000;

/** envoy.type.metadata.v3.MetadataKey: a namespace, and the way to the value in it. */
const MetadataKey = message({
  key: nonEmptyString(),
  path: list(message({ key: nonEmptyString() }), { min: 1 }),
});
export type MetadataKey = v.InferOutput<typeof MetadataKey>;

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
    masked_remote_address: optional(
      message({
        v4_prefix_mask_len: optional(uint32Value({ max: 32 }), 32),
        v6_prefix_mask_len: optional(uint32Value({ max: 128 }), 128),
      }),
    ),
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
    dynamic_metadata: optional(
      message({
        descriptor_key: nonEmptyString(),
        metadata_key: MetadataKey,
        default_value: optional(string(), ''),
      }),
    ),
    metadata: optional(
      message({
        descriptor_key: nonEmptyString(),
        metadata_key: MetadataKey,
        default_value: optional(string(), ''),
        source: optional(enumOf(['DYNAMIC', 'ROUTE_ENTRY']), 'DYNAMIC'),
        skip_if_absent: optional(bool(), false),
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
  unsupported('use masked_remote_address', 'remote_address_match'),
  unsupported('descriptor extensions are not available', 'extension'),
);
export type RateLimitAction = v.InferOutput<typeof RateLimitAction>;

/** One `%…%` operator and nothing besides it. */
const operator = () => string({ pattern: /^%[^%]+%$/, allowed: 'one %…% operator, such as %BYTES_SENT%' });

const actions = list(RateLimitAction, { min: 1 });

/** A limit that takes the place of the service's, where the metadata has one. */
const limitOverride = optional(
  message(
    { dynamic_metadata: optional(message({ metadata_key: MetadataKey })) },
    oneof(['dynamic_metadata'], { required: true }),
  ),
);

/** What a hit counts, and when: fields of every rate limit that a service judges. */
const countedFields = {
  hits_addend: optional(
    message(
      { number: optional(uint64Value({ max: MAX_HITS })), format: optional(operator()) },
      oneof(['number', 'format'], { required: true }),
      check((hits) => formatProblem(hits.format, ['format'])),
    ),
  ),
  apply_on_stream_done: optional(bool(), false),
} as const;

/** envoy.config.route.v3.RateLimit in a route or virtual host. */
export const RateLimit = message(
  {
    actions,
    stage: optional(uint32Value({ max: MAX_RATE_LIMIT_STAGE }), 0),
    // There is no runtime that could disable it.
    disable_key: optional(string(), ''),
    limit: limitOverride,
    ...countedFields,
  },
  unsupported('set enable_x_ratelimit_headers on the filter', 'x_ratelimit_option'),
);
export type RateLimit = v.InferOutput<typeof RateLimit>;

/** The same message in the configuration of the global rate limit filter, where it has no stage. */
export const FilterRateLimit = message(
  { actions, limit: limitOverride, ...countedFields },
  unsupported('it only has a meaning in route configurations', 'stage', 'disable_key'),
  unsupported('set enable_x_ratelimit_headers on the filter', 'x_ratelimit_option'),
);
export type FilterRateLimit = v.InferOutput<typeof FilterRateLimit>;

/** The same message in the configuration of the local rate limit filter. */
export const LocalFilterRateLimit = message(
  { actions },
  unsupported('it only has a meaning in route configurations', 'stage', 'disable_key'),
  unsupported('every request counts once, when it comes', 'hits_addend', 'apply_on_stream_done'),
  unsupported('give the descriptor a bucket of its own', 'limit'),
  unsupported('set enable_x_ratelimit_headers on the filter', 'x_ratelimit_option'),
);
export type LocalFilterRateLimit = v.InferOutput<typeof LocalFilterRateLimit>;

/** `vh_rate_limits` of the filters: whether those of the virtual host count besides a route's own. */
export const VH_RATE_LIMITS = ['OVERRIDE', 'INCLUDE', 'IGNORE'] as const;
