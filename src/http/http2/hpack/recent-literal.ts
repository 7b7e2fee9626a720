import { NO_ENTRY, type TableEntry } from './static-table.ts';

/** A longer value is decoded each time. */
const MAX_ENCODED_BYTES = 64;
/** Values in a row that were not the one before; then the name's values are left alone. */
const MAX_MISSES = 16;

/**
 * The value that a name had last as a literal, with its encoded bytes. Servers that never look into their table, as nginx,
 * send the same few values with every response: comparing their bytes costs less than decoding them, and the value is
 * then the same string object, which the encoder finds at a glance.
 */
export class RecentLiteral {
  /** The field, as it would stand in the table. */
  entry: TableEntry = NO_ENTRY;
  /** Bytes of the string as it is encoded, its length included; 0 when there is none. */
  encodedBytes = 0;
  private readonly encoded = new Uint8Array(MAX_ENCODED_BYTES);
  private misses = 0;

  /** Whether the same string lies at `buffer[start, …)`, of which the block ends at `end`. */
  matches(buffer: Buffer, start: number, end: number): boolean {
    const { encoded, encodedBytes } = this;
    if (encodedBytes === 0 || end - start < encodedBytes) return false;
    for (let i = 0; i < encodedBytes; i++) if (buffer[start + i] !== encoded[i]) return false;
    this.misses = 0;
    return true;
  }

  /** Whether the name's values have come again so far. */
  get isWorthIt(): boolean {
    return this.misses < MAX_MISSES;
  }

  /** Takes the field whose value is the string at `buffer[start, end)`. */
  keep(buffer: Buffer, start: number, end: number, entry: TableEntry): void {
    const length = end - start;
    this.encodedBytes = 0;
    this.entry = NO_ENTRY;
    if (length > MAX_ENCODED_BYTES || ++this.misses > MAX_MISSES) return;
    for (let i = 0; i < length; i++) this.encoded[i] = buffer[start + i] as number;
    this.encodedBytes = length;
    this.entry = entry;
  }
}
