/** A longer value is decoded each time. */
const MAX_ENCODED_BYTES = 64;
/** Values in a row that were not the one before; then the name's values are left alone. */
const MAX_MISSES = 16;

/**
 * The value that a name had last as a literal, with its encoded bytes. Servers that have no dynamic table, as nginx, send
 * the same few values with every response: comparing their bytes costs less than decoding them, and the value is then
 * the same string object, which the encoder finds at a glance.
 */
export class RecentLiteral {
  value = '';
  /** Bytes of the decoded value. */
  textBytes = 0;
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

  /** Takes the string at `buffer[start, end)`, which was decoded to `value` and is a field value without fault. */
  keep(buffer: Buffer, start: number, end: number, value: string, textBytes: number): void {
    const length = end - start;
    if (length > MAX_ENCODED_BYTES || this.misses >= MAX_MISSES) {
      this.encodedBytes = 0;
      return;
    }
    this.misses++;
    for (let i = 0; i < length; i++) this.encoded[i] = buffer[start + i] as number;
    this.encodedBytes = length;
    this.value = value;
    this.textBytes = textBytes;
  }
}
