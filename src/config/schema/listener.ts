import type * as v from 'valibot';
import { listenerOptionsProblem } from '../listener-options.ts';
import { AccessLog } from './access-log.ts';
import {
  anyConfig,
  bool,
  boolValue,
  check,
  duration,
  enumOf,
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
import { Metadata } from './core.ts';
import { Address, CidrRange, hostNameProblem } from './core-address.ts';
import { overlapProblem } from './filter-chain-overlap.ts';
import { ListenerFilterMatch } from './listener-filter-match.ts';
import { DownstreamTransportSocket } from './transport-socket.ts';

/** envoy.config.listener.v3. */

/** envoy.config.listener.v3.Filter: a network filter. */
export const NetworkFilter = message(
  { name: nonEmptyString(), typed_config: anyConfig('network_filter') },
  unsupported('filters are not discovered, write typed_config', 'config_discovery'),
);
export type NetworkFilter = v.InferOutput<typeof NetworkFilter>;

/** envoy.config.listener.v3.ListenerFilter: looks at a connection before a filter chain is chosen. */
export const ListenerFilter = message(
  {
    name: nonEmptyString(),
    typed_config: anyConfig('listener_filter'),
    /** For connections that match, the filter is left out. */
    filter_disabled: optional(ListenerFilterMatch),
  },
  unsupported('filters are not discovered, write typed_config', 'config_discovery'),
);
export type ListenerFilter = v.InferOutput<typeof ListenerFilter>;

/** envoy.config.listener.v3.FilterChainMatch: all given conditions must hold; the most specific chain wins. */
export const FilterChainMatch = message(
  {
    destination_port: optional(uint32Value({ min: 1, max: 65535 })),
    prefix_ranges: optional(list(CidrRange), []),
    direct_source_prefix_ranges: optional(list(CidrRange), []),
    source_type: optional(enumOf(['ANY', 'SAME_IP_OR_LOOPBACK', 'EXTERNAL']), 'ANY'),
    source_prefix_ranges: optional(list(CidrRange), []),
    source_ports: optional(list(uint32({ min: 1, max: 65535 })), []),
    server_names: optional(list(string()), []),
    transport_protocol: optional(string(), ''),
    application_protocols: optional(list(string()), []),
  },
  unsupported('use prefix_ranges', 'address_suffix', 'suffix_len'),
  check((match) => {
    for (const [index, name] of match.server_names.entries()) {
      if (name.includes('*') && !/^(\*|\*\.[^*]+)$/.test(name)) {
        return new Problem(`"${name}" is not a server name`, {
          path: ['server_names', index],
          allowed: 'example.com or *.example.com',
        });
      }
    }
    return undefined;
  }),
);
export type FilterChainMatch = v.InferOutput<typeof FilterChainMatch>;

/** envoy.config.listener.v3.FilterChain. */
export const FilterChain = message(
  {
    name: optional(string(), ''),
    filter_chain_match: optional(FilterChainMatch),
    filters: list(NetworkFilter, { min: 1 }),
    metadata: optional(Metadata),
    transport_socket: optional(DownstreamTransportSocket),
    transport_socket_connect_timeout: optional(duration()),
  },
  unsupported('use the listener filter envoy.filters.listener.proxy_protocol', 'use_proxy_proto'),
);
export type FilterChain = v.InferOutput<typeof FilterChain>;

const HOST_PATH = ['address', 'socket_address', 'address'];

/** envoy.config.listener.v3.Listener. */
export const Listener = message(
  {
    name: optional(string(), ''),
    address: Address,
    stat_prefix: optional(string(), ''),
    filter_chains: optional(list(FilterChain), []),
    default_filter_chain: optional(FilterChain),
    per_connection_buffer_limit_bytes: optional(uint32Value(), 1048576),
    metadata: optional(Metadata),
    drain_type: optional(enumOf(['DEFAULT', 'MODIFY_ONLY']), 'DEFAULT'),
    traffic_direction: optional(enumOf(['UNSPECIFIED', 'INBOUND', 'OUTBOUND']), 'UNSPECIFIED'),
    connection_balance_config: optional(
      message(
        { exact_balance: optional(message({})) },
        oneof(['exact_balance', 'extend_balance'], { required: true }),
        unsupported('use exact_balance', 'extend_balance'),
      ),
    ),
    reuse_port: optional(bool()),
    enable_reuse_port: optional(boolValue()),
    listener_filters: optional(list(ListenerFilter), []),
    listener_filters_timeout: optional(duration(), '15s'),
    continue_on_listener_filters_timeout: optional(bool(), false),
    access_log: optional(list(AccessLog), []),
    tcp_backlog_size: optional(uint32Value()),
    /** Connections are handed to the listener at the address that their clients wanted to reach, where there is one. */
    use_original_dst: optional(boolValue(), false),
    /** False listens on nothing: connections come from listeners with use_original_dst. */
    bind_to_port: optional(boolValue(), true),
    deprecated_v1: optional(message({ bind_to_port: optional(boolValue(), true) })),
    /** TPROXY may bring connections to any address; needs CAP_NET_ADMIN. */
    transparent: optional(boolValue(), false),
    /** The address need not be there yet. */
    freebind: optional(boolValue(), false),
  },
  unsupported('give each address its own listener', 'additional_addresses'),
  unsupported('use filter_chain_match', 'filter_chain_matcher', 'fcds_config'),
  unsupported(
    'socket options are not available',
    'socket_options',
    'tcp_fast_open_queue_length',
    'enable_mptcp',
    'tcp_keepalive',
  ),
  unsupported('only TCP listeners are available', 'udp_listener_config', 'api_listener', 'internal_listener'),
  unsupported(
    'it is not available',
    'max_connections_to_accept_per_socket_event',
    'ignore_global_conn_limit',
    'bypass_overload_manager',
  ),
  check((listener) => hostNameProblem(listener.address.socket_address?.address, HOST_PATH)),
  check(listenerOptionsProblem),
  check(chainsAreDistinct),
);
export type Listener = v.InferOutput<typeof Listener>;

/** There is a chain, and no two chains match the same connections. */
function chainsAreDistinct(listener: {
  filter_chains: FilterChain[];
  default_filter_chain?: FilterChain | undefined;
}): Problem | undefined {
  if (listener.filter_chains.length === 0 && listener.default_filter_chain === undefined) {
    return new Problem('needs filter_chains or default_filter_chain');
  }
  return overlapProblem(listener.filter_chains);
}
