import { isIP } from 'node:net';
import type * as v from 'valibot';
import type { TypedConfig } from '../typed-config.ts';
import { transportLayers } from '../upstream-transport.ts';
import {
  anyConfig,
  bool,
  boolValue,
  check,
  double,
  duration,
  enumOf,
  fixedBool,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32Value,
  uint64Value,
  unsupported,
} from './building-blocks.ts';
import { Metadata } from './core.ts';
import { BindConfig, TcpKeepalive } from './core-address.ts';
import { ClusterLoadAssignment } from './endpoint.ts';
import { HealthCheck, healthCheckProblem } from './health-check.ts';
import {
  Http1ProtocolOptions,
  HttpProtocolOptions,
  type UpstreamHttpProtocolOptions,
  upstreamOptionsProblem,
} from './http-protocol-options.ts';
import { Http2ProtocolOptions } from './http2-protocol-options.ts';
import { OutlierDetection } from './outlier-detection.ts';
import { Percent, RuntimeDouble } from './percent.ts';
import { UpstreamTransportSocket } from './transport-socket.ts';
import { UPSTREAM_HTTP_OPTIONS } from './upstream-http-options.ts';

/** envoy.config.cluster.v3; times in milliseconds. */

/** envoy.config.cluster.v3.CircuitBreakers.Thresholds of one routing priority. */
export const Thresholds = message(
  {
    priority: optional(enumOf(['DEFAULT', 'HIGH']), 'DEFAULT'),
    max_connections: optional(uint32Value(), 1024),
    max_pending_requests: optional(uint32Value(), 1024),
    max_requests: optional(uint32Value(), 1024),
    max_retries: optional(uint32Value(), 3),
    retry_budget: optional(
      message({ budget_percent: optional(Percent), min_retry_concurrency: optional(uint32Value(), 3) }),
    ),
    track_remaining: optional(bool(), false),
  },
  unsupported('each cluster has one pool per endpoint', 'max_connection_pools'),
);
export type Thresholds = v.InferOutput<typeof Thresholds>;

/** envoy.config.cluster.v3.CircuitBreakers. */
export const CircuitBreakers = message(
  { thresholds: optional(list(Thresholds), []) },
  unsupported('use thresholds', 'per_host_thresholds'),
);
export type CircuitBreakers = v.InferOutput<typeof CircuitBreakers>;

/** envoy.config.cluster.v3.Cluster.SlowStartConfig: an endpoint that has become healthy comes to its share by and by. */
export const SlowStartConfig = message({
  slow_start_window: optional(duration(), '0s'),
  /** 1 grows evenly, more grows faster in the beginning. */
  aggression: optional(RuntimeDouble),
  /** Least share of its weight; 10 by default. */
  min_weight_percent: optional(Percent),
});
export type SlowStartConfig = v.InferOutput<typeof SlowStartConfig>;

const LeastRequestLbConfig = message({
  choice_count: optional(uint32Value({ min: 2 }), 2),
  active_request_bias: optional(RuntimeDouble),
  slow_start_config: optional(SlowStartConfig),
});

const RingHashLbConfig = message(
  {
    minimum_ring_size: optional(uint64Value({ max: 8388608 }), 1024),
    maximum_ring_size: optional(uint64Value({ max: 8388608 }), 8388608),
    hash_function: optional(enumOf(['XX_HASH', 'MURMUR_HASH_2'], { MURMUR_HASH_2: 'hashes are XX_HASH' }), 'XX_HASH'),
  },
  check((ring) =>
    ring.minimum_ring_size > ring.maximum_ring_size
      ? new Problem('lies above maximum_ring_size', { path: ['minimum_ring_size'] })
      : undefined,
  ),
);

const MaglevLbConfig = message(
  { table_size: optional(uint64Value({ max: 5000011 }), 65537) },
  check((maglev) =>
    isPrime(maglev.table_size)
      ? undefined
      : new Problem(`${maglev.table_size} is not a prime number`, { path: ['table_size'] }),
  ),
);

/** envoy.config.cluster.v3.Cluster.OriginalDstLbConfig: where an ORIGINAL_DST cluster goes. */
const OriginalDstLbConfig = message(
  {
    /** Whether clients may name any address in a header, which then counts more than their original destination. */
    use_http_header: optional(bool(), false),
    /** Of that header; x-envoy-original-dst-host by default. */
    http_header_name: optional(string(), ''),
    /** In place of the destination's port. */
    upstream_port_override: optional(uint32Value({ min: 1, max: 65535 })),
  },
  unsupported('name the address in a header', 'metadata_key'),
);

const RoundRobinLbConfig = message({ slow_start_config: optional(SlowStartConfig) });

/**
 * envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig. Zones count, with these defaults, wherever
 * node.locality and cluster_manager.local_cluster_name say where the proxy is; else only fail_traffic_on_panic does.
 */
export const ZoneAwareLbConfig = message(
  {
    /** Share of the picks that look at zones; 100 by default. */
    routing_enabled: optional(Percent),
    /** Healthy endpoints from which on zones are looked at. */
    min_cluster_size: optional(uint64Value(), 6),
    /** In panic no endpoint is used, instead of all. */
    fail_traffic_on_panic: optional(bool(), false),
  },
  unsupported('it is not available', 'force_locality_direct_routing', 'force_local_zone', 'locality_basis'),
);
export type ZoneAwareLbConfig = v.InferOutput<typeof ZoneAwareLbConfig>;

/** envoy.config.cluster.v3.Cluster.CommonLbConfig. */
export const CommonLbConfig = message(
  {
    /** Share of healthy endpoints below which all are used; 0 never does that. */
    healthy_panic_threshold: optional(Percent, { value: 50 }),
    consistent_hashing_lb_config: optional(
      message({
        use_hostname_for_hashing: optional(bool(), false),
        hash_balance_factor: optional(uint32Value({ min: 100 })),
      }),
    ),
    close_connections_on_host_set_change: optional(bool(), false),
    /** An endpoint whose first check is not over does not count among those that fail. */
    ignore_new_hosts_until_first_hc: optional(bool(), false),
    locality_weighted_lb_config: optional(message({})),
    /** How endpoints in this proxy's own zone are preferred. */
    zone_aware_lb_config: optional(ZoneAwareLbConfig),
  },
  oneof(['zone_aware_lb_config', 'locality_weighted_lb_config']),
  unsupported('it is not available', 'update_merge_window', 'override_host_status'),
);
export type CommonLbConfig = v.InferOutput<typeof CommonLbConfig>;

/** envoy.config.cluster.v3.Cluster.PreconnectPolicy: connections made before a request needs them. */
export const PreconnectPolicy = message(
  {
    /** Streams for which an endpoint has connections, for each stream there is. */
    per_upstream_preconnect_ratio: optional(double({ min: 1, max: 3 }), 1),
  },
  unsupported('connections are made ahead for each endpoint', 'predictive_preconnect_ratio'),
);
export type PreconnectPolicy = v.InferOutput<typeof PreconnectPolicy>;

/** envoy.config.cluster.v3.Cluster. */
export const Cluster = message(
  {
    name: nonEmptyString(),
    alt_stat_name: optional(string(), ''),
    type: optional(
      enumOf(['STATIC', 'STRICT_DNS', 'LOGICAL_DNS', 'EDS', 'ORIGINAL_DST'], {
        EDS: 'endpoints are not discovered yet',
      }),
      'STATIC',
    ),
    connect_timeout: optional(duration({ aboveMs: 0 }), '5s'),
    per_connection_buffer_limit_bytes: optional(uint32Value(), 1048576),
    lb_policy: optional(
      enumOf(
        {
          ROUND_ROBIN: 0,
          LEAST_REQUEST: 1,
          RING_HASH: 2,
          RANDOM: 3,
          MAGLEV: 5,
          CLUSTER_PROVIDED: 6,
          LOAD_BALANCING_POLICY_CONFIG: 7,
        },
        {
          LOAD_BALANCING_POLICY_CONFIG: 'name the balancer with lb_policy',
        },
      ),
      'ROUND_ROBIN',
    ),
    load_assignment: optional(ClusterLoadAssignment),
    /** Requests and connections that find out which endpoints are healthy. */
    health_checks: optional(list(HealthCheck, { max: 1 }), []),
    /** Takes out endpoints that do worse than they should. */
    outlier_detection: optional(OutlierDetection),
    circuit_breakers: optional(CircuitBreakers, {}),
    max_requests_per_connection: optional(uint32Value()),
    common_http_protocol_options: optional(HttpProtocolOptions),
    http_protocol_options: optional(Http1ProtocolOptions),
    /** Deprecated, as its neighbours are: typed_extension_protocol_options says it. */
    http2_protocol_options: optional(Http2ProtocolOptions),
    protocol_selection: optional(
      enumOf(['USE_CONFIGURED_PROTOCOL', 'USE_DOWNSTREAM_PROTOCOL']),
      'USE_CONFIGURED_PROTOCOL',
    ),
    typed_extension_protocol_options: optional(mapOf(anyConfig('upstream_options')), {}),
    dns_refresh_rate: optional(duration({ aboveMs: 1 }), '5s'),
    dns_failure_refresh_rate: optional(
      message({ base_interval: duration({ aboveMs: 1 }), max_interval: optional(duration({ aboveMs: 1 })) }),
    ),
    dns_jitter: optional(duration(), '0s'),
    respect_dns_ttl: optional(bool(), false),
    dns_lookup_family: optional(enumOf(['AUTO', 'V4_ONLY', 'V6_ONLY', 'V4_PREFERRED', 'ALL']), 'AUTO'),
    wait_for_warm_on_init: optional(boolValue(), true),
    upstream_bind_config: optional(BindConfig),
    ring_hash_lb_config: optional(RingHashLbConfig),
    maglev_lb_config: optional(MaglevLbConfig),
    least_request_lb_config: optional(LeastRequestLbConfig),
    round_robin_lb_config: optional(RoundRobinLbConfig),
    common_lb_config: optional(CommonLbConfig, {}),
    /** An endpoint that leaves DNS is dropped at once, also while its checks pass. */
    ignore_health_on_host_removal: optional(bool(), false),
    transport_socket: optional(UpstreamTransportSocket),
    metadata: optional(Metadata),
    upstream_connection_options: optional(
      message(
        { tcp_keepalive: optional(TcpKeepalive) },
        unsupported('it is not available', 'set_local_interface_name_on_upstream_connections', 'happy_eyeballs_config'),
      ),
    ),
    preconnect_policy: optional(PreconnectPolicy),
    original_dst_lb_config: optional(OriginalDstLbConfig),
    /** Endpoints of an ORIGINAL_DST cluster that were not used for so long are forgotten. */
    cleanup_interval: optional(duration({ aboveMs: 0 }), '5s'),
    connection_pool_per_downstream_connection: optional(fixedBool(false, 'all clients share the pools'), false),
  },
  oneof(['type', 'cluster_type']),
  oneof([
    'ring_hash_lb_config',
    'maglev_lb_config',
    'original_dst_lb_config',
    'least_request_lb_config',
    'round_robin_lb_config',
  ]),
  unsupported('use type', 'cluster_type'),
  unsupported('endpoints are not discovered yet', 'eds_cluster_config', 'lrs_server', 'lrs_report_endpoint_metrics'),
  unsupported('subset load balancing is not available', 'lb_subset_config'),
  unsupported(
    "the system's resolver is used",
    'dns_resolvers',
    'use_tcp_for_dns_lookups',
    'dns_resolution_config',
    'typed_dns_resolver_config',
  ),
  unsupported('use transport_socket', 'transport_socket_matches', 'transport_socket_matcher'),
  unsupported('name the balancer with lb_policy', 'load_balancing_policy'),
  unsupported('use typed_extension_protocol_options', 'upstream_http_protocol_options'),
  unsupported('upstream filters are not available', 'filters'),
  unsupported(
    'it is not available',
    'close_connections_on_host_health_failure',
    'track_timeout_budgets',
    'upstream_config',
    'track_cluster_stats',
  ),
  check((cluster) => upstreamOptionsProblem(cluster.common_http_protocol_options, ['common_http_protocol_options'])),
  check(alpnProblem),
  check((cluster) => (cluster.health_checks.length === 0 ? undefined : healthCheckProblem(cluster))),
  check(endpointsFitType),
  check(originalDestinationProblem),
  check((cluster) =>
    cluster.type !== 'STRICT_DNS' && cluster.common_lb_config.consistent_hashing_lb_config?.use_hostname_for_hashing
      ? new Problem('needs type: STRICT_DNS', {
          path: ['common_lb_config', 'consistent_hashing_lb_config', 'use_hostname_for_hashing'],
        })
      : undefined,
  ),
);
export type Cluster = v.InferOutput<typeof Cluster>;

/** `auto_config` asks the upstream through ALPN, which is a part of TLS. */
function alpnProblem(cluster: {
  typed_extension_protocol_options: Record<string, TypedConfig>;
  transport_socket?: UpstreamTransportSocket | undefined;
}): Problem | undefined {
  const options = cluster.typed_extension_protocol_options[UPSTREAM_HTTP_OPTIONS]?.value as
    | UpstreamHttpProtocolOptions
    | undefined;
  if (options?.auto_config === undefined) return undefined;
  if (transportLayers(cluster.transport_socket?.typed_config).tls !== undefined) return undefined;
  return new Problem('needs a transport socket with ALPN', {
    path: ['typed_extension_protocol_options', UPSTREAM_HTTP_OPTIONS, 'auto_config'],
    allowed: 'explicit_http_config or use_downstream_protocol_config, or a transport_socket for TLS',
  });
}

interface TypedCluster {
  type: string;
  load_assignment?: ClusterLoadAssignment | undefined;
}

/** Whoever follows its clients has nothing to balance, to list or to check; the words are Envoy's. */
function originalDestinationProblem(cluster: {
  type: string;
  lb_policy: string;
  load_assignment?: ClusterLoadAssignment | undefined;
  health_checks: readonly unknown[];
  original_dst_lb_config?: unknown;
}): Problem | undefined {
  const follows = cluster.type === 'ORIGINAL_DST';
  if (follows !== (cluster.lb_policy === 'CLUSTER_PROVIDED')) {
    const text = follows ? 'needs lb_policy: CLUSTER_PROVIDED' : 'CLUSTER_PROVIDED needs type: ORIGINAL_DST';
    return new Problem(text, { path: ['lb_policy'] });
  }
  if (!follows && cluster.original_dst_lb_config !== undefined)
    return new Problem('needs type: ORIGINAL_DST', { path: ['original_dst_lb_config'] });
  if (follows && cluster.load_assignment !== undefined)
    return new Problem('ORIGINAL_DST clusters have no load assignment', { path: ['load_assignment'] });
  if (follows && cluster.health_checks.length > 0)
    return new Problem('destinations of clients are not checked', { path: ['health_checks'] });
  return undefined;
}

/** STATIC endpoints are IP addresses or pipes; LOGICAL_DNS has exactly one endpoint, a name. */
function endpointsFitType(cluster: TypedCluster): Problem | undefined {
  const localities = cluster.load_assignment?.endpoints ?? [];
  if (cluster.type === 'LOGICAL_DNS' && (localities.length !== 1 || localities[0]!.lb_endpoints.length !== 1)) {
    return new Problem('a LOGICAL_DNS cluster needs exactly one endpoint', { path: ['load_assignment', 'endpoints'] });
  }
  for (const [i, locality] of localities.entries()) {
    for (const [j, { endpoint }] of locality.lb_endpoints.entries()) {
      const path = ['load_assignment', 'endpoints', i, 'lb_endpoints', j, 'endpoint', 'address'];
      const problem = endpoint === undefined ? undefined : addressProblem(cluster.type, endpoint.address);
      if (problem !== undefined) return new Problem(problem.message, { ...problem, path: [...path, ...problem.path] });
    }
  }
  return undefined;
}

function addressProblem(
  type: string,
  address: { socket_address?: { address: string } | undefined },
): Problem | undefined {
  const host = address.socket_address?.address;
  if (type === 'STATIC' && host !== undefined && isIP(host) === 0) {
    return new Problem(`"${host}" is not an IP address`, {
      path: ['socket_address', 'address'],
      allowed: 'an IP address, or type: STRICT_DNS or LOGICAL_DNS for names',
    });
  }
  if (type !== 'STATIC' && host === undefined) {
    return new Problem('a pipe needs type: STATIC', { path: ['pipe'] });
  }
  return undefined;
}

function isPrime(number: number): boolean {
  if (number < 2 || (number > 2 && number % 2 === 0)) return false;
  for (let divisor = 3; divisor * divisor <= number; divisor += 2) if (number % divisor === 0) return false;
  return true;
}
