import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import type { Connection, ConnectionHandler } from '../network/connection.ts';
import { flushQueue } from '../network/flush-queue.ts';
import { sharedReadBuffer } from '../network/read-buffer.ts';
import { resetSocket } from '../network/reset-socket.ts';
import { StreamConnection } from '../network/stream-connection.ts';
import { type StreamHandle, streamBinding, type WriteRequest } from '../network/stream-handle.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import { recordWatch } from './record-watch.ts';
import type { SecureSocket } from './secure-socket.ts';
import { tlsHandles, type WriteQueue } from './tls-internals.ts';
import type { TlsStats } from './tls-stats.ts';

const UV_EOF = -4095;
const UV_EPIPE = -32;

const binding = streamBinding as NonNullable<typeof streamBinding>;
const state = binding?.streamBaseState;
const READ_RESULT = binding?.kReadBytesOrError ?? 0;
const LAST_WRITE_WAS_ASYNC = binding?.kLastWriteWasAsync ?? 0;

/** Pieces that waited are put together up to here. */
const MAX_JOINED_BYTES = 64 * 1024;

/** Text up to here is cheaper to write than bytes: it is put together on the stack. */
const TEXT_WRITE_BYTES = 8 * 1024;

function onRead(this: StreamHandle): void {
  const connection = this.outrigger as TlsConnection;
  const result = state[READ_RESULT] as number;
  if (result === 0) return;
  flushQueue.enter();
  try {
    connection.onRead(result);
  } catch (error) {
    connection.onFault(error);
  } finally {
    flushQueue.leave();
  }
}

function onWriteComplete(this: WriteRequest, status: number): void {
  const connection = this.owner as TlsConnection;
  flushQueue.enter();
  try {
    connection.onWriteComplete(status);
  } catch (error) {
    connection.onFault(error);
  } finally {
    flushQueue.leave();
  }
}

function errorOf(status: number, call: string): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: status, syscall: call });
}

/**
 * A connection on the handle of a TLS socket whose handshake is over. What differs from a plain handle:
 *
 * - One write at a time: a second one before the first has completed would end the process. What comes meanwhile
 *   waits here.
 * - A write never completes at once, yet its bytes are encrypted (or copied) when the handle's call returns. So their
 *   memory is free, and what counts for back-pressure is the queue of the socket below. Memory of what waits is not.
 * - Most writes are done before the next one comes, and nobody waits for that. Being told of it takes a call from Node for
 *   each, so the next write looks by itself, and only who waits is told.
 * - Bytes that were received but not yet decrypted come even after reading has stopped. They are kept until `resume`.
 */
export class TlsConnection implements Connection {
  handler: ConnectionHandler;
  readonly tls: TlsInfo;
  bytesRead = 0;
  bytesWritten = 0;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  closed = false;
  congested = false;
  private readonly socket: SecureSocket;
  private readonly below: Socket;
  private readonly handle: StreamHandle;
  private readonly queue: WriteQueue;
  private readonly stats: TlsStats;
  private reading = false;
  /** Reading was stopped on the handle; it starts by itself with the handshake. */
  private stopped = false;
  private writing = false;
  /** Of the write of text that is under way, or was the last: nobody is told when it is done, and the next one uses it again. */
  private silentRequest: WriteRequest | undefined;
  /** The write under way is that one's. */
  private isSilent = false;
  private ended = false;
  private shutdownSent = false;
  private sawEnd = false;
  private readonly waiting: (string | Buffer)[] = [];
  private readonly held: Buffer[] = [];
  private heldEnd = false;
  private delivering = false;
  private failure: Error | undefined;

  private constructor(
    socket: SecureSocket,
    below: Socket,
    handles: { readonly handle: StreamHandle; readonly queue: WriteQueue },
    tls: TlsInfo,
    handler: ConnectionHandler,
    stats: TlsStats,
  ) {
    this.socket = socket;
    this.below = below;
    this.handle = handles.handle;
    this.queue = handles.queue;
    this.tls = tls;
    this.handler = handler;
    this.stats = stats;
    this.remoteAddress = below.remoteAddress ?? '';
    this.remotePort = below.remotePort ?? 0;
    this.localAddress = below.localAddress ?? '';
    this.localPort = below.localPort ?? 0;
    this.handle.outrigger = this;
    this.handle.onread = onRead;
    this.handle.useUserBuffer(sharedReadBuffer);
    // What came with the end of the handshake, where Node had begun to read.
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
      this.held.push(chunk);
    this.socket.on('error', (error) => {
      this.failure ??= error;
    });
    recordWatch.add(this);
    this.socket.on('close', () => {
      recordWatch.remove(this);
      this.closed = true;
      flushQueue.enter();
      try {
        this.handler.onClose(this.failure);
      } finally {
        flushQueue.leave();
      }
    });
  }

  /** What has come from the peer, handshake and all. */
  get encryptedBytes(): number {
    return this.queue.bytesRead;
  }

  onRecordFlood(): void {
    if (this.closed) return;
    this.stats.connectionError.inc();
    this.destroy(new Error('too many records without data'));
  }

  /** Takes over a socket whose handshake has just ended; on documented API where Node is not as expected. */
  static from(
    socket: SecureSocket,
    below: Socket,
    tls: TlsInfo,
    handler: ConnectionHandler,
    stats: TlsStats,
  ): Connection {
    // Node tells of errors in records, but leaves the connection open.
    socket.on('_tlsError', (error: Error) => socket.destroy(error));
    socket.on('error', (error) => stats.countError(error));
    const handles = tlsHandles(socket, below);
    if (handles === undefined) return new StreamConnection(socket as TLSSocket, handler, tls, below);
    return new TlsConnection(socket, below, handles, tls, handler, stats);
  }

  /** The handler threw: its connection cannot go on, whoever reports the error; the others must not notice. */
  onFault(error: unknown): never {
    this.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }

  /** Bytes, or the end, from the handle. */
  onRead(result: number): void {
    if (this.closed || this.sawEnd) return;
    if (result < 0) {
      this.onReadFailure(result);
      return;
    }
    this.bytesRead += result;
    if (this.reading && this.held.length === 0) {
      this.handler.onData(sharedReadBuffer, result);
      return;
    }
    this.held.push(Buffer.from(sharedReadBuffer.subarray(0, result)));
    if (!this.reading) this.stopReading();
  }

  private onReadFailure(status: number): void {
    if (status !== UV_EOF) {
      this.destroy(errorOf(status, 'read'));
      return;
    }
    this.sawEnd = true;
    this.stopReading();
    if (this.reading && this.held.length === 0) this.handler.onEnd();
    else this.heldEnd = true;
  }

  pause(): void {
    if (!this.reading || this.closed) return;
    this.reading = false;
    this.stopReading();
  }

  private stopReading(): void {
    if (this.stopped || this.closed) return;
    this.stopped = true;
    this.handle.readStop();
  }

  resume(): void {
    if (this.reading || this.closed) return;
    this.reading = true;
    if (this.held.length > 0 || this.heldEnd) {
      // Later: whoever resumes does not expect bytes before the call returns.
      if (!this.delivering) queueMicrotask(this.deliver);
      this.delivering = true;
      return;
    }
    this.startReading();
  }

  private startReading(): void {
    if (!this.stopped || this.sawEnd || this.closed) return;
    this.stopped = false;
    this.handle.readStart();
  }

  private readonly deliver = (): void => {
    this.delivering = false;
    flushQueue.enter();
    try {
      this.deliverHeld();
    } catch (error) {
      this.onFault(error);
    } finally {
      flushQueue.leave();
    }
  };

  private deliverHeld(): void {
    while (this.reading && !this.closed && this.held.length > 0) {
      const chunk = this.held.shift() as Buffer;
      this.handler.onData(chunk, chunk.length);
    }
    if (!this.reading || this.closed || this.held.length > 0) return;
    if (this.heldEnd) {
      this.heldEnd = false;
      this.handler.onEnd();
    } else {
      this.startReading();
    }
  }

  writeText(text: string): boolean {
    if (this.closed || this.ended) return true;
    this.bytesWritten += text.length;
    if (this.isWriting()) return this.wait(text);
    this.silentRequest ??= new binding.WriteWrap();
    const taken = this.afterWrite(this.handle.writeLatin1String(this.silentRequest, text));
    if (!this.writing || this.closed) return taken;
    if (this.silentRequest.getAsyncId() < 0) {
      // Only a write that failed is over within the call.
      this.destroy(errorOf(UV_EPIPE, 'write'));
      return true;
    }
    this.isSilent = true;
    if (!taken) this.awaitWrite();
    return taken;
  }

  /** Whether a write is under way. */
  private isWriting(): boolean {
    if (!this.writing) return false;
    if (!this.isSilent || (this.silentRequest as WriteRequest).getAsyncId() >= 0) return true;
    this.writing = false;
    this.isSilent = false;
    return false;
  }

  /** Somebody waits for the write that is under way: from now on its end is told. */
  private awaitWrite(): void {
    if (!this.isSilent) return;
    const request = this.silentRequest as WriteRequest;
    request.owner = this;
    request.oncomplete = onWriteComplete;
    this.silentRequest = undefined;
    this.isSilent = false;
  }

  writeCopy(buffer: Buffer, start: number, end: number): boolean {
    return this.writeBytes(buffer, start, end, false);
  }

  writeAround(prefix: string, buffer: Buffer, start: number, end: number, suffix: string): boolean {
    const total = prefix.length + (end - start) + suffix.length;
    if (total <= TEXT_WRITE_BYTES) return this.writeText(prefix + buffer.latin1Slice(start, end) + suffix);
    if (prefix === '' && suffix === '') return this.writeCopy(buffer, start, end);
    // In one write, since each begins a record of its own.
    const all = Buffer.allocUnsafe(total);
    all.latin1Write(prefix, 0, prefix.length);
    buffer.copy(all, prefix.length, start, end);
    all.latin1Write(suffix, total - suffix.length, suffix.length);
    return this.writeStable(all, 0, total);
  }

  writeStable(buffer: Buffer, start: number, end: number): boolean {
    return this.writeBytes(buffer, start, end, true);
  }

  private writeBytes(buffer: Buffer, start: number, end: number, isStable: boolean): boolean {
    if (this.closed || this.ended) return true;
    const view = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
    this.bytesWritten += view.length;
    if (this.isWriting()) return this.wait(isStable ? view : Buffer.from(view));
    return this.afterWrite(this.handle.writeBuffer(this.nextRequest(), view));
  }

  private wait(bytes: string | Buffer): boolean {
    this.waiting.push(bytes);
    this.awaitWrite();
    this.congested = true;
    return false;
  }

  private nextRequest(): WriteRequest {
    const request = new binding.WriteWrap();
    request.owner = this;
    request.oncomplete = onWriteComplete;
    return request;
  }

  /** Answers whether the kernel took everything. */
  private afterWrite(status: number): boolean {
    if (status !== 0) {
      this.destroy(errorOf(status, 'write'));
      return true;
    }
    this.writing = state[LAST_WRITE_WAS_ASYNC] !== 0;
    if (this.queue.writeQueueSize === 0) return true;
    this.congested = true;
    return false;
  }

  /** The write is done, and the next one may begin. */
  onWriteComplete(status: number): void {
    this.writing = false;
    if (this.closed) return;
    if (status !== 0) {
      this.destroy(errorOf(status, 'write'));
      return;
    }
    if (this.waiting.length > 0 && !this.writeWaiting()) return;
    if (this.ended && !this.shutdownSent) {
      if (this.writing) return;
      this.sendShutdown();
    }
    if (!this.congested || this.closed) return;
    this.congested = false;
    this.handler.onDrain();
  }

  /** Writes what waited: a large piece by itself, since putting it together with others would copy it. */
  private writeWaiting(): boolean {
    const { waiting } = this;
    let count = 0;
    let total = 0;
    while (count < waiting.length) {
      const { length } = waiting[count] as string | Buffer;
      if (count > 0 && total + length > MAX_JOINED_BYTES) break;
      total += length;
      count++;
    }
    const parts = waiting.splice(0, count);
    const taken = this.afterWrite(this.writeParts(parts));
    return taken && waiting.length === 0;
  }

  private writeParts(parts: readonly (string | Buffer)[]): number {
    const [first] = parts;
    if (parts.length === 1 && typeof first !== 'string')
      return this.handle.writeBuffer(this.nextRequest(), first as Buffer);
    if (parts.every((part) => typeof part === 'string'))
      return this.handle.writeLatin1String(this.nextRequest(), parts.join(''));
    const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
    return this.handle.writeBuffer(this.nextRequest(), Buffer.concat(bytes));
  }

  end(): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    if (!this.isWriting()) {
      this.sendShutdown();
      return;
    }
    this.awaitWrite();
    this.congested = true;
  }

  /** close_notify and FIN. Before the last write has completed it would overtake it. */
  private sendShutdown(): void {
    this.shutdownSent = true;
    const request = new binding.ShutdownWrap();
    request.oncomplete = (status) => {
      if (status !== 0 && !this.closed) this.destroy(errorOf(status, 'shutdown'));
    };
    const status = this.handle.shutdown(request);
    if (status !== 0) this.destroy(errorOf(status, 'shutdown'));
  }

  setReadBuffer(): boolean {
    // A record has at most 16 KiB: there is nothing to gain from a larger buffer.
    return false;
  }

  destroy(error?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.failure ??= error;
    this.socket.destroy();
  }

  reset(): void {
    if (this.closed) return;
    this.closed = true;
    resetSocket(this.below);
  }
}
