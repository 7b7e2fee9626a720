import type { Connection } from '../../network/connection.ts';
import type { Flushable } from '../../network/flush-queue.ts';
import { turnQueue } from '../../network/turn-queue.ts';
import { DEFAULT_MAX_FRAME_BYTES, FLAGS, FRAME, FRAME_HEADER_BYTES } from './protocol.ts';

/** Holds several frames of the largest usual size. */
const OUTPUT_BYTES = 256 * 1024;
const MAX_FREE_BUFFERS = 16;
const freeBuffers: Buffer[] = [];
const NO_BUFFER: Buffer = Buffer.alloc(0);

/**
 * Frames on their way out. What one turn of the event loop produces leaves in one write, or in several where a buffer
 * is full. While the kernel has not taken what was written, frames gather here; data waits in its streams instead.
 */
export class FrameOutput implements Flushable {
  private readonly connection: Connection;
  private buffer: Buffer = NO_BUFFER;
  private length = 0;
  private queued = false;
  /** Where the header of the last DATA frame lies, to set END_STREAM on it; -1 when it is no longer the last frame. */
  private lastDataAt = -1;
  private lastDataStream = 0;
  /** Frames since everything was out the last time; of these, those that answer a frame of the peer's. */
  outboundFrames = 0;
  outboundControlFrames = 0;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Nothing waits, neither here nor in the kernel's queue. */
  get isEmpty(): boolean {
    return this.length === 0 && !this.connection.congested;
  }

  /** A buffer with `bytes` free from `offset` on. Say how far it was filled with `advance`. */
  reserve(bytes: number): Buffer {
    if (this.length + bytes > this.buffer.length) this.makeRoom(bytes);
    if (!this.queued) {
      this.queued = true;
      turnQueue.add(this);
    }
    return this.buffer;
  }

  get offset(): number {
    return this.length;
  }

  /** The bytes before `offset` are filled with whole frames, which are `frames` more than before. */
  advance(offset: number, frames = 1): void {
    this.length = offset;
    this.lastDataAt = -1;
    this.outboundFrames += frames;
  }

  private makeRoom(bytes: number): void {
    if (this.length > 0) this.write();
    if (this.buffer.length >= bytes) return;
    this.giveBack();
    this.buffer =
      bytes > OUTPUT_BYTES
        ? Buffer.allocUnsafeSlow(bytes)
        : (freeBuffers.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES));
  }

  private giveBack(): void {
    if (this.buffer.length === OUTPUT_BYTES && freeBuffers.length < MAX_FREE_BUFFERS) freeBuffers.push(this.buffer);
    this.buffer = NO_BUFFER;
  }

  /** One DATA frame with `source[start, end)`, at most the peer's frame size and its windows. */
  data(streamId: number, source: Buffer, start: number, end: number): void {
    const size = end - start;
    const out = this.reserve(FRAME_HEADER_BYTES + size);
    const at = writeFrameHeader(out, this.length, size, FRAME.DATA, 0, streamId);
    source.copy(out, at, start, end);
    const frameAt = this.length;
    this.advance(at + size);
    this.lastDataAt = frameAt;
    this.lastDataStream = streamId;
  }

  /**
   * Ends our side of a stream: on its last DATA frame where that is still here, else on an empty one. True: it took that.
   */
  endStream(streamId: number): boolean {
    if (this.lastDataAt >= 0 && this.lastDataStream === streamId) {
      const flagsAt = this.lastDataAt + 4;
      this.buffer[flagsAt] = (this.buffer[flagsAt] as number) | FLAGS.END_STREAM;
      this.lastDataAt = -1;
      return false;
    }
    const out = this.reserve(FRAME_HEADER_BYTES);
    this.advance(writeFrameHeader(out, this.length, 0, FRAME.DATA, FLAGS.END_STREAM, streamId));
    return true;
  }

  resetStream(streamId: number, code: number): void {
    this.outboundControlFrames++;
    this.numbers(FRAME.RST_STREAM, streamId, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.numbers(FRAME.WINDOW_UPDATE, streamId, increment);
  }

  private numbers(type: number, streamId: number, value: number): void {
    const out = this.reserve(FRAME_HEADER_BYTES + 4);
    const at = writeFrameHeader(out, this.length, 4, type, 0, streamId);
    out.writeUInt32BE(value, at);
    this.advance(at + 4);
  }

  /** Pairs of identifier and value. */
  settings(parameters: readonly (readonly [id: number, value: number])[]): void {
    const size = parameters.length * 6;
    const out = this.reserve(FRAME_HEADER_BYTES + size);
    let at = writeFrameHeader(out, this.length, size, FRAME.SETTINGS, 0, 0);
    for (const [id, value] of parameters) {
      at = out.writeUInt16BE(id, at);
      at = out.writeUInt32BE(value, at);
    }
    this.advance(at);
  }

  settingsAck(): void {
    this.outboundControlFrames++;
    const out = this.reserve(FRAME_HEADER_BYTES);
    this.advance(writeFrameHeader(out, this.length, 0, FRAME.SETTINGS, FLAGS.ACK, 0));
  }

  /** `payload[start, start + 8)` is what comes back. */
  ping(ack: boolean, payload: Buffer, start: number): void {
    if (ack) this.outboundControlFrames++;
    const out = this.reserve(FRAME_HEADER_BYTES + 8);
    const at = writeFrameHeader(out, this.length, 8, FRAME.PING, ack ? FLAGS.ACK : 0, 0);
    payload.copy(out, at, start, start + 8);
    this.advance(at + 8);
  }

  /** `debug` tells people what was wrong. */
  goAway(lastStreamId: number, code: number, debug: string): void {
    const out = this.reserve(FRAME_HEADER_BYTES + 8 + debug.length);
    let at = writeFrameHeader(out, this.length, 8 + debug.length, FRAME.GOAWAY, 0, 0);
    at = out.writeUInt32BE(lastStreamId, at);
    at = out.writeUInt32BE(code, at);
    out.latin1Write(debug, at);
    this.advance(at + debug.length);
  }

  /** A header block that is longer than a frame: HEADERS and CONTINUATION frames of `block[0, length)`. */
  longHeaders(streamId: number, block: Buffer, length: number, endStream: boolean): void {
    const endFlag = endStream ? FLAGS.END_STREAM : 0;
    for (let start = 0; start < length; start += DEFAULT_MAX_FRAME_BYTES) {
      const size = Math.min(DEFAULT_MAX_FRAME_BYTES, length - start);
      const out = this.reserve(FRAME_HEADER_BYTES + size);
      const type = start === 0 ? FRAME.HEADERS : FRAME.CONTINUATION;
      const flags = (start === 0 ? endFlag : 0) | (start + size === length ? FLAGS.END_HEADERS : 0);
      const at = writeFrameHeader(out, this.length, size, type, flags, streamId);
      block.copy(out, at, start, start + size);
      this.advance(at + size);
    }
  }

  /** The client's preface, before anything else. */
  text(preface: string): void {
    const out = this.reserve(preface.length);
    out.latin1Write(preface, this.length);
    this.advance(this.length + preface.length, 0);
  }

  /** Called by the turn queue. */
  flush(): void {
    this.queued = false;
    // What was written before lies in libuv's queue: this waits for the drain, and may still grow by a frame.
    if (this.connection.congested) return;
    this.flushNow();
  }

  /** Writes what is there. */
  flushNow(): void {
    if (this.length > 0) this.write();
    this.giveBack();
    if (!this.connection.congested) {
      this.outboundFrames = 0;
      this.outboundControlFrames = 0;
    }
  }

  private write(): void {
    const { length } = this;
    this.length = 0;
    this.lastDataAt = -1;
    // libuv keeps a buffer that the kernel did not take whole.
    if (!this.connection.writeStable(this.buffer, 0, length)) this.buffer = NO_BUFFER;
  }
}

/** Writes the 9 bytes before a frame's payload (RFC 9113 §4.1); returns the offset behind. */
export function writeFrameHeader(
  out: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  out[at + 5] = streamId >>> 24;
  out[at + 6] = streamId >>> 16;
  out[at + 7] = streamId >>> 8;
  out[at + 8] = streamId;
  return at + FRAME_HEADER_BYTES;
}
