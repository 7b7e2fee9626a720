/** Reading DER (X.690) as far as certificates and revocation lists need it. */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** Bytes that are no DER, or not the structure that was asked for. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One value. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  /** Head and content: what a signature covers. */
  readonly whole: Buffer;
}

/** Reads one value after the other. Lengths are checked against what is there before anything is cut. */
export class DerReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The tag of the next value; -1 at the end. */
  get nextTag(): number {
    return this.bytes[this.at] ?? -1;
  }

  /** @throws DerError */
  read(): DerElement {
    const { bytes, at: start } = this;
    const tag = bytes[start];
    const first = bytes[start + 1];
    if (tag === undefined || first === undefined) throw new DerError('ends too early');
    // Tags above 30 have more bytes; nothing in a certificate uses them.
    if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several bytes');
    let length = first;
    let head = 2;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0 || count > 4 || start + 2 + count > bytes.length)
        throw new DerError('a length that is no length');
      length = bytes.readUIntBE(start + 2, count);
      head += count;
    }
    const end = start + head + length;
    if (end > bytes.length) throw new DerError('ends too early');
    this.at = end;
    return { tag, content: bytes.subarray(start + head, end), whole: bytes.subarray(start, end) };
  }

  /** The next value, which has this tag. @throws DerError */
  expect(tag: number): DerElement {
    const element = this.read();
    if (element.tag !== tag) throw new DerError(`tag ${element.tag} in the place of ${tag}`);
    return element;
  }

  /** What is inside the next value, which has this tag. @throws DerError */
  enter(tag: number): DerReader {
    return new DerReader(this.expect(tag).content);
  }

  /** The next value when it has this tag. @throws DerError */
  optional(tag: number): DerElement | undefined {
    return this.nextTag === tag ? this.read() : undefined;
  }
}

/** A UUID, which is a number of 128 bits below 2.25 (X.667 §6.3), takes the most. */
const MAX_ARC_BYTES = 19;

/** An object identifier as dotted numbers. @throws DerError */
export function oidText(content: Buffer): string {
  const parts: (number | bigint)[] = [];
  for (let start = 0; start < content.length; ) {
    let end = start;
    while (end < content.length && (content[end] as number) >= 0x80) end++;
    if (end === content.length) throw new DerError('an object identifier that ends too early');
    if (end - start >= MAX_ARC_BYTES) throw new DerError('an object identifier with a number that is too large');
    const value = arcOf(content, start, end + 1);
    if (parts.length > 0) parts.push(value);
    else if (value < 80) parts.push(Math.floor(Number(value) / 40), Number(value) % 40);
    else parts.push(2, typeof value === 'bigint' ? value - 80n : value - 80);
    start = end + 1;
  }
  return parts.join('.');
}

/** Seven bits of each byte; beyond what a number can hold, a BigInt. */
function arcOf(content: Buffer, start: number, end: number): number | bigint {
  let value = 0;
  for (let at = start; at < end; at++) value = value * 128 + ((content[at] as number) & 0x7f);
  if (Number.isSafeInteger(value)) return value;
  let exact = 0n;
  for (let at = start; at < end; at++) exact = (exact << 7n) | BigInt((content[at] as number) & 0x7f);
  return exact;
}

/** UTCTime or GeneralizedTime as milliseconds since the epoch (RFC 5280 §4.1.2.5). @throws DerError */
export function timeMs({ tag, content }: DerElement): number {
  const text = content.toString('latin1');
  const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (match === null || (tag !== TAG.utcTime && tag !== TAG.generalizedTime)) throw new DerError('a time that is none');
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  if ((match[1]?.length === 2) !== (tag === TAG.utcTime)) throw new DerError('a time that is none');
  const full = tag === TAG.utcTime ? year + (year < 50 ? 2000 : 1900) : year;
  return Date.UTC(full, month - 1, day, hour, minute, second);
}

/** The bits of a BIT STRING of named bits, bit 0 lowest. @throws DerError */
export function namedBits(content: Buffer): number {
  const unused = content[0];
  if (unused === undefined || unused > 7 || content.length > 5) throw new DerError('bits that are none');
  let bits = 0;
  for (let i = 0; i < (content.length - 1) * 8 - unused; i++) {
    if (((content[1 + (i >> 3)] as number) & (0x80 >> (i & 7))) !== 0) bits |= 1 << i;
  }
  return bits;
}
