import { connect, type Socket } from 'node:net';
import { GRPC_PREFIX_BYTES } from '../grpc-message.ts';
import type { LoadEvents } from '../load-client.ts';
import type { LoadTarget } from '../load-target.ts';
import {
  DEFAULT_HEADER_TABLE_SIZE,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  frame,
  PREFACE,
  SETTING,
  settingsFrame,
  windowUpdateFrame,
} from './frame.ts';
import { type FrameEvents, FrameScanner } from './frame-scanner.ts';
import { decodeStatus } from './header-block.ts';
import { type RequestFrames, requestFrames } from './http2-request.ts';

/** One read buffer serves every connection: the bytes are scanned before the callback returns. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);
const OUTPUT_BYTES = 64 * 1024;
/** Large enough never to hold a response up. */
const RECEIVE_WINDOW = 2 ** 30;
/** So much of the connection's window is used before it is given back. */
const GIVE_BACK_BYTES = 2 ** 28;
const RECONNECT_MS = 10;
/** Messages of one gRPC stream: long enough for the call's own cost to vanish, short enough for calls to come and go. */
export const MESSAGES_PER_CALL = 100;

/** Room for one request, or for one gRPC stream with one message under way; used again and again. */
class Slot {
  /** 0 while no stream is open. */
  id = 0;
  /** When the request under way should have been sent, or -1. */
  intendedMs = -1;
  status = 0;
  /** Body since the request or message was sent. */
  bytes = 0;
  messagesLeft = 0;
  /** What the peer still takes on this stream. */
  window = 0;
  isBlocked = false;
  /** The call before ended between two messages: nothing was under way, so the next answer has to tell. */
  isTainted = false;
}

/**
 * A prior-knowledge HTTP/2 connection that sends one request, or the messages of one kind of gRPC stream, again and
 * again; connects again when it is lost. A client with no more than that needs no HPACK encoder and costs a few µs.
 */
export class Http2Connection implements FrameEvents {
  /** The peer's SETTINGS have come, so its limits are known. */
  up = false;
  private readonly target: LoadTarget;
  private readonly events: LoadEvents;
  private readonly messagesPerCall: number;
  private frames: RequestFrames | undefined;
  private socket: Socket | undefined;
  private closed = false;
  private reconnect: NodeJS.Timeout | undefined;
  private output = Buffer.allocUnsafe(OUTPUT_BYTES);
  private outputBytes = 0;
  private ready: Slot[] = [];
  private readonly open = new Map<number, Slot>();
  private nextId = 1;
  private sendWindow = DEFAULT_WINDOW;
  private streamWindow = DEFAULT_WINDOW;
  private receivedBytes = 0;

  constructor(target: LoadTarget, events: LoadEvents) {
    this.target = target;
    this.events = events;
    this.messagesPerCall = target.grpc === 'stream' ? MESSAGES_PER_CALL : 1;
    this.connect();
  }

  /** False when no stream, or no window, is free. */
  trySend(intendedMs: number): boolean {
    if (!this.up) return false;
    const frames = this.frames as RequestFrames;
    const bodyBytes = frames.body === undefined ? 0 : frames.body.length - FRAME_HEADER_BYTES;
    if (this.sendWindow < bodyBytes) return false;
    for (;;) {
      const slot = this.ready.pop();
      if (slot === undefined) return false;
      if (slot.id === 0) this.openStream(slot, frames);
      if (slot.window < bodyBytes) {
        slot.isBlocked = true;
        continue;
      }
      slot.intendedMs = intendedMs;
      slot.bytes = 0;
      if (frames.body !== undefined) this.sendBody(slot, frames, bodyBytes);
      return true;
    }
  }

  flush(): void {
    if (this.outputBytes === 0) return;
    const socket = this.socket as Socket;
    socket.write(this.output.subarray(0, this.outputBytes));
    this.outputBytes = 0;
    // What the kernel did not take at once still lies in this memory.
    if (socket.writableLength > 0) this.output = Buffer.allocUnsafe(OUTPUT_BYTES);
  }

  pending(): number[] {
    return [...this.open.values()].map((slot) => slot.intendedMs).filter((intendedMs) => intendedMs >= 0);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.reconnect);
    this.socket?.destroy();
  }

  onData(streamId: number, bytes: number, isEnd: boolean): void {
    this.receivedBytes += bytes;
    if (this.receivedBytes >= GIVE_BACK_BYTES) {
      this.append(windowUpdateFrame(0, this.receivedBytes), 0);
      this.receivedBytes = 0;
    }
    const slot = this.open.get(streamId);
    if (slot === undefined) return;
    slot.bytes += bytes;
    if (isEnd) this.endStream(slot, false);
    else if (this.target.grpc === 'stream') this.takeEcho(slot);
  }

  onFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (type === FRAME.headers) this.onHeaders(flags, streamId, payload);
    else if (type === FRAME.windowUpdate) this.onWindowUpdate(streamId, payload.readUInt32BE() & 0x7fff_ffff);
    else if (type === FRAME.settings && (flags & FLAG.ack) === 0) this.onSettings(payload);
    else if (type === FRAME.ping && (flags & FLAG.ack) === 0) this.append(frame(FRAME.ping, FLAG.ack, 0, payload), 0);
    else if (type === FRAME.rstStream) this.onReset(streamId);
    else if (type === FRAME.goaway) this.up = false;
  }

  private onHeaders(flags: number, streamId: number, payload: Buffer): void {
    const slot = this.open.get(streamId);
    if (slot === undefined) return;
    if (slot.status < 200) {
      const from = ((flags & FLAG.padded) !== 0 ? 1 : 0) + ((flags & FLAG.priority) !== 0 ? 5 : 0);
      slot.status = decodeStatus(payload.subarray(from));
    }
    if ((flags & FLAG.endStream) !== 0) this.endStream(slot, true);
  }

  private onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.sendWindow += increment;
      return;
    }
    const slot = this.open.get(streamId);
    if (slot !== undefined) this.widen(slot, increment);
  }

  private widen(slot: Slot, increment: number): void {
    slot.window += increment;
    if (!slot.isBlocked) return;
    slot.isBlocked = false;
    this.ready.push(slot);
  }

  private onSettings(payload: Buffer): void {
    let streams = this.target.streams;
    let tableSize = DEFAULT_HEADER_TABLE_SIZE;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      const identifier = payload.readUInt16BE(at);
      if (identifier === SETTING.maxConcurrentStreams) streams = Math.min(streams, value);
      else if (identifier === SETTING.headerTableSize) tableSize = value;
      else if (identifier === SETTING.initialWindowSize) this.changeStreamWindow(value);
    }
    this.append(frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0)), 0);
    if (this.up) return;
    this.up = true;
    this.frames = requestFrames(this.target, tableSize);
    this.ready = Array.from({ length: streams }, () => new Slot());
  }

  /** RFC 9113 section 6.9.2: a new initial size holds for the streams that are open, too. */
  private changeStreamWindow(size: number): void {
    for (const slot of this.open.values()) this.widen(slot, size - this.streamWindow);
    this.streamWindow = size;
  }

  private onReset(streamId: number): void {
    const slot = this.open.get(streamId);
    if (slot !== undefined) this.finish(slot, false);
  }

  private openStream(slot: Slot, frames: RequestFrames): void {
    const id = this.nextId;
    this.nextId += 2;
    slot.id = id;
    slot.status = 0;
    slot.window = this.streamWindow;
    slot.messagesLeft = this.messagesPerCall;
    this.open.set(id, slot);
    this.append(id === 1 ? frames.firstHead : frames.head, id);
  }

  private sendBody(slot: Slot, frames: RequestFrames, bytes: number): void {
    slot.messagesLeft--;
    slot.window -= bytes;
    this.sendWindow -= bytes;
    this.append((slot.messagesLeft === 0 ? frames.lastBody : frames.body) as Buffer, slot.id);
  }

  /** A message of a gRPC stream comes back as it went. */
  private takeEcho(slot: Slot): void {
    const body = (this.frames as RequestFrames).body as Buffer;
    if (slot.intendedMs < 0 || slot.bytes < body.length - FRAME_HEADER_BYTES) return;
    const { intendedMs } = slot;
    slot.intendedMs = -1;
    // The last message ended our side: the stream is free when its trailers have come.
    if (slot.messagesLeft > 0) this.ready.push(slot);
    const isRight = !slot.isTainted && slot.status === this.target.expectStatus;
    slot.isTainted = false;
    this.events.onAnswer(intendedMs, isRight);
  }

  /** @param byTrailers the last frame was HEADERS, as it must be with gRPC */
  private endStream(slot: Slot, byTrailers: boolean): void {
    const { grpc, expectStatus, bodyBytes } = this.target;
    // Trailers cannot be read without a dynamic table; but a call that failed has no message, and this one's is known.
    const isWhole = grpc !== 'unary' || (byTrailers && slot.bytes === bodyBytes + GRPC_PREFIX_BYTES);
    this.finish(slot, isWhole && grpc !== 'stream' && slot.status === expectStatus);
  }

  /** The stream is over, with an answer to what was under way, if anything was. */
  private finish(slot: Slot, isRight: boolean): void {
    const { intendedMs } = slot;
    this.open.delete(slot.id);
    slot.isTainted = intendedMs < 0 && slot.messagesLeft > 0;
    if (!slot.isTainted || slot.isBlocked) this.ready.push(slot);
    slot.id = 0;
    slot.intendedMs = -1;
    slot.isBlocked = false;
    if (intendedMs >= 0) this.events.onAnswer(intendedMs, isRight);
  }

  private append(bytes: Buffer, streamId: number): void {
    if (this.outputBytes + bytes.length > this.output.length) this.flush();
    const at = this.outputBytes;
    bytes.copy(this.output, at);
    if (streamId > 0) this.output.writeUInt32BE(streamId, at + 5);
    this.outputBytes += bytes.length;
  }

  private connect(): void {
    const scanner = new FrameScanner(this);
    const { host, port } = this.target;
    const socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          try {
            scanner.push(readBuffer, length);
          } catch {
            socket.destroy();
            return true;
          }
          this.events.onReady();
          this.flush();
          return true;
        },
      },
    });
    this.socket = socket;
    socket.on('connect', () => {
      const settings = settingsFrame([
        [SETTING.enablePush, 0],
        [SETTING.initialWindowSize, RECEIVE_WINDOW],
      ]);
      socket.write(Buffer.concat([PREFACE, settings, windowUpdateFrame(0, RECEIVE_WINDOW)]));
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.onClose());
  }

  private onClose(): void {
    const lost = this.pending();
    this.up = false;
    this.ready = [];
    this.open.clear();
    this.nextId = 1;
    this.outputBytes = 0;
    this.sendWindow = DEFAULT_WINDOW;
    this.streamWindow = DEFAULT_WINDOW;
    this.receivedBytes = 0;
    if (this.closed) return;
    for (const intendedMs of lost) this.events.onAnswer(intendedMs, false);
    this.reconnect = setTimeout(() => this.connect(), RECONNECT_MS);
  }
}
