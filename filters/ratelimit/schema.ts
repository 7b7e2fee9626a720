import type * as v from 'valibot';
import {
  bool,
  check,
  duration,
  enumOf,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  string,
  uint32,
  uint64Value,
  unsupported,
} from '../../src/config/schema/building-blocks.ts';
import { HeaderValueOption, HttpStatus } from '../../src/config/schema/core.ts';
import { formatProblem } from '../../src/config/schema/format-text.ts';
import { RuntimeFractionalPercent } from '../../src/config/schema/percent.ts';
import { FilterRateLimit, MAX_RATE_LIMIT_STAGE, VH_RATE_LIMITS } from '../../src/config/schema/rate-limit.ts';

/** envoy.config.core.v3.GrpcService, as far as it names a cluster. */
const RateLimitGrpcService = message(
  {
    envoy_grpc: optional(
      message(
        { cluster_name: nonEmptyString(), authority: optional(string(), '') },
        unsupported('set a retry policy in the service, a failed call is not made again', 'retry_policy'),
        unsupported('responses of the service are small', 'max_receive_message_length'),
        unsupported('no headers of the proxy are sent to the service', 'skip_envoy_headers'),
      ),
    ),
  },
  oneof(['envoy_grpc', 'google_grpc'], { required: true }),
  unsupported('use envoy_grpc, with a cluster that speaks HTTP/2', 'google_grpc'),
  unsupported('set the timeout of the filter', 'timeout'),
  unsupported('calls to the service carry no metadata', 'initial_metadata'),
  unsupported('a failed call is not made again', 'retry_policy'),
);

/** envoy.config.ratelimit.v3.RateLimitServiceConfig. */
export const RateLimitServiceConfig = message({
  grpc_service: RateLimitGrpcService,
  // What is spoken is V3 in any case.
  transport_api_version: optional(enumOf(['AUTO', 'V2', 'V3'], { V2: 'set it to V3' }), 'AUTO'),
});
export type RateLimitServiceConfig = v.InferOutput<typeof RateLimitServiceConfig>;

/** envoy.extensions.filters.http.ratelimit.v3.RateLimit. */
export const RateLimitConfig = message({
  domain: nonEmptyString(),
  stage: optional(uint32({ max: MAX_RATE_LIMIT_STAGE }), 0),
  request_type: optional(enumOf(['internal', 'external', 'both', '']), 'both'),
  timeout: optional(duration(), '0.02s'),
  failure_mode_deny: optional(bool(), false),
  failure_mode_deny_percent: optional(RuntimeFractionalPercent),
  rate_limited_as_resource_exhausted: optional(bool(), false),
  rate_limit_service: RateLimitServiceConfig,
  enable_x_ratelimit_headers: optional(enumOf(['OFF', 'DRAFT_VERSION_03']), 'OFF'),
  disable_x_envoy_ratelimited_header: optional(bool(), false),
  rate_limited_status: optional(HttpStatus),
  response_headers_to_add: optional(list(HeaderValueOption, { max: 10 }), []),
  status_on_error: optional(HttpStatus),
  stat_prefix: optional(string(), ''),
  filter_enabled: optional(RuntimeFractionalPercent),
  filter_enforced: optional(RuntimeFractionalPercent),
  rate_limits: optional(list(FilterRateLimit), []),
});
export type RateLimitConfig = v.InferOutput<typeof RateLimitConfig>;

/** envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute. */
export const RateLimitPerRoute = message({
  vh_rate_limits: optional(enumOf(VH_RATE_LIMITS), 'OVERRIDE'),
  // As in Envoy, it says nothing: vh_rate_limits does.
  override_option: optional(enumOf(['DEFAULT', 'OVERRIDE_POLICY', 'INCLUDE_POLICY', 'IGNORE_POLICY']), 'DEFAULT'),
  rate_limits: optional(list(FilterRateLimit), []),
  domain: optional(string(), ''),
});
export type RateLimitPerRoute = v.InferOutput<typeof RateLimitPerRoute>;

/** envoy.extensions.common.ratelimit.v3.RateLimitDescriptor, whose values may have `%…%` operators. */
const RateLimitDescriptor = message(
  {
    entries: list(
      message(
        { key: nonEmptyString(), value: optional(string(), '') },
        check((entry) => formatProblem(entry.value, ['value'])),
      ),
      { min: 1 },
    ),
    limit: optional(
      message({
        requests_per_unit: optional(uint32(), 0),
        unit: optional(enumOf(['UNKNOWN', 'SECOND', 'MINUTE', 'HOUR', 'DAY', 'MONTH', 'YEAR', 'WEEK']), 'UNKNOWN'),
      }),
    ),
    hits_addend: optional(uint64Value()),
  },
  unsupported('hits only add up', 'is_negative_hits'),
);
export type RateLimitDescriptor = v.InferOutput<typeof RateLimitDescriptor>;

/** envoy.extensions.filters.network.ratelimit.v3.RateLimit. */
export const NetworkRateLimit = message({
  stat_prefix: nonEmptyString(),
  domain: nonEmptyString(),
  descriptors: list(RateLimitDescriptor, { min: 1 }),
  timeout: optional(duration(), '0.02s'),
  failure_mode_deny: optional(bool(), false),
  rate_limit_service: RateLimitServiceConfig,
});
export type NetworkRateLimit = v.InferOutput<typeof NetworkRateLimit>;
