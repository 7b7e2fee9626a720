import type * as v from 'valibot';
import { bool, fixedBool, message, optional, unsupported } from './building-blocks.ts';

/** envoy.extensions.filters.http.router.v3.Router. */
export const Router = message(
  {
    dynamic_stats: optional(fixedBool(true, 'the statistics cost nothing worth a switch'), true),
    start_child_span: optional(fixedBool(false, 'tracing is not available yet'), false),
    suppress_envoy_headers: optional(bool(), false),
    respect_expected_rq_timeout: optional(fixedBool(false, 'the header is not read'), false),
    suppress_grpc_request_failure_code_stats: optional(fixedBool(false, 'there are no such statistics'), false),
  },
  unsupported('upstream filters are not available', 'upstream_http_filters'),
  unsupported("log with the connection manager's access_log", 'upstream_log', 'upstream_log_options'),
  unsupported('headers that do not parse are passed over', 'strict_check_headers'),
  unsupported('it is not available', 'reject_connect_request_early_data'),
);
export type Router = v.InferOutput<typeof Router>;
