import { HEX_VALUE, VALUE_BYTE } from './chars.ts';

/** What `ChunkDecoder.next` found. */
export const CHUNK = { MORE: 0, DATA: 1, TRAILERS: 2, ERROR: 3 } as const;

const CR = 13;
const LF = 10;
const SEMICOLON = 59;

const STATE = { SIZE_FIRST: 0, SIZE: 1, EXTENSION: 2, SIZE_LF: 3, DATA: 4, DATA_CR: 5, DATA_LF: 6 } as const;

/** 13 hexadecimal digits keep a size below 2^52. */
const MAX_SIZE_DIGITS = 13;
/** Extension bytes that one message may carry: they are read, never forwarded, and must not cost without end. */
const MAX_EXTENSION_BYTES = 16 * 1024;

/**
 * Decodes the chunked transfer coding (RFC 9112 §7.1) from pieces of any size. Strict: CRLF only, no white space
 * around the size. Extensions are skipped.
 */
export class ChunkDecoder {
  /** After DATA: the piece of the body. */
  dataStart = 0;
  dataEnd = 0;
  /** Bytes of the current chunk that are still to come. */
  remaining = 0;
  private state: number = STATE.SIZE_FIRST;
  private digits = 0;
  private extensionBytes = 0;
  private event: number = CHUNK.MORE;

  /** What the last `next` found. */
  get found(): number {
    return this.event;
  }

  reset(): void {
    this.state = STATE.SIZE_FIRST;
    this.remaining = 0;
    this.digits = 0;
    this.extensionBytes = 0;
  }

  /**
   * Reads on in `buffer[from, end)` to the next event and returns the offset behind what it used: DATA (see
   * `dataStart`), TRAILERS (the trailer section begins there), ERROR, or MORE (everything was used).
   */
  next(buffer: Buffer, from: number, end: number): number {
    let i = from;
    while (i < end) {
      if (this.state === STATE.DATA) return this.data(i, end);
      const byte = buffer[i++] as number;
      switch (this.state) {
        case STATE.SIZE_FIRST:
        case STATE.SIZE:
          if (!this.size(byte)) return this.emit(CHUNK.ERROR, i);
          break;
        case STATE.EXTENSION:
          if (byte === CR) this.state = STATE.SIZE_LF;
          else if (VALUE_BYTE[byte] === 0 || ++this.extensionBytes > MAX_EXTENSION_BYTES)
            return this.emit(CHUNK.ERROR, i);
          break;
        case STATE.SIZE_LF:
          if (byte !== LF) return this.emit(CHUNK.ERROR, i);
          if (this.remaining === 0) return this.emit(CHUNK.TRAILERS, i);
          this.state = STATE.DATA;
          break;
        case STATE.DATA_CR:
          if (byte !== CR) return this.emit(CHUNK.ERROR, i);
          this.state = STATE.DATA_LF;
          break;
        default:
          if (byte !== LF) return this.emit(CHUNK.ERROR, i);
          this.state = STATE.SIZE_FIRST;
          this.digits = 0;
      }
    }
    return this.emit(CHUNK.MORE, i);
  }

  private size(byte: number): boolean {
    const digit = HEX_VALUE[byte] as number;
    if (digit !== 255) {
      this.state = STATE.SIZE;
      this.remaining = this.remaining * 16 + digit;
      return ++this.digits <= MAX_SIZE_DIGITS;
    }
    if (this.state === STATE.SIZE_FIRST) return false;
    if (byte === CR) this.state = STATE.SIZE_LF;
    else if (byte === SEMICOLON) this.state = STATE.EXTENSION;
    else return false;
    return true;
  }

  private data(from: number, end: number): number {
    const take = Math.min(this.remaining, end - from);
    this.dataStart = from;
    this.dataEnd = from + take;
    this.remaining -= take;
    if (this.remaining === 0) this.state = STATE.DATA_CR;
    return this.emit(CHUNK.DATA, from + take);
  }

  private emit(event: number, offset: number): number {
    this.event = event;
    return offset;
  }
}
