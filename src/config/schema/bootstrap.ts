import type * as v from 'valibot';
import { bool, duration, fixedBool, list, message, optional, Problem, string, unsupported } from './building-blocks.ts';
import { Cluster } from './cluster.ts';
import { Node } from './core.ts';
import { Address, hostNameProblem } from './core-address.ts';
import { Listener } from './listener.ts';
import { check } from './message.ts';
import { OverloadManager } from './overload.ts';
import { type Tracing, TracingProvider } from './tracing.ts';

/** envoy.config.bootstrap.v3. */

/** envoy.config.bootstrap.v3.Admin. */
export const Admin = message(
  {
    address: optional(Address),
    ignore_global_conn_limit: optional(bool(), false),
  },
  unsupported('requests to the admin server are not logged', 'access_log', 'access_log_path'),
  check((admin) =>
    admin.address?.pipe === undefined
      ? undefined
      : new Problem('the admin server needs an address and a port', { path: ['address', 'pipe'] }),
  ),
  check((admin) => hostNameProblem(admin.address?.socket_address?.address, ['address', 'socket_address', 'address'])),
  unsupported('it is not available', 'profile_path', 'socket_options', 'allow_paths'),
);
export type Admin = v.InferOutput<typeof Admin>;

/** envoy.config.bootstrap.v3.Bootstrap.StaticResources; names are unique. */
export const StaticResources = message(
  { listeners: optional(list(Listener), []), clusters: optional(list(Cluster), []) },
  unsupported('write certificates where they are used', 'secrets'),
  check(
    (resources) =>
      duplicate(resources.clusters, 'clusters') ??
      duplicate(resources.listeners, 'listeners') ??
      sharedAddress(resources.listeners),
  ),
);
export type StaticResources = v.InferOutput<typeof StaticResources>;

function duplicate(items: readonly { name: string }[], field: string): Problem | undefined {
  const seen = new Set<string>();
  for (const [index, { name }] of items.entries()) {
    if (name !== '' && seen.has(name)) {
      return new Problem(`"${name}" exists already among the ${field}`, { path: [field, index, 'name'] });
    }
    seen.add(name);
  }
  return undefined;
}

/** Two listeners cannot have the same address; port 0 is another one each time. */
function sharedAddress(listeners: readonly Listener[]): Problem | undefined {
  const indexByAddress = new Map<string, number>();
  for (const [index, { address }] of listeners.entries()) {
    const socket = address.socket_address;
    if (socket?.port_value === 0) continue;
    const key = socket === undefined ? `pipe ${address.pipe?.path}` : `${socket.address} ${socket.port_value}`;
    const other = indexByAddress.get(key);
    if (other !== undefined) {
      return new Problem(`listeners[${other}] has this address already`, { path: ['listeners', index, 'address'] });
    }
    indexByAddress.set(key, index);
  }
  return undefined;
}

/** envoy.config.bootstrap.v3.ClusterManager: what all clusters have in common. */
export const ClusterManager = message(
  {
    /** The cluster whose endpoints are this proxy and its like, for zone-aware balancing. */
    local_cluster_name: optional(string(), ''),
    outlier_detection: optional(
      message(
        {
          /** A file that gets a JSON object for each ejection and each return of an endpoint. */
          event_log_path: optional(string(), ''),
        },
        unsupported('use event_log_path', 'event_service'),
      ),
    ),
  },
  unsupported('it is not available', 'upstream_bind_config', 'load_stats_config', 'enable_deferred_cluster_creation'),
);
export type ClusterManager = v.InferOutput<typeof ClusterManager>;

/** envoy.config.bootstrap.v3.Bootstrap. */
export const Bootstrap = message(
  {
    node: optional(Node, {}),
    static_resources: optional(StaticResources, {}),
    cluster_manager: optional(ClusterManager),
    admin: optional(Admin),
    overload_manager: optional(OverloadManager),
    stats_flush_interval: optional(duration({ minMs: 1, maxMs: 299_999.999 })),
    /** The provider of connection managers whose `tracing` names none. */
    tracing: optional(message({ http: optional(TracingProvider) })),
    enable_dispatcher_stats: optional(fixedBool(false, 'there are no such statistics'), false),
  },
  unsupported(
    'configuration is not discovered yet, write static_resources',
    'dynamic_resources',
    'node_context_params',
    'config_sources',
    'default_config_source',
    'hds_config',
    'xds_delegate_extension',
    'xds_config_tracker_extension',
  ),
  unsupported('there is no runtime, give default values in place', 'layered_runtime', 'flags_path'),
  unsupported(
    'statistics are read from the admin server',
    'stats_sinks',
    'stats_config',
    'deferred_stat_options',
    'stats_flush_on_admin',
    'stats_eviction_interval',
    'stats_server_version_override',
  ),
  unsupported('it is not available', 'perf_tracing_file_path'),
  unsupported('certificates come from the configuration', 'certificate_provider_instances'),
  unsupported(
    "the system's resolver is used",
    'use_tcp_for_dns_lookups',
    'dns_resolution_config',
    'typed_dns_resolver_config',
  ),
  unsupported(
    'it is not available',
    'watchdog',
    'watchdogs',
    'header_prefix',
    'bootstrap_extensions',
    'fatal_actions',
    'default_socket_interface',
    'inline_headers',
    'default_regex_engine',
    'listener_manager',
    'application_log_config',
    'grpc_async_client_manager_config',
    'memory_allocator_manager',
  ),
  check(({ cluster_manager, static_resources }) => {
    const name = cluster_manager?.local_cluster_name ?? '';
    return name === '' || static_resources.clusters.some((cluster) => cluster.name === name)
      ? undefined
      : new Problem(`there is no cluster "${name}"`, { path: ['cluster_manager', 'local_cluster_name'] });
  }),
  check(shareProvider),
);
export type Bootstrap = v.InferOutput<typeof Bootstrap>;

/** Gives connection managers the provider of the whole proxy. */
function shareProvider(bootstrap: {
  static_resources: StaticResources;
  tracing?: { http?: TracingProvider | undefined } | undefined;
}): undefined {
  const provider = bootstrap.tracing?.http;
  if (provider === undefined) return;
  for (const { filter_chains: chains, default_filter_chain: last } of bootstrap.static_resources.listeners) {
    for (const { filters } of last === undefined ? chains : [...chains, last]) {
      const manager = filters.at(-1)?.typed_config.value as { tracing?: Tracing } | undefined;
      if (manager?.tracing !== undefined) manager.tracing.provider ??= provider;
    }
  }
}
