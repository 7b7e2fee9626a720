import { type EncoderEntry, EncoderTable, type NameSlot } from './encoder-table.ts';
import { encodeHuffman, huffmanBytes } from './huffman.ts';
import { POLICY } from './indexing-policy.ts';
import { SCRATCH_BYTES, scratch } from './scratch.ts';

/** What a decoder has room for before it says otherwise (RFC 9113 §6.5.2). */
const DEFAULT_TABLE_BYTES = 4096;
/** A cookie shorter than this could be guessed (RFC 7541 §7.1.3). */
const MIN_INDEXED_COOKIE_BYTES = 20;
/** Up to here a text is written byte by byte, which is faster than a call into Node. */
const MAX_LOOPED_BYTES = 8;
/** The longest integer: its first byte and the 31 bits of a string's length. */
const MAX_INTEGER_BYTES = 6;

/**
 * Encodes the header blocks of one direction of one connection (RFC 7541). What repeats enters the dynamic table, what
 * changes all the time or is secret does not (`indexing-policy.ts`).
 */
export class HpackEncoder {
  /** Free bytes that `begin` needs. */
  static readonly BEGIN_BOUND: number = 2 * MAX_INTEGER_BYTES;

  private readonly table: EncoderTable;
  private readonly maxTableBytes: number;
  /** The smallest size since the last block, and the last one; the next block tells them. -1: nothing to tell. */
  private smallestUpdate = -1;
  private lastUpdate = -1;

  private readonly writeEntry: typeof writeText;

  /**
   * @param maxTableBytes we use at most this much of what the peer allows
   * @param huffman codes what enters the table, where that is shorter
   */
  constructor(maxTableBytes: number, huffman = true) {
    this.writeEntry = huffman ? writeShorter : writeText;
    this.maxTableBytes = maxTableBytes;
    this.table = new EncoderTable(DEFAULT_TABLE_BYTES);
    this.setPeerTableBytes(DEFAULT_TABLE_BYTES);
  }

  /** Free bytes that `field` needs. */
  static bound(name: string, value: string): number {
    return name.length + value.length + 3 * MAX_INTEGER_BYTES;
  }

  /** Bytes of the dynamic table (RFC 7541 §4.1). */
  get tableBytes(): number {
    return this.table.bytes;
  }

  /** Takes the peer's SETTINGS_HEADER_TABLE_SIZE; the next block tells what we use of it (RFC 7541 §4.2). */
  setPeerTableBytes(bytes: number): void {
    const size = Math.min(bytes, this.maxTableBytes);
    if (size === this.table.maxBytes) return;
    this.table.resize(size);
    this.smallestUpdate = this.smallestUpdate < 0 ? size : Math.min(this.smallestUpdate, size);
    this.lastUpdate = size;
  }

  /** Begins a block: writes the size updates that are due. Returns the offset behind. */
  begin(out: Buffer, at: number): number {
    if (this.lastUpdate < 0) return at;
    if (this.smallestUpdate < this.lastUpdate) at = writeInteger(out, at, 0x20, 0x1f, this.smallestUpdate);
    at = writeInteger(out, at, 0x20, 0x1f, this.lastUpdate);
    this.smallestUpdate = -1;
    this.lastUpdate = -1;
    return at;
  }

  /**
   * Appends one field: a lower-case name and a latin1 value. `out` has `bound(name, value)` bytes free from `at` on.
   * Returns the offset behind.
   */
  field(out: Buffer, at: number, name: string, value: string, sensitive: boolean): number {
    const slot = this.table.slotOf(name);
    if (sensitive) return this.literal(out, at, slot, value, true);
    let entry: EncoderEntry | undefined = slot.last;
    if (entry === undefined || entry.value !== value) {
      entry = slot.find(value);
      if (entry === undefined) return this.literal(out, at, slot, value, false);
      slot.last = entry;
    }
    entry.isUsed = true;
    const index = this.table.indexOf(entry);
    if (index < 0x7f) {
      out[at] = 0x80 | index;
      return at + 1;
    }
    return writeInteger(out, at, 0x80, 0x7f, index);
  }

  private literal(out: Buffer, at: number, slot: NameSlot, value: string, sensitive: boolean): number {
    const { name } = slot;
    const never =
      sensitive || slot.policy === POLICY.NEVER || (name === 'cookie' && value.length < MIN_INDEXED_COOKIE_BYTES);
    const nameIndex = this.table.nameIndexOf(slot);
    if (never || !this.table.admits(slot, value)) {
      at = writeInteger(out, at, never ? 0x10 : 0x00, 0x0f, nameIndex);
      if (nameIndex === 0) at = writeText(out, at, name);
      return writeText(out, at, value);
    }
    at = writeInteger(out, at, 0x40, 0x3f, nameIndex);
    if (nameIndex === 0) at = this.writeEntry(out, at, name);
    this.table.insert(slot, value);
    return this.writeEntry(out, at, value);
  }
}

/** Writes an integer behind the bits of `first` (RFC 7541 §5.1). */
function writeInteger(out: Buffer, at: number, first: number, mask: number, value: number): number {
  if (value < mask) {
    out[at] = first | value;
    return at + 1;
  }
  out[at++] = first | mask;
  value -= mask;
  while (value >= 0x80) {
    out[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  out[at] = value;
  return at + 1;
}

/** Writes a string as it is. */
function writeText(out: Buffer, at: number, text: string): number {
  const { length } = text;
  at = writeInteger(out, at, 0x00, 0x7f, length);
  if (length > MAX_LOOPED_BYTES) return at + out.latin1Write(text, at);
  for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Writes a string Huffman-coded if that is shorter. */
function writeShorter(out: Buffer, at: number, text: string): number {
  if (text.length > SCRATCH_BYTES) return writeText(out, at, text);
  const length = scratch.latin1Write(text, 0);
  const bytes = huffmanBytes(scratch, length);
  if (bytes >= length) return writeText(out, at, text);
  return encodeHuffman(scratch, length, out, writeInteger(out, at, 0x80, 0x7f, bytes));
}
