import { FLAG, FRAME, FRAME_HEADER_BYTES, MAX_FRAME_BYTES } from './frame.ts';

export interface FrameEvents {
  /** A piece of a DATA frame: `bytes` of body, and `isEnd` when the stream ends with it. */
  onData(streamId: number, bytes: number, isEnd: boolean): void;
  /** The payload of any other frame, whole; it may be reused after the call. */
  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void;
}

/**
 * Cuts a stream of bytes into frames. DATA is counted as it comes and never kept, so that a body of 1 MiB costs no
 * copy; everything else is small. Frames above the size that we announced throw: the peer is broken.
 */
export class FrameScanner {
  private readonly events: FrameEvents;
  /** Bytes of a DATA frame that are still to come. */
  private dataLeft = 0;
  private dataStream = 0;
  private dataEnds = false;
  /** Start of a frame that was cut by the end of a read. */
  private carry: Buffer | undefined;

  constructor(events: FrameEvents) {
    this.events = events;
  }

  /** Takes the next `length` bytes of the stream; `buffer` may be reused after the call. */
  push(buffer: Buffer, length: number): void {
    let bytes = buffer;
    let at = 0;
    let end = length;
    if (this.carry !== undefined) {
      bytes = Buffer.concat([this.carry, buffer.subarray(0, length)]);
      end = bytes.length;
      this.carry = undefined;
    }
    while (at < end) {
      const next = this.dataLeft > 0 ? this.takeData(at, end) : this.takeFrame(bytes, at, end);
      if (next < 0) {
        this.carry = Buffer.from(bytes.subarray(at, end));
        return;
      }
      at = next;
    }
  }

  private takeData(at: number, end: number): number {
    const bytes = Math.min(this.dataLeft, end - at);
    this.dataLeft -= bytes;
    this.events.onData(this.dataStream, bytes, this.dataEnds && this.dataLeft === 0);
    return at + bytes;
  }

  /** Offset behind the frame, behind its header alone when it is DATA; -1 when that has not arrived whole. */
  private takeFrame(bytes: Buffer, at: number, end: number): number {
    if (end - at < FRAME_HEADER_BYTES) return -1;
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    if (length > MAX_FRAME_BYTES) throw new Error(`a frame of ${length} bytes`);
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
    const payloadAt = at + FRAME_HEADER_BYTES;
    if (type === FRAME.data) {
      if ((flags & FLAG.padded) !== 0) throw new Error('padded DATA, which nobody asked for');
      this.dataStream = streamId;
      this.dataEnds = (flags & FLAG.endStream) !== 0;
      this.dataLeft = length;
      if (length === 0) this.events.onData(streamId, 0, this.dataEnds);
      return payloadAt;
    }
    if (end - payloadAt < length) return -1;
    this.events.onFrame(type, flags, streamId, bytes.subarray(payloadAt, payloadAt + length));
    return payloadAt + length;
  }
}
