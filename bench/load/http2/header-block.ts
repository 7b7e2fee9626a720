import { DEFAULT_HEADER_TABLE_SIZE } from './frame.ts';

export type Field = readonly [name: string, value: string];

/** The same request again and again: what its first header block on a connection says, and every one after it. */
export interface RequestBlocks {
  readonly first: Buffer;
  readonly next: Buffer;
}

/** RFC 7541 appendix A: the last index of the static table, and where `:status` lies in it. */
const STATIC_ENTRIES = 61;
const STATUS_FROM = 8;
const STATIC_STATUS: readonly number[] = [200, 204, 206, 304, 400, 404, 500];
/** RFC 7541 section 4.1. */
const ENTRY_OVERHEAD = 32;

/**
 * Encodes a request that is sent again and again, once: the first block puts every field into the peer's dynamic table,
 * and since nothing else ever gets there, the next ones are one index per field, as a real client's are. A peer with too
 * small a table gets literals each time.
 *
 * @param tableSize SETTINGS_HEADER_TABLE_SIZE of the peer
 */
export function encodeRequest(fields: readonly Field[], tableSize = DEFAULT_HEADER_TABLE_SIZE): RequestBlocks {
  const needed = fields.reduce((sum, [name, value]) => sum + name.length + value.length + ENTRY_OVERHEAD, 0);
  if (needed > Math.min(tableSize, DEFAULT_HEADER_TABLE_SIZE)) {
    const next = Buffer.concat(fields.map((field) => literal(0x00, field)));
    // A table that shrank is acknowledged in the first block after it (RFC 7541 section 4.2).
    const first = tableSize < DEFAULT_HEADER_TABLE_SIZE ? Buffer.concat([Buffer.of(0x20), next]) : next;
    return { first, next };
  }
  const first = Buffer.concat(fields.map((field) => literal(0x40, field)));
  const next = Buffer.concat(fields.map((_, i) => integer(0x80, 7, STATIC_ENTRIES + fields.length - i)));
  return { first, next };
}

/** A field with a new name (RFC 7541 section 6.2), strings without Huffman code. */
function literal(firstByte: number, [name, value]: Field): Buffer {
  return Buffer.concat([Buffer.of(firstByte), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(0, 7, bytes.length), bytes]);
}

/** RFC 7541 section 5.1. */
function integer(flags: number, prefixBits: number, value: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.of(flags | value);
  const bytes = [flags | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/**
 * The status in a response's header block, which begins with it. Read without a dynamic table: 0 for a status that the
 * peer has put there, which is never 200.
 */
export function decodeStatus(block: Buffer): number {
  let at = 0;
  // Size updates (RFC 7541 section 6.3), which come before any field.
  while (((block[at] as number) & 0xe0) === 0x20) at = behindInteger(block, at, 0x1f);
  const byte = block[at] as number;
  if ((byte & 0x80) !== 0) return STATIC_STATUS[(byte & 0x7f) - STATUS_FROM] ?? 0;
  const name = byte & ((byte & 0x40) !== 0 ? 0x3f : 0x0f);
  const isStatus = name >= STATUS_FROM && name < STATUS_FROM + STATIC_STATUS.length;
  const length = block[at + 1] as number;
  if (!isStatus || block.length < at + 2 + (length & 0x7f)) return 0;
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f));
  return length < 0x80 ? Number(value.toString('latin1')) : huffmanDigits(value);
}

function behindInteger(block: Buffer, from: number, prefixMask: number): number {
  let at = from + 1;
  if (((block[from] as number) & prefixMask) !== prefixMask) return at;
  while (((block[at++] as number) & 0x80) !== 0);
  return at;
}

/** RFC 7541 appendix B for digits: 0 to 2 have codes of five bits, 3 to 9 the six-bit codes from 25 on. */
function huffmanDigits(bytes: Buffer): number {
  let bits = '';
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0');
  let status = 0;
  for (let at = 0, count = 0; count < 3; count++) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2);
    const six = Number.parseInt(bits.slice(at, at + 6), 2);
    const digit = five <= 2 ? five : six >= 25 && six <= 31 ? six - 22 : Number.NaN;
    at += five <= 2 ? 5 : 6;
    status = status * 10 + digit;
  }
  return Number.isNaN(status) ? 0 : status;
}
