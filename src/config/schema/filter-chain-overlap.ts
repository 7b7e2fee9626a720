import { parseIp } from '../../network/ip.ts';
import { Problem } from './building-blocks.ts';

/** The part of a FilterChainMatch that decides which connections it takes. */
export interface ChainConditions {
  readonly destination_port?: number | undefined;
  readonly prefix_ranges: readonly Range[];
  readonly server_names: readonly string[];
  readonly transport_protocol: string;
  readonly application_protocols: readonly string[];
  readonly direct_source_prefix_ranges: readonly Range[];
  readonly source_type: string;
  readonly source_prefix_ranges: readonly Range[];
  readonly source_ports: readonly number[];
}

interface Range {
  readonly address_prefix: string;
  readonly prefix_len: number;
}

/** Beyond so many combinations in one listener the test would cost more than it is worth. */
const MAX_COMBINATIONS = 100_000;

/**
 * Two chains must not ask for the very same: each chain stands for all combinations of its lists' items, and no
 * combination may come twice (ranges that contain one another may: the longer prefix wins).
 */
export function overlapProblem(
  chains: readonly { filter_chain_match?: ChainConditions | undefined }[],
): Problem | undefined {
  const ownerByKey = new Map<string, number>();
  for (const [index, chain] of chains.entries()) {
    for (const key of combinations(chain.filter_chain_match)) {
      const owner = ownerByKey.get(key);
      if (owner !== undefined) {
        const text =
          owner === index ? 'asks for the same twice' : `matches the same connections as filter_chains[${owner}]`;
        return new Problem(text, { path: ['filter_chains', index, 'filter_chain_match'] });
      }
      ownerByKey.set(key, index);
      if (ownerByKey.size > MAX_COMBINATIONS) return undefined;
    }
  }
  return undefined;
}

function combinations(match: ChainConditions | undefined): Iterable<string> {
  if (match === undefined) return ['||||||||ANY'];
  const lists: readonly (readonly (string | number)[])[] = [
    match.destination_port === undefined ? [] : [match.destination_port],
    match.prefix_ranges.map(rangeKey),
    match.server_names,
    match.transport_protocol === '' ? [] : [match.transport_protocol],
    match.application_protocols,
    match.direct_source_prefix_ranges.map(rangeKey),
    match.source_prefix_ranges.map(rangeKey),
    match.source_ports,
  ];
  return product(lists, 0, '', match.source_type);
}

function* product(
  lists: readonly (readonly (string | number)[])[],
  at: number,
  prefix: string,
  suffix: string,
): Generator<string> {
  const list = lists[at];
  if (list === undefined) yield prefix + suffix;
  else if (list.length === 0) yield* product(lists, at + 1, `${prefix}|`, suffix);
  else for (const item of list) yield* product(lists, at + 1, `${prefix}${item}|`, suffix);
}

/** The range with the bits behind its length cleared, so that equal ranges have equal keys. */
function rangeKey({ address_prefix, prefix_len }: Range): string {
  const ip = parseIp(address_prefix);
  if (ip === undefined) return address_prefix;
  const bits = ip.family === 4 ? 32 : 128;
  const length = Math.min(prefix_len, bits);
  const words = ip.family === 4 ? [ip.d] : [ip.a, ip.b, ip.c, ip.d];
  const masked = words.map((word, index) => {
    const kept = Math.max(0, Math.min(32, length - index * 32));
    return kept === 0 ? 0 : (word & (-1 << (32 - kept))) >>> 0;
  });
  return `${masked.join('.')}/${length}`;
}
