import { isUtf8 } from 'node:buffer';

/** Wire types of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/). */
const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;

// biome-ignore lint/suspicious/noControlCharactersInRegex: it is the range that is meant
const NOT_ASCII = /[^\x00-\x7f]/;

/** Writes one message after the other into memory that it keeps. Texts are byte strings, one latin1 character per byte. */
export class ProtoWriter {
  private buffer: Buffer;
  private at = 0;

  constructor(initialBytes: number) {
    this.buffer = Buffer.allocUnsafe(initialBytes);
  }

  /** Everything written so far, as a copy; the writer is empty again. */
  take(): Buffer {
    const bytes = Buffer.from(this.buffer.subarray(0, this.at));
    this.at = 0;
    return bytes;
  }

  varint(field: number, value: number): void {
    this.need(15);
    this.number(field * 8 + WIRE.VARINT);
    this.number(value);
  }

  fixed32(field: number, value: number): void {
    this.need(9);
    this.number(field * 8 + WIRE.FIXED32);
    this.at = this.buffer.writeUInt32LE(value, this.at);
  }

  fixed64(field: number, value: bigint): void {
    this.need(13);
    this.number(field * 8 + WIRE.FIXED64);
    this.at = this.buffer.writeBigUInt64LE(value, this.at);
  }

  /** A field of bytes, given in hexadecimal digits. */
  hex(field: number, digits: string): void {
    const length = digits.length / 2;
    this.need(length + 10);
    this.number(field * 8 + WIRE.BYTES);
    this.number(length);
    this.at += this.buffer.hexWrite(digits, this.at);
  }

  text(field: number, value: string): void {
    this.validText(field, validUtf8(value));
  }

  /** Begins a message within this one; give the answer to `end`. */
  begin(field: number): number {
    this.need(10);
    this.number(field * 8 + WIRE.BYTES);
    // Room for a length of one byte; a longer one moves what stands behind.
    return ++this.at;
  }

  end(start: number): void {
    const length = this.at - start;
    const extra = lengthOf(length) - 1;
    if (extra > 0) {
      this.need(extra);
      this.buffer.copyWithin(start + extra, start, this.at);
    }
    this.at = start - 1;
    this.number(length);
    this.at += length;
  }

  /** An OTLP KeyValue whose value is a text. */
  attribute(field: number, key: string, value: string): void {
    const text = validUtf8(value);
    const valueBytes = 1 + lengthOf(text.length) + text.length;
    const keyBytes = 1 + lengthOf(key.length) + key.length;
    const total = keyBytes + 1 + lengthOf(valueBytes) + valueBytes;
    this.need(total + 10);
    this.number(field * 8 + WIRE.BYTES);
    this.number(total);
    this.validText(1, key);
    this.number(2 * 8 + WIRE.BYTES);
    this.number(valueBytes);
    this.validText(1, text);
  }

  private validText(field: number, text: string): void {
    this.need(text.length + 10);
    this.number(field * 8 + WIRE.BYTES);
    this.number(text.length);
    this.at += this.buffer.latin1Write(text, this.at);
  }

  private number(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[this.at++] = rest;
  }

  private need(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }
}

function lengthOf(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

/** A header may hold any byte, a text of a message must be UTF-8: what is not becomes U+FFFD. */
function validUtf8(text: string): string {
  if (!NOT_ASCII.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? text : Buffer.from(bytes.toString('utf8'), 'utf8').latin1Slice();
}
