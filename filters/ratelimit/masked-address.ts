import { parseIp } from '../../src/network/ip.ts';

/** The range of an address as Envoy prints it, `10.1.0.0/16` or `2001:db8::/32`; undefined for what is no address. */
export function maskAddress(address: string, v4Bits: number, v6Bits: number): string | undefined {
  const ip = parseIp(address);
  if (ip === undefined) return undefined;
  if (ip.family === 4) {
    const bits = masked(ip.d, v4Bits);
    return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}/${v4Bits}`;
  }
  const words = [ip.a, ip.b, ip.c, ip.d].map((word, index) => masked(word, v6Bits - 32 * index));
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  // The canonical text of RFC 5952, which URLs have too.
  const text = new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`).hostname;
  return `${text.slice(1, -1)}/${v6Bits}`;
}

/** The first bits of a word, unsigned. */
function masked(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word >>> 0 : (word & (-1 << (32 - bits))) >>> 0;
}
