/**
 * Addresses and address ranges as the policies use them: parsing without allocation, and tables that answer "which
 * ranges hold this address" in the time of one binary search.
 *
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d, RFC 4291 §2.5.5.2) is its IPv4 address everywhere, as on a dual-stack
 * socket the same client appears in either spelling.
 */

/** An address; IPv4 has its 32 bits in `d` and zeros elsewhere, IPv6 its 128 bits in `a`…`d`, most significant first. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** A range as Envoy's `CidrRange` has it; `prefix_len` beyond the family's length counts as its length. */
export interface CidrRangeConfig {
  readonly address_prefix: string;
  readonly prefix_len?: number;
}

/** The words of the address that `parseInto` read last; only valid until its next call. */
const words = new Uint32Array(4);
/** The text that `words` are of, and its family: the filters of one request ask about the same one or two addresses. */
let lastText = '';
let lastFamily: 0 | 4 | 6 = 0;
/** The eight groups of the IPv6 address being read. */
const groups = new Uint16Array(8);

const DOT = 46;
const COLON = 58;
const PERCENT = 37;

/** The 32 bits of a dotted quad in `text[from, to)`, or -1. Leading zeros are refused, as inet_pton does. */
function parseIpv4(text: string, from: number, to: number): number {
  let value = 0;
  let octet = -1;
  let octets = 0;
  for (let i = from; i <= to; i++) {
    const code = i === to ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (octet < 0 || octets === 4) return -1;
      value = value * 256 + octet;
      octets++;
      octet = -1;
    } else if (code >= 48 && code <= 57) {
      if (octet === 0) return -1;
      octet = octet < 0 ? code - 48 : octet * 10 + code - 48;
      if (octet > 255) return -1;
    } else {
      return -1;
    }
  }
  return octets === 4 ? value : -1;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

/** Reads the groups of an IPv6 address (RFC 4291 §2.2) into `groups`; false when it is malformed. */
function parseIpv6(text: string, end: number): boolean {
  let count = 0;
  let gap = -1;
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (end < 2 || text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    i = 2;
  }
  while (i < end) {
    if (count === 8) return false;
    let value = 0;
    let digits = 0;
    const start = i;
    for (; i < end; i++) {
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0) break;
      if (++digits > 4) return false;
      value = value * 16 + digit;
    }
    if (i < end && text.charCodeAt(i) === DOT) {
      if (count > 6) return false;
      const quad = parseIpv4(text, start, end);
      if (quad < 0) return false;
      groups[count++] = quad >>> 16;
      groups[count++] = quad & 0xffff;
      i = end;
      break;
    }
    if (digits === 0) return false;
    groups[count++] = value;
    if (i === end) break;
    if (text.charCodeAt(i) !== COLON) return false;
    i++;
    if (i < end && text.charCodeAt(i) === COLON) {
      if (gap >= 0) return false;
      gap = count;
      i++;
    } else if (i === end) {
      return false;
    }
  }
  if (gap < 0) return count === 8;
  if (count === 8) return false;
  const moved = count - gap;
  groups.copyWithin(8 - moved, gap, count);
  groups.fill(0, gap, 8 - moved);
  return true;
}

/** Reads an address into `words`; answers its family, or 0 when the text is no address. A zone (`%eth0`) is ignored. */
function parseInto(text: string): 0 | 4 | 6 {
  if (text !== lastText) {
    lastFamily = parseWords(text);
    lastText = text;
  }
  return lastFamily;
}

function parseWords(text: string): 0 | 4 | 6 {
  const quad = parseIpv4(text, 0, text.length);
  if (quad >= 0) {
    words[0] = 0;
    words[1] = 0;
    words[2] = 0;
    words[3] = quad;
    return 4;
  }
  let end = text.length;
  for (let i = 0; i < end; i++) if (text.charCodeAt(i) === PERCENT) end = i;
  if (end < 2 || !parseIpv6(text, end)) return 0;
  for (let i = 0; i < 4; i++) words[i] = (groups[2 * i] as number) * 65536 + (groups[2 * i + 1] as number);
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    words[2] = 0;
    return 4;
  }
  return 6;
}

/** Parses an address without port and brackets; undefined when it is none. */
export function parseIp(text: string): IpAddress | undefined {
  const family = parseInto(text);
  if (family === 0) return undefined;
  const [a, b, c, d] = words as unknown as [number, number, number, number];
  return { family, a, b, c, d };
}

/** The bytes of an address in network order, 4 or 16 of them. @throws Error for what is no address */
export function ipBytes(text: string): Uint8Array {
  const family = parseInto(text);
  if (family === 0) throw new Error(`"${text}" is no IP address`);
  if (!text.includes(':')) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, words[3] as number);
    return bytes;
  }
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setUint32(4 * i, words[i] as number);
  if (family === 4) view.setUint16(10, 0xffff);
  return bytes;
}

/** A parsed range: the words of its first and last address. */
interface Range {
  readonly family: 4 | 6;
  readonly bits: number;
  readonly first: bigint;
  readonly last: bigint;
}

function toBigInt(): bigint {
  let value = 0n;
  for (const word of words) value = (value << 32n) | BigInt(word);
  return value;
}

/** Throws an Error that names the text when it is no address. Bits behind the prefix are dropped. */
function parseRange(config: CidrRangeConfig): Range {
  const text = config.address_prefix;
  let family = parseInto(text);
  if (family === 0) throw new Error(`malformed IP address: ${JSON.stringify(text)}`);
  let bits = config.prefix_len ?? 0;
  if (family === 4 && text.includes(':')) {
    // ::ffff:10.0.0.0/104 is 10.0.0.0/8; a shorter prefix also covers IPv6 proper and stays a range of that family.
    if (bits >= 96) bits -= 96;
    else {
      family = 6;
      words[2] = 0xffff;
      lastText = '';
      lastFamily = 0;
    }
  }
  const width = family === 4 ? 32 : 128;
  bits = Math.min(bits, width);
  const host = (1n << BigInt(width - bits)) - 1n;
  const first = toBigInt() & ~host;
  return { family, bits, first, last: first | host };
}

/** Disjoint, sorted intervals of one family: where each begins, and which entry of `all` it has. */
interface Intervals<T> {
  /** `stride` words per interval, most significant first. */
  readonly starts: Uint32Array;
  readonly count: number;
  /** For each interval the values of all ranges that hold it, the longest prefix first. */
  readonly all: (readonly T[])[];
}

const NONE: readonly never[] = Object.freeze([]);

/** Cuts nested ranges into disjoint intervals. */
function flatten<T>(ranges: { range: Range; values: T[] }[], stride: 1 | 4): Intervals<T> {
  const sorted = [...ranges].sort((x, y) =>
    x.range.first < y.range.first ? -1 : x.range.first > y.range.first ? 1 : x.range.bits - y.range.bits,
  );
  const starts: bigint[] = [];
  const all: (readonly T[])[] = [];
  const open: { last: bigint; values: readonly T[] }[] = [];
  const begin = (at: bigint, values: readonly T[]) => {
    if (starts.length > 0 && starts.at(-1) === at) {
      all[all.length - 1] = values;
    } else {
      starts.push(at);
      all.push(values);
    }
  };
  const closeBefore = (at: bigint | undefined) => {
    for (let top = open.at(-1); top !== undefined && (at === undefined || top.last < at); top = open.at(-1)) {
      open.pop();
      begin(top.last + 1n, open.at(-1)?.values ?? NONE);
    }
  };
  for (const { range, values } of sorted) {
    closeBefore(range.first);
    const outer = open.at(-1)?.values ?? NONE;
    const inside = [...values, ...outer];
    begin(range.first, inside);
    open.push({ last: range.last, values: inside });
  }
  closeBefore(undefined);
  const limit = 1n << BigInt(32 * stride);
  while (starts.length > 0 && (starts.at(-1) as bigint) >= limit) {
    starts.pop();
    all.pop();
  }
  const packed = new Uint32Array(starts.length * stride);
  starts.forEach((start, i) => {
    for (let word = 0; word < stride; word++) {
      packed[i * stride + word] = Number((start >> BigInt(32 * (stride - 1 - word))) & 0xffffffffn);
    }
  });
  return { starts: packed, count: starts.length, all };
}

/** Index of the last interval that begins at or before the address, or -1. */
function findIpv4(table: Intervals<unknown>, address: number): number {
  const starts = table.starts;
  let low = 0;
  let high = table.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] as number) <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function findIpv6(table: Intervals<unknown>, a: number, b: number, c: number, d: number): number {
  const starts = table.starts;
  let low = 0;
  let high = table.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = middle * 4;
    let difference = (starts[at] as number) - a;
    if (difference === 0) difference = (starts[at + 1] as number) - b;
    if (difference === 0) difference = (starts[at + 2] as number) - c;
    if (difference === 0) difference = (starts[at + 3] as number) - d;
    if (difference <= 0) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Values by address range, for longest-prefix match (RFC 4632 §5.1) and for "all ranges that hold it". The prefix tree
 * is laid flat when it is built, so that a look-up is a binary search over disjoint intervals in one typed array.
 *
 * Look-ups by text remember the last text: the address of a connection is the same string for all of its requests.
 */
export class CidrTrie<T> {
  readonly #ipv4: Intervals<T>;
  readonly #ipv6: Intervals<T>;
  #lastText: string | undefined;
  #lastValues: readonly T[] = NONE;

  /** Throws an Error for an address that cannot be parsed. Values of equal ranges keep their order. */
  constructor(entries: Iterable<readonly [range: CidrRangeConfig, value: T]>) {
    const byKey = new Map<string, { range: Range; values: T[] }>();
    for (const [config, value] of entries) {
      const range = parseRange(config);
      const key = `${range.family}/${range.bits}/${range.first}`;
      const known = byKey.get(key);
      if (known === undefined) byKey.set(key, { range, values: [value] });
      else known.values.push(value);
    }
    const ranges = [...byKey.values()];
    this.#ipv4 = flatten(
      ranges.filter((entry) => entry.range.family === 4),
      1,
    );
    this.#ipv6 = flatten(
      ranges.filter((entry) => entry.range.family === 6),
      4,
    );
  }

  /** The value of the longest prefix that holds the address. */
  lookup(address: string | IpAddress): T | undefined {
    return this.lookupAll(address)[0];
  }

  /** The values of every range that holds the address, the longest prefix first; empty for what is no address. */
  lookupAll(address: string | IpAddress): readonly T[] {
    if (typeof address !== 'string') {
      const { family, a, b, c, d } = address;
      return family === 4
        ? valuesAt(this.#ipv4, findIpv4(this.#ipv4, d))
        : valuesAt(this.#ipv6, findIpv6(this.#ipv6, a, b, c, d));
    }
    if (address === this.#lastText) return this.#lastValues;
    const values = this.#parseAndFind(address);
    this.#lastText = address;
    this.#lastValues = values;
    return values;
  }

  #parseAndFind(text: string): readonly T[] {
    const family = parseInto(text);
    if (family === 0) return NONE;
    if (family === 4) return valuesAt(this.#ipv4, findIpv4(this.#ipv4, words[3] as number));
    const index = findIpv6(this.#ipv6, words[0] as number, words[1] as number, words[2] as number, words[3] as number);
    return valuesAt(this.#ipv6, index);
  }
}

function valuesAt<T>(table: Intervals<T>, index: number): readonly T[] {
  return index < 0 ? NONE : (table.all[index] as readonly T[]);
}

/** A set of address ranges. */
export class CidrSet {
  readonly #trie: CidrTrie<true>;

  /** Throws an Error for an address that cannot be parsed. */
  constructor(ranges: Iterable<CidrRangeConfig>) {
    this.#trie = new CidrTrie(Array.from(ranges, (range) => [range, true] as const));
  }

  has(address: string | IpAddress): boolean {
    return this.#trie.lookupAll(address).length > 0;
  }
}
