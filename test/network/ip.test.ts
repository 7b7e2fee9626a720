import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CidrRangeConfig, CidrSet, CidrTrie, parseIp } from '../../src/network/ip.ts';

const octet = fc.integer({ min: 0, max: 255 });
const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
const ipv6 = fc.oneof(
  fc.ipV6(),
  ipv4.map((quad) => `::ffff:${quad}`),
);
/** Addresses that share their first bits, so that ranges of random prefix length do hold them. */
const close4 = fc
  .tuple(fc.constantFrom(10, 11, 138), fc.constantFrom(0, 1, 255), octet)
  .map(([a, b, c]) => `${a}.${b}.0.${c}`);
const close6 = fc
  .tuple(fc.constantFrom('2001:db8', '2001:db9', 'fe80:0', 'ffff:ffff'), fc.integer({ min: 0, max: 3 }), octet)
  .map(([head, middle, tail]) => `${head}:${middle}::${tail.toString(16)}`);
const address = fc.oneof(ipv4, ipv6, close4, close6);
const range: fc.Arbitrary<CidrRangeConfig> = fc.oneof(
  fc.record({ address_prefix: fc.oneof(ipv4, close4), prefix_len: fc.integer({ min: 0, max: 32 }) }),
  fc.record({ address_prefix: fc.oneof(fc.ipV6(), close6), prefix_len: fc.integer({ min: 0, max: 128 }) }),
);

/** The bits of an address as text, by the platform's own URL parser for IPv6. */
function bitsOf(text: string): { family: 4 | 6; bits: string } {
  if (isIP(text) === 4) {
    return {
      family: 4,
      bits: text
        .split('.')
        .map((part) => Number(part).toString(2).padStart(8, '0'))
        .join(''),
    };
  }
  const [head = '', tail = ''] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const bits = [...left, ...middle, ...right]
    .map((part) => Number.parseInt(part, 16).toString(2).padStart(16, '0'))
    .join('');
  const mapped = bits.startsWith('0'.repeat(80) + '1'.repeat(16));
  return mapped ? { family: 4, bits: bits.slice(96) } : { family: 6, bits };
}

/** The obvious answer: every range compared bit by bit, the longest prefix first. */
function naive(ranges: readonly CidrRangeConfig[], text: string): number[] {
  const { family, bits } = bitsOf(text);
  return ranges
    .map((entry, index) => {
      const prefix = bitsOf(entry.address_prefix);
      const mapped = prefix.family === 4 && entry.address_prefix.includes(':');
      const length = Math.max(0, (entry.prefix_len ?? 0) - (mapped ? 96 : 0));
      return { index, length, hit: prefix.family === family && bits.startsWith(prefix.bits.slice(0, length)) };
    })
    .filter((entry) => entry.hit)
    .sort((x, y) => y.length - x.length || x.index - y.index)
    .map((entry) => entry.index);
}

describe('parseIp', () => {
  test('agrees with the platform on what is an address', () => {
    const almost = fc.oneof(
      address,
      fc.stringMatching(/^[0-9a-f:.]{1,24}$/),
      fc
        .tuple(address, fc.nat(40), fc.constantFrom(':', '.', '0', 'f', 'g', ''))
        .map(([text, at, insert]) => text.slice(0, at) + insert + text.slice(at)),
      fc.tuple(address, fc.nat(40)).map(([text, at]) => text.slice(0, at) + text.slice(at + 1)),
    );
    fc.assert(
      fc.property(almost, (text) => {
        expect(parseIp(text) !== undefined).toBe(isIP(text) !== 0);
      }),
      { numRuns: 5000 },
    );
  });

  test('reads the same bits as the platform', () => {
    fc.assert(
      fc.property(address, (text) => {
        const parsed = parseIp(text);
        const expected = bitsOf(text);
        expect(parsed?.family).toBe(expected.family);
        const { a, b, c, d } = parsed as NonNullable<typeof parsed>;
        const bits = [a, b, c, d].map((word) => word.toString(2).padStart(32, '0')).join('');
        expect(bits.slice(expected.family === 4 ? 96 : 0)).toBe(expected.bits);
      }),
      { numRuns: 2000 },
    );
  });

  test('ignores a zone and refuses ports and brackets', () => {
    expect(parseIp('fe80::1%eth0')).toEqual(parseIp('fe80::1'));
    expect(parseIp('[::1]')).toBeUndefined();
    expect(parseIp('127.0.0.1:80')).toBeUndefined();
    expect(parseIp('')).toBeUndefined();
  });
});

describe('CidrTrie', () => {
  test('finds what comparing every range bit by bit finds, the longest prefix first', () => {
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 40 }),
        fc.array(address, { minLength: 1, maxLength: 20 }),
        (ranges, addresses) => {
          const trie = new CidrTrie(ranges.map((entry, index) => [entry, index] as const));
          const set = new CidrSet(ranges);
          for (const text of [...addresses, ...ranges.map((entry) => entry.address_prefix)]) {
            const expected = naive(ranges, text);
            expect(trie.lookupAll(text)).toEqual(expected);
            expect(trie.lookup(text)).toBe(expected[0]);
            expect(trie.lookup(parseIp(text) as NonNullable<ReturnType<typeof parseIp>>)).toBe(expected[0]);
            expect(set.has(text)).toBe(expected.length > 0);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('holds the last address of each family', () => {
    const trie = new CidrTrie<string>([
      [{ address_prefix: '255.255.255.254', prefix_len: 31 }, 'four'],
      [{ address_prefix: 'ffff:ffff::', prefix_len: 32 }, 'six'],
      [{ address_prefix: '0.0.0.0', prefix_len: 0 }, 'any four'],
    ]);
    expect(trie.lookupAll('255.255.255.255')).toEqual(['four', 'any four']);
    expect(trie.lookup('255.255.255.253')).toBe('any four');
    expect(trie.lookup('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')).toBe('six');
    expect(trie.lookup('::1')).toBeUndefined();
  });

  test('takes an IPv4-mapped range for its IPv4 range', () => {
    const set = new CidrSet([{ address_prefix: '::ffff:10.0.0.0', prefix_len: 104 }]);
    expect(set.has('10.9.8.7')).toBe(true);
    expect(set.has('::ffff:10.9.8.7')).toBe(true);
    expect(set.has('11.0.0.1')).toBe(false);
  });

  test('names the text that is no address', () => {
    expect(() => new CidrSet([{ address_prefix: '10.0.0.256', prefix_len: 8 }])).toThrow(
      'malformed IP address: "10.0.0.256"',
    );
  });
});
