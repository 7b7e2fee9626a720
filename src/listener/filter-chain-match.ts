import type { FilterChainMatch } from '../config/schema/listener.ts';
import { CidrSet } from '../network/ip.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';

/** What the first bytes of a connection tell, where a listener filter has looked at them. */
export interface FirstBytes {
  readonly transport: 'raw_buffer' | 'tls';
  /** Server name of the ClientHello in lower case, '' without. */
  readonly serverName: string;
  /** Protocols that the client offers. */
  readonly alpn: readonly string[];
}

/** Nobody has looked: whatever comes counts as clear text, as in Envoy. */
export const UNSEEN: FirstBytes = { transport: 'raw_buffer', serverName: '', alpn: [] };

/** Whether the chains' conditions can be judged only with the first bytes of a connection. */
export function asksFirstBytes(match: FilterChainMatch | undefined): boolean {
  if (match === undefined) return false;
  const { transport_protocol: transport, server_names: names, application_protocols: protocols } = match;
  return transport === 'tls' || (transport === '' && names.length + protocols.length > 0);
}

/** One `filter_chain_match`, compiled; without any condition it matches every connection. */
interface Criteria {
  readonly destinationPort: number | undefined;
  readonly destination: Prefixes;
  readonly serverNames: readonly string[];
  readonly transport: string;
  readonly protocols: readonly string[];
  readonly directSource: Prefixes;
  readonly sourceType: FilterChainMatch['source_type'];
  readonly source: Prefixes;
  readonly sourcePorts: ReadonlySet<number> | undefined;
}

type PrefixRanges = FilterChainMatch['prefix_ranges'];

/** Address ranges whose longest match decides between chains. */
class Prefixes {
  private readonly ranges: readonly { readonly set: CidrSet; readonly length: number }[];

  constructor(ranges: PrefixRanges) {
    this.ranges = ranges.map((range) => ({ set: new CidrSet([range]), length: range.prefix_len }));
  }

  /** Length of the longest range that holds the address, 0 without a condition (least specific), -1 for no match. */
  rank(address: string): number {
    if (this.ranges.length === 0) return 0;
    let longest = -1;
    for (const { set, length } of this.ranges) if (set.has(address)) longest = Math.max(longest, length + 1);
    return longest;
  }
}

/**
 * Chooses the filter chain of a connection as Envoy does: criterion after criterion, in its documented order, the most
 * specific value wins before the next criterion is looked at.
 */
export class FilterChainMatcher<T> {
  private readonly candidates: readonly { readonly criteria: Criteria; readonly chain: T }[];
  private readonly fallback: T | undefined;

  constructor(
    chains: readonly { readonly match: FilterChainMatch | undefined; readonly chain: T }[],
    fallback: T | undefined,
  ) {
    this.candidates = chains.map(({ match, chain }) => ({ criteria: compile(match), chain }));
    this.fallback = fallback;
  }

  /** The chain, or undefined when none matches: the connection is then closed. */
  find(connection: ConnectionInfo, first: FirstBytes = UNSEEN): T | undefined {
    if (this.candidates.length === 1 && this.isUnconditional) return this.candidates[0]?.chain;
    let left = this.candidates;
    for (const rank of RANKS) {
      let best = 0;
      let winners: (typeof left)[number][] = [];
      for (const candidate of left) {
        const value = rank(candidate.criteria, connection, first);
        if (value < 0 || (winners.length > 0 && value < best)) continue;
        if (value > best || winners.length === 0) winners = [];
        best = value;
        winners.push(candidate);
      }
      left = winners;
      if (left.length === 0) return this.fallback;
    }
    return left[0]?.chain ?? this.fallback;
  }

  private get isUnconditional(): boolean {
    const criteria = this.candidates[0]?.criteria;
    return criteria === NO_CRITERIA;
  }
}

/** Rank of a chain by one criterion: -1 no match, 0 no condition, more for more specific. */
type Rank = (criteria: Criteria, connection: ConnectionInfo, first: FirstBytes) => number;

const RANKS: readonly Rank[] = [
  (criteria, { localPort }) => exact(criteria.destinationPort, localPort),
  (criteria, { localAddress }) => criteria.destination.rank(localAddress),
  (criteria, _, { serverName }) => serverNameRank(criteria.serverNames, serverName),
  (criteria, _, { transport }) => exact(criteria.transport === '' ? undefined : criteria.transport, transport),
  (criteria, _, { alpn }) => protocolRank(criteria.protocols, alpn),
  (criteria, { remoteAddress, direct }) => criteria.directSource.rank(direct?.remoteAddress ?? remoteAddress),
  (criteria, connection) => sourceTypeRank(criteria.sourceType, connection),
  (criteria, { remoteAddress }) => criteria.source.rank(remoteAddress),
  (criteria, { remotePort }) =>
    criteria.sourcePorts === undefined ? 0 : criteria.sourcePorts.has(remotePort) ? 1 : -1,
];

function exact<T extends number | string>(wanted: T | undefined, actual: T): number {
  if (wanted === undefined) return 0;
  return wanted === actual ? 1 : -1;
}

function serverNameRank(names: readonly string[], actual: string): number {
  if (names.length === 0) return 0;
  let best = -1;
  for (const name of names) {
    if (name === actual) return Number.MAX_SAFE_INTEGER;
    if (name.startsWith('*.') && actual.endsWith(name.substring(1))) best = Math.max(best, name.length);
  }
  return best;
}

/** Of several chains with protocols, the one wins whose protocol the client offers first. */
function protocolRank(wanted: readonly string[], offered: readonly string[]): number {
  if (wanted.length === 0) return 0;
  const first = offered.findIndex((name) => wanted.includes(name));
  return first < 0 ? -1 : offered.length - first;
}

function sourceTypeRank(
  type: FilterChainMatch['source_type'],
  { remoteAddress, localAddress }: ConnectionInfo,
): number {
  if (type === 'ANY') return 0;
  // Of 127.0.0.0/8, only this one: a passthrough that binds 127.0.0.6 counts as external, in Envoy too.
  const local = remoteAddress === localAddress || remoteAddress === '127.0.0.1' || remoteAddress === '::1';
  return local === (type === 'SAME_IP_OR_LOOPBACK') ? 1 : -1;
}

const NO_CRITERIA: Criteria = {
  destinationPort: undefined,
  destination: new Prefixes([]),
  serverNames: [],
  transport: '',
  protocols: [],
  directSource: new Prefixes([]),
  sourceType: 'ANY',
  source: new Prefixes([]),
  sourcePorts: undefined,
};

function compile(match: FilterChainMatch | undefined): Criteria {
  if (match === undefined) return NO_CRITERIA;
  return {
    destinationPort: match.destination_port,
    destination: new Prefixes(match.prefix_ranges),
    serverNames: match.server_names.map((name) => name.toLowerCase()),
    transport: match.transport_protocol,
    protocols: match.application_protocols,
    directSource: new Prefixes(match.direct_source_prefix_ranges),
    sourceType: match.source_type,
    source: new Prefixes(match.source_prefix_ranges),
    sourcePorts: match.source_ports.length === 0 ? undefined : new Set(match.source_ports),
  };
}
