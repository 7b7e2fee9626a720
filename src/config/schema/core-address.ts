import { isIP, isIPv4 } from 'node:net';
import type * as v from 'valibot';
import {
  bool,
  check,
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

/** envoy.config.core.v3 addresses. */

/** envoy.config.core.v3.SocketAddress: host (IP for listeners and STATIC endpoints, a name for DNS clusters) and port. */
export const SocketAddress = message(
  {
    protocol: optional(enumOf(['TCP', 'UDP'], { UDP: 'only TCP is proxied' }), 'TCP'),
    address: nonEmptyString(),
    port_value: optional(uint32({ max: 65535 })),
    ipv4_compat: optional(bool(), false),
  },
  oneof(['port_value', 'named_port'], { required: true }),
  unsupported('give the number with port_value', 'named_port'),
  unsupported('custom resolvers are not available', 'resolver_name'),
  unsupported('network namespaces are not available', 'network_namespace_filepath'),
);
export type SocketAddress = v.InferOutput<typeof SocketAddress>;

/** envoy.config.core.v3.Pipe: a Unix socket; `mode` are the permissions of the socket file, as a decimal number. */
export const Pipe = message({
  path: string({ minLength: 1, pattern: /^[^\0]*$/, allowed: 'no NUL' }),
  mode: optional(uint32({ max: 511 }), 0),
});
export type Pipe = v.InferOutput<typeof Pipe>;

/** envoy.config.core.v3.Address. */
export const Address = message(
  { socket_address: optional(SocketAddress), pipe: optional(Pipe) },
  oneof(['socket_address', 'pipe', 'envoy_internal_address'], { required: true }),
  unsupported('internal listeners are not available', 'envoy_internal_address'),
);
export type Address = v.InferOutput<typeof Address>;

/** envoy.config.core.v3.CidrRange: `address_prefix` is an IP address, `prefix_len` 0 without one. */
export const CidrRange = message(
  { address_prefix: nonEmptyString(), prefix_len: optional(uint32Value({ max: 128 }), 0) },
  check((range) => {
    if (isIP(range.address_prefix) === 0) {
      const slash = /^(.+)\/(\d+)$/.exec(range.address_prefix);
      const suggestion = slash === null ? undefined : `address_prefix: ${slash[1]}, prefix_len: ${slash[2]}`;
      return new Problem(`"${range.address_prefix}" is not an IP address`, { path: ['address_prefix'], suggestion });
    }
    if (isIPv4(range.address_prefix) && range.prefix_len > 32) {
      return new Problem(`${range.prefix_len} is out of range`, {
        path: ['prefix_len'],
        allowed: 'at most 32 for IPv4',
      });
    }
    return undefined;
  }),
);
export type CidrRange = v.InferOutput<typeof CidrRange>;

/** A problem when the address is a host name where only an IP address can stand; `path` leads to it. */
export function hostNameProblem(host: string | undefined, path: readonly (string | number)[]): Problem | undefined {
  if (host === undefined || isIP(host) !== 0) return undefined;
  const suggestion = host === 'localhost' ? '127.0.0.1' : undefined;
  return new Problem(`"${host}" is not an IP address`, { path, suggestion });
}

/** envoy.config.core.v3.BindConfig: the local address of upstream connections. */
export const BindConfig = message(
  {
    source_address: optional(SocketAddress),
    /** The first address of all whose family is the endpoint's counts; else source_address. */
    extra_source_addresses: optional(
      list(message({ address: SocketAddress }, unsupported('they are not available', 'socket_options'))),
      [],
    ),
  },
  unsupported(
    'only source_address and extra_source_addresses are available',
    'freebind',
    'socket_options',
    'additional_source_addresses',
    'local_address_selector',
  ),
  check((bind) => hostNameProblem(bind.source_address?.address, ['source_address', 'address'])),
  check((bind) => {
    for (const [index, { address }] of bind.extra_source_addresses.entries()) {
      const problem = hostNameProblem(address.address, ['extra_source_addresses', index, 'address', 'address']);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }),
);
export type BindConfig = v.InferOutput<typeof BindConfig>;

/** envoy.config.core.v3.TcpKeepalive; times in seconds. */
export const TcpKeepalive = message({
  keepalive_probes: optional(uint32Value()),
  keepalive_time: optional(uint32Value()),
  keepalive_interval: optional(uint32Value()),
});
export type TcpKeepalive = v.InferOutput<typeof TcpKeepalive>;
