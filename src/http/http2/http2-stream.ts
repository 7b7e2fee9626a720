import type { HeaderMap } from '../headers.ts';
import { InputStash } from '../http1/input-stash.ts';
import type { Http2Connection } from './connection.ts';
import type { FieldList } from './hpack/field-list.ts';
import { DEFAULT_MAX_FRAME_BYTES, FRAME_HEADER_BYTES } from './protocol.ts';

/**
 * One stream of a connection: its two directions, each with its window, and what waits. Bytes that the peer's window,
 * the connection's, or the kernel do not take yet are kept here, and whoever produces them is told to wait; so a
 * stream keeps at most what its source had read when it was told.
 *
 * The object serves one exchange after the other.
 */
export abstract class Http2Stream {
  protected abstract readonly connection: Http2Connection;
  id = 0;
  /** From the first frame until both directions ended or a reset. */
  open = false;
  /** END_STREAM was sent, or came. */
  localEnded = false;
  remoteEnded = false;
  /** Bytes that may be sent; negative when the peer made the window smaller than what is under way. */
  sendWindow = 0;
  /** Bytes that the peer may send. */
  receiveWindow = 0;
  /** Bytes used up that the peer has not been told of. */
  uncredited = 0;
  /** Bytes of its frames, either way, and those of frames with headers among them. */
  protected wireReceived = 0;
  protected wireSent = 0;
  protected headersReceived = 0;
  protected headersSent = 0;
  /** Waits for its turn to send. */
  scheduled = false;
  /** Body bytes that wait to be sent, from `chunkStart` of the first chunk on. */
  pendingBytes = 0;
  private readonly chunks: Buffer[] = [];
  private chunkStart = 0;
  private endWaits = false;
  private trailers: HeaderMap | undefined = undefined;
  /** Nobody takes what comes: it is kept, and its window stays used up. */
  protected paused = false;
  private readonly stash = new InputStash();
  protected stashedEnd = false;
  private stashedTrailers: HeaderMap | undefined = undefined;
  /** Bytes that the peer said its body has; -1 when it did not. */
  protected bodyLeft = -1;

  // ── what the two sides do with what comes ──

  /** How long the stream has been open; only where the peer opens streams. */
  abstract readonly ageMs: number;
  /** A header block of this stream: the head, an interim one, or trailers. */
  abstract onFields(fields: FieldList, endStream: boolean): void;
  protected abstract onBody(buffer: Buffer, start: number, end: number): void;
  protected abstract onEnd(trailers: HeaderMap | undefined): void;
  /** The peer or we reset the stream, or the connection is gone (`code` -1); the stream is closed already. */
  abstract onReset(code: number, details: string, byPeer: boolean): void;
  /** Our end is out: END_STREAM lies in the connection's output. */
  protected abstract onSent(): void;
  /** Something could not be sent: the source must wait for `onDrained`. */
  protected abstract onCongested(): void;
  protected abstract onDrained(): void;

  /** Ready for another exchange. */
  begin(id: number, sendWindow: number, receiveWindow: number): void {
    this.id = id;
    this.open = true;
    this.localEnded = false;
    this.remoteEnded = false;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.uncredited = 0;
    this.wireReceived = 0;
    this.wireSent = 0;
    this.headersReceived = 0;
    this.headersSent = 0;
    this.pendingBytes = 0;
    this.endWaits = false;
    this.trailers = undefined;
    this.paused = false;
    this.stashedEnd = false;
    this.stashedTrailers = undefined;
    this.bodyLeft = -1;
  }

  /** The stream is over: what waits is dropped. */
  release(): void {
    this.open = false;
    this.stopSending();
    // Nobody will take it, but the connection's window must not shrink for ever.
    const { length } = this.stash;
    this.stash.clear();
    if (length > 0) this.connection.credit(length);
  }

  /**
   * The peer has said everything, and nobody has taken it all yet: neither a reset nor the end of the connection makes it
   * less true. Only where this side asked for it (RFC 9113 §8.1).
   */
  get keepsMessage(): boolean {
    return false;
  }

  /** The peer takes no more: what waits to be sent is dropped, and nothing follows it. */
  stopSending(): void {
    this.localEnded = true;
    if (this.chunks.length > 0) this.chunks.length = 0;
    this.chunkStart = 0;
    this.pendingBytes = 0;
    this.endWaits = false;
    this.trailers = undefined;
  }

  /** The end, too, waits until somebody takes it. */
  protected get holdsEnd(): boolean {
    return false;
  }

  // ── counting ──

  /** A frame of headers came, or was written. */
  countHeaders(bytes: number, isSent: boolean): void {
    if (isSent) {
      this.headersSent += bytes;
      this.wireSent += bytes;
    } else {
      this.headersReceived += bytes;
      this.wireReceived += bytes;
    }
  }

  /** A DATA frame came, with its padding; or an empty one was written. */
  countData(bytes: number, isSent: boolean): void {
    if (isSent) this.wireSent += FRAME_HEADER_BYTES + bytes;
    else this.wireReceived += FRAME_HEADER_BYTES + bytes;
  }

  // ── sending ──

  get congested(): boolean {
    return this.pendingBytes > 0;
  }

  protected sendBody(buffer: Buffer, start: number, end: number, stable: boolean): void {
    const { connection } = this;
    let at = start;
    if (this.pendingBytes === 0 && connection.mayWriteData) {
      while (at < end) {
        const size = Math.min(end - at, this.sendWindow, connection.sendWindow, DEFAULT_MAX_FRAME_BYTES);
        if (size <= 0 || !connection.mayWriteData) break;
        this.sendWindow -= size;
        this.wireSent += FRAME_HEADER_BYTES + size;
        connection.writeData(this.id, buffer, at, at + size);
        at += size;
      }
    }
    if (at === end) return;
    this.chunks.push(stable ? buffer.subarray(at, end) : copyOf(buffer, at, end));
    this.pendingBytes += end - at;
    connection.schedule(this);
    this.onCongested();
  }

  /** Ends our direction, behind what waits. */
  protected sendEnd(trailers: HeaderMap | undefined): void {
    if (this.pendingBytes > 0) {
      this.endWaits = true;
      this.trailers = trailers;
      return;
    }
    this.endNow(trailers);
  }

  private endNow(trailers: HeaderMap | undefined): void {
    this.localEnded = true;
    this.connection.writeEnd(this, trailers);
    this.onSent();
  }

  /** Sends one frame of what waits. True when there is more. */
  pump(): boolean {
    const { connection, chunks } = this;
    const first = chunks[0];
    if (first === undefined) return false;
    const left = first.length - this.chunkStart;
    const size = Math.min(left, this.sendWindow, connection.sendWindow, DEFAULT_MAX_FRAME_BYTES);
    if (size <= 0) return false;
    this.sendWindow -= size;
    this.wireSent += FRAME_HEADER_BYTES + size;
    this.pendingBytes -= size;
    connection.writeData(this.id, first, this.chunkStart, this.chunkStart + size);
    this.chunkStart += size;
    if (this.chunkStart === first.length) {
      chunks.shift();
      this.chunkStart = 0;
    }
    if (this.pendingBytes > 0) return true;
    if (this.endWaits) {
      this.endWaits = false;
      this.endNow(this.trailers);
    } else {
      this.onDrained();
    }
    return false;
  }

  // ── receiving ──

  /** Body bytes of a DATA frame, whose windows are accounted for already. */
  receive(buffer: Buffer, start: number, end: number): void {
    if (this.paused || this.stash.length > 0) {
      this.stash.append(buffer, start, end);
      return;
    }
    this.connection.consumed(this, end - start);
    this.onBody(buffer, start, end);
  }

  /** The peer has ended its direction. */
  receiveEnd(trailers: HeaderMap | undefined): void {
    this.remoteEnded = true;
    // Nothing waits before it: whoever waits for the end alone, such as the route's time limit, hears of it.
    if (this.stash.length > 0 || (this.paused && this.holdsEnd)) {
      this.stashedEnd = true;
      this.stashedTrailers = trailers;
      return;
    }
    this.onEnd(trailers);
  }

  protected pause(): void {
    this.paused = true;
  }

  protected resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const { stash } = this;
    if (stash.length > 0) {
      const { buffer, begin, end } = stash;
      stash.clear();
      this.connection.consumed(this, end - begin);
      this.onBody(buffer, begin, end);
    }
    if (this.stashedEnd && !this.paused && this.open) {
      this.stashedEnd = false;
      this.onEnd(this.stashedTrailers);
    }
  }
}

function copyOf(buffer: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  buffer.copy(copy, 0, start, end);
  return copy;
}
