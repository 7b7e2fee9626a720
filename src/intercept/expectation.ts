import { contains, isLoopback, parseCidr } from './cidr.ts';
import { ALWAYS_EXCLUDED_INBOUND_PORTS, type InterceptOptions, LOOPBACK, PASSTHROUGH_SOURCE } from './options.ts';
import type { Family } from './rule.ts';

/** The first packet of a connection; addresses are numbers. */
export interface Packet {
  readonly family: Family;
  /** `out` of a process in this namespace, `in` from an interface that is not the loopback. */
  readonly way: 'in' | 'out';
  /** `lo` for what stays in the pod. */
  readonly interfaceName: string;
  readonly source: bigint;
  readonly destination: bigint;
  readonly port: number;
  /** Of the process that connects; means nothing for what comes in. */
  readonly uid: number;
  readonly gid: number;
}

/** The proxy's port that a connection is handed to, or none. */
export type Verdict = 'outbound' | 'inbound' | 'direct';

/** What is meant to happen to a connection: the contract in one place, apart from rules that carry it out. */
export function expectedVerdict(options: InterceptOptions, packet: Packet): Verdict {
  return packet.way === 'out' ? outgoing(options, packet) : incoming(options, packet);
}

function outgoing(options: InterceptOptions, packet: Packet): Verdict {
  const { family, destination, port, uid, gid } = packet;
  const stays = packet.interfaceName === 'lo';
  const toLoopback = holds(LOOPBACK[family], packet);
  if (isListed(options.excludedInterfaces, packet.interfaceName)) return 'direct';
  if (options.excludedOutboundPorts.includes(port)) return 'direct';
  if (stays && holds(PASSTHROUGH_SOURCE[family], { family, destination: packet.source })) return 'direct';
  const { outboundRanges: ranges } = options;
  const wantsLoopback = ranges !== '*' && ranges.some(isLoopback);
  for (const [owners, owner] of [
    [options.proxyUids, uid],
    [options.proxyGids, gid],
  ] as const) {
    const isProxy = owners.includes(owner);
    if (isProxy) return stays && !toLoopback && port !== options.tunnelPort ? 'inbound' : 'direct';
    if (owners.length > 0 && stays && !wantsLoopback) return 'direct';
  }
  if (options.excludedUids.includes(uid) || options.excludedGids.includes(gid) || toLoopback) return 'direct';
  if (options.excludedOutboundRanges.some((range) => contains(range, family, destination))) return 'direct';
  return options.outboundPorts.includes(port) || isIncluded(options, packet) ? 'outbound' : 'direct';
}

function incoming(options: InterceptOptions, packet: Packet): Verdict {
  const { inboundPorts, tunnelPort, excludedInboundPorts } = options;
  if (isListed(options.virtualInterfaces, packet.interfaceName)) {
    return isIncluded(options, packet) ? 'outbound' : 'direct';
  }
  if (isListed(options.excludedInterfaces, packet.interfaceName)) return 'direct';
  if ([tunnelPort, ...ALWAYS_EXCLUDED_INBOUND_PORTS, ...excludedInboundPorts].includes(packet.port)) return 'direct';
  return inboundPorts === '*' || inboundPorts.includes(packet.port) ? 'inbound' : 'direct';
}

function isIncluded({ outboundRanges }: InterceptOptions, { family, destination }: Packet): boolean {
  return outboundRanges === '*' || outboundRanges.some((range) => contains(range, family, destination));
}

function holds(cidr: string, { family, destination }: Pick<Packet, 'family' | 'destination'>): boolean {
  const range = parseCidr(cidr);
  return range !== undefined && contains(range, family, destination);
}

/** A trailing + stands for any rest of the name. */
export function isListed(names: readonly string[], name: string): boolean {
  return names.some((one) => (one.endsWith('+') ? name.startsWith(one.slice(0, -1)) : one === name));
}
