import type * as v from 'valibot';
import {
  bool,
  boolValue,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  string,
} from '../../src/config/schema/building-blocks.ts';

/** envoy.config.core.v3.GrpcMethodList. */
const GrpcMethodList = message({
  services: optional(list(message({ name: nonEmptyString(), method_names: list(string(), { min: 1 }) })), []),
});
export type GrpcMethodList = v.InferOutput<typeof GrpcMethodList>;

/** envoy.extensions.filters.http.grpc_stats.v3.FilterConfig. */
export const GrpcStatsConfig = message(
  {
    /** Leaves the numbers of messages for logs, as filter state `envoy.filters.http.grpc_stats`. */
    emit_filter_state: optional(bool(), false),
    /** Methods with figures of their own; all others are counted together. */
    individual_method_stats_allowlist: optional(GrpcMethodList),
    /** Every method has figures of its own: for clients that are trusted not to make names up. */
    stats_for_all_methods: optional(boolValue()),
    /** A histogram of the time between the request's last byte to the upstream and the response's last byte. */
    enable_upstream_stats: optional(bool(), false),
    /** Dots of a service's name become underscores; with `stats_for_all_methods` only. */
    replace_dots_in_grpc_service_name: optional(bool(), false),
  },
  oneof(['individual_method_stats_allowlist', 'stats_for_all_methods']),
);
export type GrpcStatsConfig = v.InferOutput<typeof GrpcStatsConfig>;
