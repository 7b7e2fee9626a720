import { CidrTrie, parseIp } from '../../../src/network/ip.ts';
import type { MicroBenchmark } from '../micro.ts';

/** A trie of `count` /24 networks from 10.0.0.0 on, and the network of the last one. */
function trieOf(count: number): { trie: CidrTrie<number>; last: string } {
  const entries = Array.from(
    { length: count },
    (_, i) => [{ address_prefix: `10.${i >> 8}.${i & 255}.0`, prefix_len: 24 }, i] as const,
  );
  return { trie: new CidrTrie(entries), last: `10.${(count - 1) >> 8}.${(count - 1) & 255}.7` };
}

const benchmarks: readonly MicroBenchmark[] = [
  { name: 'parse an IPv4 address', run: () => parseIp('192.168.17.4') },
  { name: 'parse an IPv6 address', run: () => parseIp('2001:db8::17:4') },
  ...[1, 100, 10_000].map((count) => {
    const { trie, last } = trieOf(count);
    return { name: `look an address up among ${count} networks`, run: () => trie.lookup(last) };
  }),
];

export default benchmarks;
