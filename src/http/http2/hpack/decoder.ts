import { TOKEN_LOWER, VALUE_BYTE } from '../../http1/chars.ts';
import { DecoderTable } from './decoder-table.ts';
import type { FieldList } from './field-list.ts';
import { decodeHuffman, HUFFMAN, huffmanBound, huffmanFlags } from './huffman.ts';
import { RecentLiteral } from './recent-literal.ts';
import { SCRATCH_BYTES, scratch } from './scratch.ts';
import {
  FIELD_OVERHEAD,
  type FieldName,
  internName,
  NO_ENTRY,
  STATIC_COUNT,
  STATIC_TABLE,
  TableEntry,
} from './static-table.ts';

const COLON = 58;
const SP = 32;
const HTAB = 9;

/** What an encoder may use before it has our settings (RFC 9113 §6.5.2). */
const DEFAULT_TABLE_BYTES = 4096;
/** Shifts of an integer's continuation bytes: five of them, which hold more than any length here. */
const MAX_INTEGER_SHIFT = 28;

const ERRORS = {
  truncated: 'header block ends within a field',
  integer: 'integer of a header block is too long',
  index: 'index beyond the header tables',
  indexZero: 'index 0 in a header block',
  huffman: 'invalid Huffman code in a header block',
  updatePlace: 'dynamic table size update behind a field',
  updateSize: 'dynamic table size update above SETTINGS_HEADER_TABLE_SIZE',
  updateMissing: 'no dynamic table size update after SETTINGS_HEADER_TABLE_SIZE was lowered',
} as const;

const FAULTS = {
  emptyName: 'empty header name',
  upperCase: 'upper-case letter in a header name',
  nameByte: 'invalid character in a header name',
  valueByte: 'invalid character in a header value',
  valueSpace: 'white space around a header value',
} as const;

const foundName: FieldName = { name: '', known: 0 };

/**
 * Decodes the header blocks of one direction of one connection (RFC 7541).
 *
 * Names and values are checked when they come as text, and what was found is kept with the table's entries. So an
 * indexed field costs its lookup and nothing else. Work is linear in the block's bytes, whatever they refer to.
 */
export class HpackDecoder {
  private readonly table: DecoderTable;
  private readonly maxTableBytes: number;
  private readonly maxListBytes: number;
  private readonly maxFields: number;
  /** The largest size that an update may ask for now. */
  private allowedTableBytes: number;
  /** The next block must begin with a size update. */
  private updateDue = false;
  private error = '';
  /** Offset behind the integer that was read last. */
  private at = 0;
  /** Where the string that was read last lies: in the block, or Huffman-decoded in the scratch memory. */
  private text: Buffer = scratch;
  private textStart = 0;
  private textEnd = 0;
  /** What came last as a literal, by the static index of its name. */
  private readonly recent: (RecentLiteral | undefined)[] = [];
  /** The last string was Huffman-coded, so `huffmanFlags` speaks of its bytes. */
  private textIsHuffman = false;

  /**
   * @param maxTableBytes our SETTINGS_HEADER_TABLE_SIZE
   * @param maxListBytes of one list, counted as RFC 9113 §6.5.2 does
   * @param maxFields of one list
   */
  constructor(maxTableBytes: number, maxListBytes: number, maxFields: number) {
    this.maxTableBytes = maxTableBytes;
    this.maxListBytes = maxListBytes;
    this.maxFields = maxFields;
    this.allowedTableBytes = Math.max(maxTableBytes, DEFAULT_TABLE_BYTES);
    this.table = new DecoderTable(DEFAULT_TABLE_BYTES);
  }

  /** Bytes of the dynamic table (RFC 7541 §4.1). */
  get tableBytes(): number {
    return this.table.bytes;
  }

  /**
   * The peer has acknowledged our settings: from now on its table must fit them, and if it was larger the next block must
   * say so (RFC 7541 §4.2). Without this call a table of the default 4096 bytes is accepted beside a lower setting.
   */
  settingsAcknowledged(): void {
    this.allowedTableBytes = this.maxTableBytes;
    if (this.table.maxBytes > this.maxTableBytes) this.updateDue = true;
  }

  /**
   * Decodes the whole header block `buffer[start, end)` into `fields`, which is reset first. Returns '', or the text of a
   * COMPRESSION_ERROR, after which the connection cannot go on.
   */
  decode(buffer: Buffer, start: number, end: number, fields: FieldList): string {
    fields.reset();
    this.error = '';
    let at = this.sizeUpdates(buffer, start, end);
    while (at < end && at >= 0) {
      const byte = buffer[at] as number;
      if (byte >= 0x80) {
        let index = byte & 0x7f;
        at++;
        if (index === 0x7f) {
          index = this.readInteger(buffer, at, end, 0x7f);
          at = this.at;
        }
        const entry =
          index <= STATIC_COUNT ? (STATIC_TABLE[index] as TableEntry) : this.table.get(index - STATIC_COUNT - 1);
        if (entry === NO_ENTRY) {
          at = this.noEntry(index);
        } else if (this.admit(fields, entry.bytes, entry.fault)) {
          this.append(fields, entry.name, entry.value, entry.known, false);
        }
      } else if (byte >= 0x40) {
        at = this.literal(buffer, at, end, byte & 0x3f, 0x3f, true, fields);
      } else if (byte >= 0x20) {
        at = this.fail(ERRORS.updatePlace);
      } else {
        at = this.literal(buffer, at, end, byte & 0x0f, 0x0f, false, fields);
      }
    }
    return this.error;
  }

  /** Reads the size updates at the begin of a block (RFC 7541 §4.2). Returns the offset behind, or -1. */
  private sizeUpdates(buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && ((buffer[at] as number) & 0xe0) === 0x20) {
      let bytes = (buffer[at++] as number) & 0x1f;
      if (bytes === 0x1f) {
        bytes = this.readInteger(buffer, at, end, 0x1f);
        at = this.at;
      }
      if (bytes > this.allowedTableBytes) return this.fail(ERRORS.updateSize);
      this.table.resize(bytes);
      this.updateDue = false;
    }
    return this.updateDue ? this.fail(ERRORS.updateMissing) : at;
  }

  /**
   * Reads a literal field whose first byte lies at `at` (RFC 7541 §6.2). `index` is that of its name as far as the first
   * byte has it, `mask` the bits that it has there. Returns the offset behind, or -1.
   */
  private literal(
    buffer: Buffer,
    at: number,
    end: number,
    index: number,
    mask: number,
    indexing: boolean,
    fields: FieldList,
  ): number {
    const sensitive = !indexing && ((buffer[at] as number) & 0x10) !== 0;
    at++;
    if (index === mask) {
      index = this.readInteger(buffer, at, end, mask);
      at = this.at;
    }
    let name: string;
    let known: number;
    let nameBytes: number;
    let nameFault = '';
    if (index === 0) {
      at = this.readString(buffer, at, end);
      if (at < 0) return -1;
      nameBytes = this.textEnd - this.textStart;
      nameFault = this.internText(fields.tooLarge && !indexing);
      name = foundName.name;
      known = foundName.known;
    } else {
      const entry =
        index <= STATIC_COUNT ? (STATIC_TABLE[index] as TableEntry) : this.table.get(index - STATIC_COUNT - 1);
      if (entry === NO_ENTRY) return this.noEntry(index);
      name = entry.name;
      known = entry.known;
      nameBytes = name.length;
      nameFault = entry.nameFault;
    }
    const recent = sensitive || index === 0 || index > STATIC_COUNT ? undefined : this.recentOf(index);
    if (recent?.matches(buffer, at, end) === true) {
      const { entry } = recent;
      if (this.admit(fields, entry.bytes, entry.fault)) this.append(fields, name, entry.value, known, false);
      if (indexing) this.table.insert(entry);
      return at + recent.encodedBytes;
    }
    const valueStart = at;
    at = this.readString(buffer, at, end);
    if (at < 0) return -1;
    const bytes = nameBytes + this.textEnd - this.textStart + FIELD_OVERHEAD;
    const fault = nameFault === '' ? this.valueFault() : nameFault;
    const isAdmitted = this.admit(fields, bytes, fault);
    // What neither the list nor the table has room for never becomes a string.
    const isKept = indexing && bytes <= this.table.maxBytes;
    const value = isAdmitted || isKept ? this.text.latin1Slice(this.textStart, this.textEnd) : '';
    if (isAdmitted) this.append(fields, name, value, known, sensitive);
    const isRemembered = (isAdmitted || isKept) && recent?.isWorthIt === true;
    if (!indexing && !isRemembered) return at;
    const entry = new TableEntry(name, value, known, bytes, nameFault, fault);
    if (indexing) this.table.insert(entry);
    if (isRemembered) recent.keep(buffer, valueStart, at, entry);
    return at;
  }

  private append(fields: FieldList, name: string, value: string, known: number, sensitive: boolean): void {
    const n = fields.count++;
    fields.names[n] = name;
    fields.values[n] = value;
    fields.known[n] = known;
    fields.sensitive[n] = sensitive;
  }

  private recentOf(index: number): RecentLiteral {
    const { recent } = this;
    while (recent.length <= index) recent.push(undefined);
    const known = recent[index];
    if (known !== undefined) return known;
    const literal = new RecentLiteral();
    recent[index] = literal;
    return literal;
  }

  /** Counts a field and what is wrong with it; says whether the list has room for it. */
  private admit(fields: FieldList, bytes: number, fault: string): boolean {
    fields.bytes += bytes;
    if (fault !== '' && fields.malformed === '') fields.malformed = fault;
    if (fields.bytes <= this.maxListBytes && fields.count < this.maxFields) return true;
    fields.tooLarge = true;
    return false;
  }

  /**
   * Reads the rest of an integer whose prefix is full (RFC 7541 §5.1), and sets `at` behind it. One that does not end, or is
   * too long, sets the error and comes out larger than any length or index.
   */
  private readInteger(buffer: Buffer, at: number, end: number, prefix: number): number {
    let value = prefix;
    for (let shift = 0; shift <= MAX_INTEGER_SHIFT; shift += 7) {
      if (at >= end) {
        this.fail(ERRORS.truncated);
        return Number.MAX_SAFE_INTEGER;
      }
      const byte = buffer[at++] as number;
      // A product, since five bytes do not fit the 32 bits of a shift.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        this.at = at;
        return value;
      }
    }
    this.fail(ERRORS.integer);
    return Number.MAX_SAFE_INTEGER;
  }

  /** Reads a string (RFC 7541 §5.2) into `text`. Returns the offset behind, or -1. */
  private readString(buffer: Buffer, at: number, end: number): number {
    if (at >= end) return this.fail(ERRORS.truncated);
    const byte = buffer[at++] as number;
    let length = byte & 0x7f;
    if (length === 0x7f) {
      length = this.readInteger(buffer, at, end, 0x7f);
      at = this.at;
    }
    if (length > end - at) return this.fail(ERRORS.truncated);
    const behind = at + length;
    this.textIsHuffman = byte >= 0x80;
    if (!this.textIsHuffman) {
      this.text = buffer;
      this.textStart = at;
      this.textEnd = behind;
      return behind;
    }
    const bound = huffmanBound(length);
    this.text = bound <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafeSlow(bound);
    this.textStart = 0;
    this.textEnd = decodeHuffman(buffer, at, behind, this.text);
    return (huffmanFlags() & HUFFMAN.ERROR) === 0 ? behind : this.fail(ERRORS.huffman);
  }

  /** Checks `text` as a name, and finds it unless it is only to be checked. Returns what is wrong with it, or ''. */
  private internText(checkOnly: boolean): string {
    const text = this.text;
    const start = this.textStart;
    const end = this.textEnd;
    let i = start < end && text[start] === COLON ? start + 1 : start;
    let hash = 0;
    while (i < end) {
      const byte = text[i] as number;
      if (byte === 0 || TOKEN_LOWER[byte] !== byte) break;
      hash = (Math.imul(hash, 31) + byte) | 0;
      i++;
    }
    foundName.name = '';
    foundName.known = 0;
    if (i === end && start < end && (end > start + 1 || text[start] !== COLON)) {
      if (!checkOnly) internName(text, start, end, hash, foundName);
      return '';
    }
    if (!checkOnly) foundName.name = text.latin1Slice(start, end);
    if (start === end) return FAULTS.emptyName;
    return i < end && TOKEN_LOWER[text[i] as number] !== 0 ? FAULTS.upperCase : FAULTS.nameByte;
  }

  /** What is wrong with `text` as a value, or ''. */
  private valueFault(): string {
    const text = this.text;
    const start = this.textStart;
    const end = this.textEnd;
    if (start === end) return '';
    if (this.textIsHuffman) {
      if ((huffmanFlags() & HUFFMAN.BAD_VALUE) !== 0) return FAULTS.valueByte;
    } else {
      for (let i = start; i < end; i++) if (VALUE_BYTE[text[i] as number] === 0) return FAULTS.valueByte;
    }
    const first = text[start];
    const last = text[end - 1];
    return first === SP || first === HTAB || last === SP || last === HTAB ? FAULTS.valueSpace : '';
  }

  private noEntry(index: number): number {
    return this.fail(index === 0 ? ERRORS.indexZero : ERRORS.index);
  }

  /** Keeps the first error. Always -1. */
  private fail(error: string): number {
    if (this.error === '') this.error = error;
    return -1;
  }
}
