import { DEFAULT_MAX_FRAME_BYTES, ERROR, FLAGS, FRAME, FRAME_HEADER_BYTES } from './protocol.ts';

/** What a reader tells its connection. Offsets are into memory that is valid during the call only. */
export interface FrameSink {
  /** A DATA frame begins; `length` counts against the windows, padding included. `bytes` are those of the payload. */
  onDataFrame(streamId: number, length: number, bytes: number, endStream: boolean): void;
  /** A piece of the DATA frame that began last. */
  onDataBytes(buffer: Buffer, start: number, end: number): void;
  /** The DATA frame that began last is complete. */
  onDataFrameEnd(): void;
  /** A whole header block, put together from its frames. */
  onHeaderBlock(streamId: number, endStream: boolean, buffer: Buffer, start: number, end: number): void;
  onPriority(streamId: number, dependsOn: number): void;
  onResetStream(streamId: number, code: number): void;
  onSettings(buffer: Buffer, start: number, end: number): void;
  onSettingsAck(): void;
  onPing(ack: boolean, buffer: Buffer, start: number): void;
  onGoAway(lastStreamId: number, code: number, debug: string): void;
  onWindowUpdate(streamId: number, increment: number): void;
  onPushPromise(): void;
  /** The kind of frame that empty payloads are a flood of. */
  onEmptyFrame(endStream: boolean): void;
  /** A header block has begun, or is complete. */
  onHeaderBlockOpen(isOpen: boolean): void;
  /** The connection cannot go on. */
  onConnectionError(code: number, details: string): void;
  onStreamError(streamId: number, code: number, details: string): void;
  /** Nothing more is read. */
  readonly stopped: boolean;
}

/** CONTINUATION frames of one header block; the size of the block is limited beside (CVE-2024-27316). */
const MAX_CONTINUATIONS = 32;
const MAX_DEBUG_CHARACTERS = 256;

/** Cuts what a peer sends into frames (RFC 9113 §4, §6): checks what a frame alone shows, and leaves the rest to the connection. */
export class FrameReader {
  private readonly sink: FrameSink;
  private readonly maxBlockBytes: number;
  /** Bytes to come of a DATA frame: payload, then padding. */
  private dataLeft = 0;
  private paddingLeft = 0;
  private inData = false;
  /** A header block that lacks its end: which stream it belongs to, 0 for none. */
  private blockStream = 0;
  private blockEndsStream = false;
  private block: Buffer | undefined = undefined;
  private blockBytes = 0;
  private continuations = 0;
  private sawSettings = false;

  /** @param maxBlockBytes longest header block, compressed */
  constructor(sink: FrameSink, maxBlockBytes: number) {
    this.sink = sink;
    this.maxBlockBytes = maxBlockBytes;
  }

  /**
   * Reads frames in `buffer[start, end)`; returns the offset behind what was used, the end once nothing more is read. What
   * is left must come again, with more behind it.
   */
  read(buffer: Buffer, start: number, end: number): number {
    const { sink } = this;
    let i = start;
    while (!sink.stopped) {
      if (this.inData) {
        i = this.readData(buffer, i, end);
        if (this.inData) return sink.stopped ? end : i;
        continue;
      }
      if (end - i < FRAME_HEADER_BYTES) return i;
      const length = ((buffer[i] as number) << 16) | ((buffer[i + 1] as number) << 8) | (buffer[i + 2] as number);
      const type = buffer[i + 3] as number;
      const flags = buffer[i + 4] as number;
      const streamId = readStreamId(buffer, i + 5);
      if (!this.admit(type, flags, streamId, length)) return end;
      if (type === FRAME.DATA) {
        const used = this.beginData(buffer, i, end, length, flags, streamId);
        if (used === 0) return i;
        i += used;
        continue;
      }
      const next = i + FRAME_HEADER_BYTES + length;
      if (next > end) return i;
      this.dispatch(buffer, i + FRAME_HEADER_BYTES, next, type, flags, streamId);
      i = next;
    }
    return end;
  }

  /** What holds for every frame, before its payload has come. */
  private admit(type: number, flags: number, streamId: number, length: number): boolean {
    if (length > DEFAULT_MAX_FRAME_BYTES) return this.fail(ERROR.FRAME_SIZE_ERROR, 'frame too large');
    if (!this.sawSettings) {
      if (type !== FRAME.SETTINGS || (flags & FLAGS.ACK) !== 0)
        return this.fail(ERROR.PROTOCOL_ERROR, 'the first frame is no SETTINGS');
      this.sawSettings = true;
    }
    if (this.blockStream !== 0 && (type !== FRAME.CONTINUATION || streamId !== this.blockStream))
      return this.fail(ERROR.PROTOCOL_ERROR, 'a header block was interrupted');
    return true;
  }

  private beginData(buffer: Buffer, at: number, end: number, length: number, flags: number, streamId: number): number {
    let padding = 0;
    let used = FRAME_HEADER_BYTES;
    let bytes = length;
    if (streamId === 0) {
      this.fail(ERROR.PROTOCOL_ERROR, 'DATA on stream 0');
      return used;
    }
    if ((flags & FLAGS.PADDED) !== 0) {
      if (length === 0) {
        this.fail(ERROR.FRAME_SIZE_ERROR, 'padding without its length');
        return used;
      }
      if (end - at < FRAME_HEADER_BYTES + 1) return 0;
      padding = buffer[at + FRAME_HEADER_BYTES] as number;
      bytes = length - 1 - padding;
      if (bytes < 0) {
        this.fail(ERROR.PROTOCOL_ERROR, 'more padding than frame');
        return used;
      }
      used++;
    }
    const endStream = (flags & FLAGS.END_STREAM) !== 0;
    if (bytes === 0) this.sink.onEmptyFrame(endStream);
    if (this.sink.stopped) return used;
    this.inData = true;
    this.dataLeft = bytes;
    this.paddingLeft = padding;
    this.sink.onDataFrame(streamId, length, bytes, endStream);
    return used;
  }

  private readData(buffer: Buffer, start: number, end: number): number {
    let i = start;
    if (this.dataLeft > 0) {
      const size = Math.min(this.dataLeft, end - i);
      if (size === 0) return i;
      this.dataLeft -= size;
      this.sink.onDataBytes(buffer, i, i + size);
      i += size;
      if (this.dataLeft > 0 || this.sink.stopped) return i;
    }
    const skipped = Math.min(this.paddingLeft, end - i);
    this.paddingLeft -= skipped;
    i += skipped;
    if (this.paddingLeft > 0) return i;
    this.inData = false;
    this.sink.onDataFrameEnd();
    return i;
  }

  private dispatch(buffer: Buffer, start: number, end: number, type: number, flags: number, streamId: number): void {
    const { sink } = this;
    const length = end - start;
    switch (type) {
      case FRAME.HEADERS:
        this.readHeaders(buffer, start, end, flags, streamId);
        break;
      case FRAME.CONTINUATION:
        this.readContinuation(buffer, start, end, flags, streamId);
        break;
      case FRAME.PRIORITY:
        if (streamId === 0) this.fail(ERROR.PROTOCOL_ERROR, 'PRIORITY on stream 0');
        else if (length !== 5) sink.onStreamError(streamId, ERROR.FRAME_SIZE_ERROR, 'PRIORITY of wrong size');
        else sink.onPriority(streamId, readStreamId(buffer, start));
        break;
      case FRAME.RST_STREAM:
        if (streamId === 0) this.fail(ERROR.PROTOCOL_ERROR, 'RST_STREAM on stream 0');
        else if (length !== 4) this.fail(ERROR.FRAME_SIZE_ERROR, 'RST_STREAM of wrong size');
        else sink.onResetStream(streamId, buffer.readUInt32BE(start));
        break;
      case FRAME.SETTINGS:
        if (streamId !== 0) this.fail(ERROR.PROTOCOL_ERROR, 'SETTINGS on a stream');
        else if ((flags & FLAGS.ACK) !== 0) {
          if (length !== 0) this.fail(ERROR.FRAME_SIZE_ERROR, 'SETTINGS acknowledgement with a payload');
          else sink.onSettingsAck();
        } else if (length % 6 !== 0) this.fail(ERROR.FRAME_SIZE_ERROR, 'SETTINGS of wrong size');
        else sink.onSettings(buffer, start, end);
        break;
      case FRAME.PUSH_PROMISE:
        sink.onPushPromise();
        break;
      case FRAME.PING:
        if (streamId !== 0) this.fail(ERROR.PROTOCOL_ERROR, 'PING on a stream');
        else if (length !== 8) this.fail(ERROR.FRAME_SIZE_ERROR, 'PING of wrong size');
        else sink.onPing((flags & FLAGS.ACK) !== 0, buffer, start);
        break;
      case FRAME.GOAWAY:
        if (streamId !== 0) this.fail(ERROR.PROTOCOL_ERROR, 'GOAWAY on a stream');
        else if (length < 8) this.fail(ERROR.FRAME_SIZE_ERROR, 'GOAWAY of wrong size');
        else {
          const debug = buffer.latin1Slice(start + 8, Math.min(end, start + 8 + MAX_DEBUG_CHARACTERS));
          sink.onGoAway(readStreamId(buffer, start), buffer.readUInt32BE(start + 4), debug);
        }
        break;
      case FRAME.WINDOW_UPDATE:
        if (length !== 4) this.fail(ERROR.FRAME_SIZE_ERROR, 'WINDOW_UPDATE of wrong size');
        else sink.onWindowUpdate(streamId, readStreamId(buffer, start));
        break;
      default:
      // Unknown types are ignored (RFC 9113 §4.1).
    }
  }

  private readHeaders(buffer: Buffer, start: number, end: number, flags: number, streamId: number): void {
    if (streamId === 0) {
      this.fail(ERROR.PROTOCOL_ERROR, 'HEADERS on stream 0');
      return;
    }
    let from = start;
    let to = end;
    if ((flags & FLAGS.PADDED) !== 0) {
      to -= from < end ? (buffer[from] as number) : 0;
      from++;
    }
    let dependsOn = -1;
    if ((flags & FLAGS.PRIORITY) !== 0) {
      if (from + 5 <= end) dependsOn = readStreamId(buffer, from);
      from += 5;
    }
    if (from > end) {
      this.fail(ERROR.FRAME_SIZE_ERROR, 'HEADERS too short');
      return;
    }
    if (to < from) {
      this.fail(ERROR.PROTOCOL_ERROR, 'more padding than frame');
      return;
    }
    if (dependsOn >= 0) this.sink.onPriority(streamId, dependsOn);
    const endStream = (flags & FLAGS.END_STREAM) !== 0;
    if (from === to) this.sink.onEmptyFrame(endStream);
    if (this.sink.stopped) return;
    if ((flags & FLAGS.END_HEADERS) !== 0) {
      this.sink.onHeaderBlock(streamId, endStream, buffer, from, to);
      return;
    }
    this.blockStream = streamId;
    this.blockEndsStream = endStream;
    this.blockBytes = 0;
    this.continuations = 0;
    this.sink.onHeaderBlockOpen(true);
    this.keepBlock(buffer, from, to);
  }

  private readContinuation(buffer: Buffer, start: number, end: number, flags: number, streamId: number): void {
    if (this.blockStream === 0) {
      this.fail(ERROR.PROTOCOL_ERROR, 'CONTINUATION without HEADERS');
      return;
    }
    if (++this.continuations > MAX_CONTINUATIONS) {
      this.fail(ERROR.ENHANCE_YOUR_CALM, 'too many CONTINUATION frames');
      return;
    }
    if (start === end) this.sink.onEmptyFrame((flags & FLAGS.END_HEADERS) !== 0);
    if (this.sink.stopped || !this.keepBlock(buffer, start, end) || (flags & FLAGS.END_HEADERS) === 0) return;
    const block = this.block as Buffer;
    this.block = undefined;
    this.blockStream = 0;
    this.sink.onHeaderBlockOpen(false);
    this.sink.onHeaderBlock(streamId, this.blockEndsStream, block, 0, this.blockBytes);
  }

  private keepBlock(buffer: Buffer, start: number, end: number): boolean {
    const needed = this.blockBytes + end - start;
    if (needed > this.maxBlockBytes) return this.fail(ERROR.ENHANCE_YOUR_CALM, 'header block too large');
    if (this.block === undefined || this.block.length < needed) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed * 2, 4096));
      this.block?.copy(larger, 0, 0, this.blockBytes);
      this.block = larger;
    }
    buffer.copy(this.block, this.blockBytes, start, end);
    this.blockBytes = needed;
    return true;
  }

  private fail(code: number, details: string): false {
    this.sink.onConnectionError(code, details);
    return false;
  }
}

/** 31 bits; the reserved one is ignored (RFC 9113 §4.1). */
function readStreamId(buffer: Buffer, at: number): number {
  return (
    (((buffer[at] as number) & 0x7f) << 24) |
    ((buffer[at + 1] as number) << 16) |
    ((buffer[at + 2] as number) << 8) |
    (buffer[at + 3] as number)
  );
}
