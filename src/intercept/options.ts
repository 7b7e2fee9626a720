import type { Cidr } from './cidr.ts';

/** What is intercepted, and how; ports of a list are in order and without doubles. */
export interface InterceptOptions {
  /** How inbound connections get to the proxy: `tproxy` keeps the client's address. */
  readonly mode: 'redirect' | 'tproxy';
  /** Where the proxy takes outbound connections. */
  readonly outboundPort: number;
  /** Where the proxy takes inbound connections. */
  readonly inboundPort: number;
  /** HBONE: goes to its listener directly. */
  readonly tunnelPort: number;
  readonly proxyUids: readonly number[];
  readonly proxyGids: readonly number[];
  readonly inboundPorts: '*' | readonly number[];
  /** Without `ALWAYS_EXCLUDED_INBOUND_PORTS`. */
  readonly excludedInboundPorts: readonly number[];
  /** Intercepted wherever they go, beside what goes to `outboundRanges`. */
  readonly outboundPorts: readonly number[];
  readonly excludedOutboundPorts: readonly number[];
  readonly outboundRanges: '*' | readonly Cidr[];
  readonly excludedOutboundRanges: readonly Cidr[];
  readonly excludedInterfaces: readonly string[];
  /** What comes in on these, from a virtual machine, is outbound traffic. */
  readonly virtualInterfaces: readonly string[];
  readonly excludedUids: readonly number[];
  readonly excludedGids: readonly number[];
  readonly tproxyMark: number;
  readonly tproxyTable: number;
}

/** Statistics, health and the merged statistics of app and agent: kubelet and Prometheus reach them past the proxy. */
export const ALWAYS_EXCLUDED_INBOUND_PORTS: readonly number[] = [15090, 15021, 15020];

/** What the proxy's outbound side marks its connections to its own pod with; `tproxyMark` is the inbound side's. */
export const OUTBOUND_MARK = 1338;

/** Where the proxy's connections to its app come from, so that they are not intercepted again. */
export const PASSTHROUGH_SOURCE = { 4: '127.0.0.6/32', 6: '::6/128' } as const;
export const LOOPBACK = { 4: '127.0.0.1/32', 6: '::1/128' } as const;

export const DEFAULT_OPTIONS: InterceptOptions = {
  mode: 'redirect',
  outboundPort: 15001,
  inboundPort: 15006,
  tunnelPort: 15008,
  proxyUids: [1337],
  proxyGids: [1337],
  inboundPorts: '*',
  excludedInboundPorts: [],
  outboundPorts: [],
  excludedOutboundPorts: [],
  outboundRanges: '*',
  excludedOutboundRanges: [],
  excludedInterfaces: [],
  virtualInterfaces: [],
  excludedUids: [],
  excludedGids: [],
  tproxyMark: 1337,
  tproxyTable: 133,
};
