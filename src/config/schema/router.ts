import type * as v from 'valibot';
import { AccessLog } from './access-log.ts';
import { bool, boolValue, enumOf, list, message, optional, unsupported } from './building-blocks.ts';

/** envoy.extensions.filters.http.router.v3.Router. */
export const Router = message(
  {
    dynamic_stats: optional(boolValue(), true),
    start_child_span: optional(bool(), false),
    upstream_log: optional(list(AccessLog), []),
    suppress_envoy_headers: optional(bool(), false),
    strict_check_headers: optional(
      list(
        enumOf([
          'x-envoy-upstream-rq-timeout-ms',
          'x-envoy-upstream-rq-per-try-timeout-ms',
          'x-envoy-max-retries',
          'x-envoy-retry-grpc-on',
          'x-envoy-retry-on',
        ]),
      ),
      [],
    ),
    respect_expected_rq_timeout: optional(bool(), false),
    suppress_grpc_request_failure_code_stats: optional(bool(), false),
  },
  unsupported('upstream filters are not available', 'upstream_http_filters', 'upstream_log_options'),
  unsupported('it is not available', 'reject_connect_request_early_data'),
);
export type Router = v.InferOutput<typeof Router>;
