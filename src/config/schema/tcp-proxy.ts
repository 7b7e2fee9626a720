import type * as v from 'valibot';
import { AccessLog } from './access-log.ts';
import {
  check,
  duration,
  list,
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
import { Percent } from './percent.ts';

/** envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy; times in milliseconds. */

const TcpWeightedCluster = message({
  clusters: list(
    message(
      { name: nonEmptyString(), weight: uint32({ min: 1 }) },
      unsupported('subset load balancing is not available', 'metadata_match'),
    ),
    { min: 1 },
  ),
});

export const TcpProxy = message(
  {
    stat_prefix: nonEmptyString(),
    cluster: optional(string()),
    weighted_clusters: optional(TcpWeightedCluster),
    /** Closes a session in which neither side has sent anything for so long; 0 never does. */
    idle_timeout: optional(duration(), '3600s'),
    access_log: optional(list(AccessLog), []),
    max_connect_attempts: optional(uint32Value({ min: 1 }), 1),
    backoff_options: optional(
      message(
        { base_interval: duration({ minMs: 1 }), max_interval: optional(duration({ aboveMs: 0 })) },
        check((backOff) =>
          backOff.max_interval !== undefined && backOff.max_interval < backOff.base_interval
            ? new Problem('lies below base_interval', { path: ['max_interval'], allowed: 'at least base_interval' })
            : undefined,
        ),
      ),
    ),
    hash_policy: optional(
      list(
        message(
          { source_ip: optional(message({})) },
          oneof(['source_ip', 'filter_state'], { required: true }),
          unsupported('use source_ip', 'filter_state'),
        ),
        { max: 1 },
      ),
      [],
    ),
    max_downstream_connection_duration: optional(duration({ minMs: 1 })),
    max_downstream_connection_duration_jitter_percentage: optional(Percent),
  },
  oneof(['cluster', 'weighted_clusters'], { required: true }),
  unsupported('clusters are not discovered', 'on_demand'),
  unsupported('subset load balancing is not available', 'metadata_match'),
  unsupported('use idle_timeout', 'downstream_idle_timeout', 'upstream_idle_timeout'),
  unsupported('tunnelling through CONNECT is not available yet', 'tunneling_config'),
  unsupported(
    'a session is logged once, at its end',
    'access_log_options',
    'access_log_flush_interval',
    'flush_access_log_on_connected',
  ),
  unsupported('the PROXY protocol is not available yet', 'proxy_protocol_tlvs'),
  unsupported(
    'the upstream connection is made when the downstream one is',
    'upstream_connect_mode',
    'max_early_data_bytes',
  ),
);
export type TcpProxy = v.InferOutput<typeof TcpProxy>;
