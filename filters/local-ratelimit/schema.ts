import * as v from 'valibot';
import {
  bool,
  boolValue,
  check,
  enumOf,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  string,
  uint32,
  uint32Value,
  unsupported,
} from '../../src/config/schema/building-blocks.ts';
import { HeaderValueOption, HttpStatus, TokenBucket } from '../../src/config/schema/core.ts';
import { RuntimeFractionalPercent } from '../../src/config/schema/percent.ts';
import { LocalFilterRateLimit, MAX_RATE_LIMIT_STAGE, VH_RATE_LIMITS } from '../../src/config/schema/rate-limit.ts';

/** The shortest time in which Envoy refills a bucket. */
const MIN_FILL_INTERVAL_MS = 50;

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
    rate_limits: optional(list(LocalFilterRateLimit), []),
    stage: optional(uint32({ max: MAX_RATE_LIMIT_STAGE }), 0),
    vh_rate_limits: optional(enumOf(VH_RATE_LIMITS), 'OVERRIDE'),
    local_rate_limit_per_downstream_connection: optional(bool(), false),
    enable_x_ratelimit_headers: optional(enumOf(['OFF', 'DRAFT_VERSION_03']), 'OFF'),
    always_consume_default_token_bucket: optional(boolValue(), true),
    rate_limited_as_resource_exhausted: optional(bool(), false),
    max_dynamic_descriptors: optional(uint32Value({ min: 1 }), 20),
  },
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
