/**
 * HPACK (RFC 7541) of the tests, apart from the proxy's own: two readings of one document. The encoder writes literals
 * without indexing unless asked for more; the decoder knows everything.
 */

export type Fields = readonly (readonly [name: string, value: string])[];

/** Appendix A, entries 1 to 61. */
const STATIC_TABLE: Fields =
  `:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204
:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language
accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition
content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect
expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location
max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie
strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
    .split(/[|\n]/)
    .map((entry) => {
      const space = entry.indexOf(' ');
      return space < 0 ? [entry, ''] : [entry.slice(0, space), entry.slice(space + 1)];
    });

/** Appendix B: lengths in bits of the codes of bytes 0 to 255 and of the end, in base 36. The codes are canonical. */
const CODE_LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6' +
  'f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu';
const END_OF_STRING = 256;

/** Symbol by `length:code`. */
const SYMBOLS = new Map<string, number>();
{
  const order = Array.from(CODE_LENGTHS, (digit, symbol) => ({ length: Number.parseInt(digit, 36), symbol }));
  order.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  let code = 0;
  let before = 0;
  for (const { length, symbol } of order) {
    code *= 2 ** (length - before);
    before = length;
    SYMBOLS.set(`${length}:${code++}`, symbol);
  }
}

/** An integer with a prefix of so many bits (section 5.1); `first` has the bits in front of it. */
export function integer(value: number, prefixBits: number, first = 0): Buffer {
  const limit = 2 ** prefixBits - 1;
  if (value < limit) return Buffer.from([first | value]);
  const bytes = [first | limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

/** One field: `plain` and `never` leave the peer's table alone, `indexed` adds to it (section 6.2). */
export function literal(name: string, value: string, kind: 'plain' | 'never' | 'indexed' = 'plain'): Buffer {
  const first = { plain: 0x00, never: 0x10, indexed: 0x40 }[kind];
  return Buffer.concat([Buffer.from([first]), text(name), text(value)]);
}

/** A field of the static or dynamic table (section 6.1). */
export const indexed = (index: number): Buffer => integer(index, 7, 0x80);

/** A change of the dynamic table's size (section 6.3). */
export const tableSize = (bytes: number): Buffer => integer(bytes, 5, 0x20);

/** A header block of literals without indexing. */
export function encode(fields: Fields): Buffer {
  return Buffer.concat(fields.map(([name, value]) => literal(name, value)));
}

export interface RequestFields {
  readonly method?: string;
  readonly path?: string;
  readonly authority?: string;
  readonly scheme?: string;
  readonly more?: Fields;
}

/** The header block of an ordinary request. */
export function requestBlock(request: RequestFields = {}): Buffer {
  const { method = 'GET', path = '/', authority = 'a', scheme = 'http', more = [] } = request;
  return encode([[':method', method], [':scheme', scheme], [':authority', authority], [':path', path], ...more]);
}

/** The header block of a response. */
export const responseBlock = (status: number | string, more: Fields = []): Buffer =>
  encode([[':status', String(status)], ...more]);

/** One direction's decoder. */
export class HpackDecoder {
  private readonly table: [string, string][] = [];
  private size = 0;
  private maxSize = 4096;
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;

  /** @throws Error when the block is wrong */
  decode(block: Buffer): [name: string, value: string][] {
    this.bytes = block;
    this.at = 0;
    const fields: [string, string][] = [];
    while (this.at < block.length) {
      const first = block.readUInt8(this.at);
      if (first >= 0x80) fields.push(this.entry(this.integer(7)));
      else if (first >= 0x40) {
        const field = this.literal(6);
        this.add(field);
        fields.push(field);
      } else if (first >= 0x20) {
        this.maxSize = this.integer(5);
        this.evict();
      } else fields.push(this.literal(4));
    }
    return fields;
  }

  private literal(prefixBits: number): [string, string] {
    const index = this.integer(prefixBits);
    const name = index === 0 ? this.text() : this.entry(index)[0];
    return [name, this.text()];
  }

  private entry(index: number): [string, string] {
    const found = STATIC_TABLE[index - 1] ?? this.table[index - 1 - STATIC_TABLE.length];
    if (found === undefined) throw new Error(`HPACK: no entry ${index}`);
    return [found[0], found[1]];
  }

  private add(field: [string, string]): void {
    this.table.unshift(field);
    this.size += field[0].length + field[1].length + 32;
    this.evict();
  }

  private evict(): void {
    while (this.size > this.maxSize) {
      const [name, value] = this.table.pop() as [string, string];
      this.size -= name.length + value.length + 32;
    }
  }

  private integer(prefixBits: number): number {
    const limit = 2 ** prefixBits - 1;
    let value = this.bytes.readUInt8(this.at++) & limit;
    if (value < limit) return value;
    for (let weight = 1; ; weight *= 128) {
      const byte = this.bytes.readUInt8(this.at++);
      value += (byte & 127) * weight;
      if (byte < 128) return value;
    }
  }

  private text(): string {
    const isHuffman = this.bytes.readUInt8(this.at) >= 0x80;
    const length = this.integer(7);
    const bytes = this.bytes.subarray(this.at, this.at + length);
    if (bytes.length < length) throw new Error('HPACK: text is cut');
    this.at += length;
    return isHuffman ? unHuffman(bytes) : bytes.toString('latin1');
  }
}

function unHuffman(bytes: Buffer): string {
  const symbols: number[] = [];
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      const symbol = SYMBOLS.get(`${++length}:${code}`);
      if (symbol === undefined) continue;
      if (symbol === END_OF_STRING) throw new Error('HPACK: end of string in a text');
      symbols.push(symbol);
      code = 0;
      length = 0;
    }
  }
  if (length > 7 || code !== 2 ** length - 1) throw new Error('HPACK: bad padding');
  return Buffer.from(symbols).toString('latin1');
}
