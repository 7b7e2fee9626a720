import { WIRE } from './wire-writer.ts';

/** Bytes that are no message in the wire format of protocol buffers. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const MAX_VARINT_BYTES = 10;

/** Reads one message in the wire format of protocol buffers, field by field. Every method throws WireError. */
export class WireReader {
  private readonly buffer: Buffer;
  private at: number;
  private readonly end: number;
  /** Number of the field that `next` found. */
  field = 0;
  private type = 0;

  constructor(buffer: Buffer, start = 0, end: number = buffer.length) {
    this.buffer = buffer;
    this.at = start;
    this.end = end;
  }

  /** Goes to the next field, whose content must then be read or skipped; false at the end. */
  next(): boolean {
    if (this.at >= this.end) return false;
    const tag = this.readVarint();
    this.field = Math.floor(tag / 8);
    this.type = tag & 7;
    if (this.field === 0) throw new WireError('a field has the number 0');
    return true;
  }

  /** Of this field, which must be one: modulo 2^64, exact up to 2^53. */
  varint(): number {
    this.expect(WIRE.VARINT);
    return this.readVarint();
  }

  /** Shares memory with the message. */
  bytes(): Buffer {
    this.expect(WIRE.LENGTH);
    const start = this.readLength();
    return this.buffer.subarray(start, this.at);
  }

  text(): string {
    this.expect(WIRE.LENGTH);
    const start = this.readLength();
    return this.buffer.toString('utf8', start, this.at);
  }

  /** Bytes as latin1, one character each: as headers have them. */
  latin1(): string {
    this.expect(WIRE.LENGTH);
    const start = this.readLength();
    return this.buffer.latin1Slice(start, this.at);
  }

  message(): WireReader {
    this.expect(WIRE.LENGTH);
    const start = this.readLength();
    return new WireReader(this.buffer, start, this.at);
  }

  double(): number {
    this.expect(WIRE.FIXED64);
    const start = this.advance(8);
    return this.buffer.readDoubleLE(start);
  }

  skip(): void {
    switch (this.type) {
      case WIRE.VARINT:
        this.readVarint();
        break;
      case WIRE.FIXED64:
        this.advance(8);
        break;
      case WIRE.LENGTH:
        this.readLength();
        break;
      case WIRE.FIXED32:
        this.advance(4);
        break;
      default:
        throw new WireError(`field ${this.field} has the unknown wire type ${this.type}`);
    }
  }

  private expect(type: number): void {
    if (this.type !== type) throw new WireError(`field ${this.field} has wire type ${this.type}, not ${type}`);
  }

  private readLength(): number {
    return this.advance(this.readVarint());
  }

  /** Passes so many bytes over; where they began. */
  private advance(length: number): number {
    const start = this.at;
    if (length > this.end - start) throw new WireError(`field ${this.field} is cut off`);
    this.at = start + length;
    return start;
  }

  private readVarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (this.at >= this.end) throw new WireError('a number is cut off');
      const byte = this.buffer[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new WireError('a number is too long');
  }
}
