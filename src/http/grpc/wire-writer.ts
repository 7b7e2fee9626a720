/** Wire types of protocol buffers (protobuf.dev, "Encoding"). */
export const WIRE = { VARINT: 0, FIXED64: 1, LENGTH: 2, FIXED32: 5 } as const;

const CONTINUES = 0x80;
/** Below this, a loop over the characters beats a call into C++. */
const SHORT_TEXT = 24;
/** A varint has at most so many bytes. */
const MAX_VARINT_BYTES = 10;

/**
 * Writes one message in the wire format of protocol buffers into memory that it keeps. Nested messages are written in
 * place: their length is filled in behind them.
 */
export class WireWriter {
  private buffer: Buffer;
  private at = 0;

  constructor(bytes = 512) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
  }

  begin(): void {
    this.at = 0;
  }

  /** A copy of what was written. */
  finish(): Buffer {
    const message = Buffer.allocUnsafe(this.at);
    this.buffer.copy(message, 0, 0, this.at);
    return message;
  }

  private reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.at + bytes, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }

  /** @param value an integer from 0 to 2^53 − 1 */
  varintField(field: number, value: number): void {
    this.reserve(2 * MAX_VARINT_BYTES);
    this.varint(field * 8 + WIRE.VARINT);
    this.varint(value);
  }

  private varint(value: number): void {
    let rest = value;
    while (rest >= CONTINUES) {
      this.buffer[this.at++] = (rest % CONTINUES) + CONTINUES;
      rest = Math.floor(rest / CONTINUES);
    }
    this.buffer[this.at++] = rest;
  }

  /** Text of which every character is one byte. */
  latin1Field(field: number, text: string): void {
    const { length } = text;
    this.reserve(2 * MAX_VARINT_BYTES + length);
    this.varint(field * 8 + WIRE.LENGTH);
    this.varint(length);
    if (length > SHORT_TEXT) this.buffer.latin1Write(text, this.at, length);
    else for (let i = 0; i < length; i++) this.buffer[this.at + i] = text.charCodeAt(i);
    this.at += length;
  }

  bytesField(field: number, bytes: Uint8Array): void {
    this.reserve(2 * MAX_VARINT_BYTES + bytes.length);
    this.varint(field * 8 + WIRE.LENGTH);
    this.varint(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Bytes that are in wire format already. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Begins a nested message; what it returns is for `close`. */
  open(field: number): number {
    this.reserve(2 * MAX_VARINT_BYTES);
    this.varint(field * 8 + WIRE.LENGTH);
    return ++this.at;
  }

  close(start: number): void {
    const length = this.at - start;
    if (length < CONTINUES) {
      this.buffer[start - 1] = length;
      return;
    }
    // The length takes more than the one byte that was left for it.
    let extra = 0;
    for (let rest = length; rest >= CONTINUES; rest = Math.floor(rest / CONTINUES)) extra++;
    this.reserve(extra);
    this.buffer.copyWithin(start + extra, start, this.at);
    this.at = start - 1;
    this.varint(length);
    this.at += length;
  }
}
