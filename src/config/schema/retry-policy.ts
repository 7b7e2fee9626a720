import type * as v from 'valibot';
import {
  anyConfig,
  check,
  duration,
  enumOf,
  headerName,
  int64,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  string,
  uint32,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { RETRY_HOST } from './retry-host.ts';
import { HeaderMatcher } from './route-matchers.ts';

/** envoy.config.route.v3.RetryPolicy; times in milliseconds. Back-off defaults (25 ms, 250 ms) belong to the router. */
export const RetryPolicy = message(
  {
    /** Conditions, by comma. Envoy ignores names it does not know, and so does the router. */
    retry_on: optional(string(), ''),
    num_retries: optional(uint32Value(), 1),
    per_try_timeout: optional(duration()),
    per_try_idle_timeout: optional(duration()),
    retry_host_predicate: optional(
      list(
        message(
          { name: nonEmptyString(), typed_config: optional(anyConfig('retry_host_predicate')) },
          check(({ name, typed_config }) =>
            typed_config === undefined && RETRY_HOST.byName[name] === undefined
              ? new Problem('needs typed_config', {
                  path: ['name'],
                  allowed: Object.keys(RETRY_HOST.byName).join(', '),
                })
              : undefined,
          ),
        ),
      ),
      [],
    ),
    /** Lets further tries pass over priorities that were tried. */
    retry_priority: optional(message({ name: nonEmptyString(), typed_config: anyConfig('retry_priority') })),
    host_selection_retry_max_attempts: optional(int64(), 0),
    retriable_status_codes: optional(list(uint32()), []),
    retriable_headers: optional(list(HeaderMatcher), []),
    retriable_request_headers: optional(list(HeaderMatcher), []),
    retry_back_off: optional(
      message(
        { base_interval: duration({ aboveMs: 0 }), max_interval: optional(duration({ aboveMs: 0 })) },
        check((backOff) =>
          backOff.max_interval !== undefined && backOff.max_interval < backOff.base_interval
            ? new Problem('lies below base_interval', { path: ['max_interval'], allowed: 'at least base_interval' })
            : undefined,
        ),
      ),
    ),
    rate_limited_retry_back_off: optional(
      message({
        reset_headers: list(
          message({ name: headerName(), format: optional(enumOf(['SECONDS', 'UNIX_TIMESTAMP']), 'SECONDS') }),
          { min: 1 },
        ),
        max_interval: optional(duration({ aboveMs: 0 }), '300s'),
      }),
    ),
  },
  unsupported('retry extensions are not available', 'retry_options_predicates'),
);
export type RetryPolicy = v.InferOutput<typeof RetryPolicy>;
