import type * as v from 'valibot';
import {
  bool,
  duration,
  list,
  message,
  oneof,
  optional,
  string,
  struct,
  uint32,
  uint32Value,
  uint64,
} from '../../src/config/schema/building-blocks.ts';
import { FractionalPercent } from '../../src/config/schema/percent.ts';
import { HeaderMatcher } from '../../src/config/schema/route-matchers.ts';

const percentage = optional(FractionalPercent, {});

/** envoy.extensions.filters.common.fault.v3.FaultDelay; fixed_delay in milliseconds. */
export const FaultDelay = message(
  { fixed_delay: optional(duration({ aboveMs: 0 })), header_delay: optional(message({})), percentage },
  oneof(['fixed_delay', 'header_delay'], { required: true }),
);
export type FaultDelay = v.InferOutput<typeof FaultDelay>;

/** envoy.extensions.filters.http.fault.v3.FaultAbort. */
export const FaultAbort = message(
  {
    http_status: optional(uint32({ min: 200, below: 600 })),
    grpc_status: optional(uint32()),
    header_abort: optional(message({})),
    percentage,
  },
  oneof(['http_status', 'grpc_status', 'header_abort'], { required: true }),
);
export type FaultAbort = v.InferOutput<typeof FaultAbort>;

/** envoy.extensions.filters.common.fault.v3.FaultRateLimit; limit_kbps in KiB per second. */
export const FaultRateLimit = message(
  {
    fixed_limit: optional(message({ limit_kbps: uint64({ min: 1 }) })),
    header_limit: optional(message({})),
    percentage,
  },
  oneof(['fixed_limit', 'header_limit'], { required: true }),
);
export type FaultRateLimit = v.InferOutput<typeof FaultRateLimit>;

/** A key of Envoy's runtime layer; there is none here, so the configured values hold. */
const runtimeKey = optional(string(), '');

/** envoy.extensions.filters.http.fault.v3.HTTPFault. */
export const HttpFault = message({
  delay: optional(FaultDelay),
  abort: optional(FaultAbort),
  upstream_cluster: optional(string(), ''),
  headers: optional(list(HeaderMatcher), []),
  downstream_nodes: optional(list(string()), []),
  max_active_faults: optional(uint32Value()),
  response_rate_limit: optional(FaultRateLimit),
  delay_percent_runtime: runtimeKey,
  abort_percent_runtime: runtimeKey,
  delay_duration_runtime: runtimeKey,
  abort_http_status_runtime: runtimeKey,
  max_active_faults_runtime: runtimeKey,
  response_rate_limit_percent_runtime: runtimeKey,
  abort_grpc_status_runtime: runtimeKey,
  disable_downstream_cluster_stats: optional(bool(), false),
  /** What a delay or an abort leaves in dynamic metadata, in the namespace of the filter's name. */
  filter_metadata: optional(struct(), {}),
});
export type HttpFault = v.InferOutput<typeof HttpFault>;
