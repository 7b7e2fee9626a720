import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Connection, ConnectionHandler } from './connection.ts';
import { flushQueue } from './flush-queue.ts';
import { sharedReadBufferFor } from './read-buffer.ts';
import { resetSocket } from './reset-socket.ts';
import { handleOf, type StreamHandle, streamBinding, type WriteRequest } from './stream-handle.ts';

const UV_EOF = -4095;
/** Up to here text is cheaper to write than bytes: libuv tries it from the stack, without an allocation. */
const TEXT_WRITE_BYTES = 8 * 1024;
const OUTPUT_BYTES = 96 * 1024;
/** Node keeps a record (57 bytes) of every buffer that a handle was given until it closes: so often it may change. */
const MAX_BUFFER_CHANGES = 1000;

const binding = streamBinding as NonNullable<typeof streamBinding>;
const state = binding?.streamBaseState;
const READ_RESULT = binding?.kReadBytesOrError ?? 0;
const LAST_WRITE_WAS_ASYNC = binding?.kLastWriteWasAsync ?? 0;

/** Reused while writes complete at once; replaced as soon as libuv keeps one. */
let spareRequest: WriteRequest | undefined;
/** Where writes of several parts are put together; replaced as soon as libuv keeps it. */
let output: Buffer | undefined;

function onRead(this: StreamHandle): void {
  const connection = this.outrigger as HandleConnection;
  const result = state[READ_RESULT] as number;
  if (result > 0) {
    connection.bytesRead += result;
    flushQueue.enter();
    try {
      connection.handler.onData(connection.readBuffer, result);
    } catch (error) {
      connection.onFault(error);
    } finally {
      flushQueue.leave();
    }
    return;
  }
  if (result === 0) return;
  flushQueue.enter();
  try {
    connection.onReadFailure(result);
  } catch (error) {
    connection.onFault(error);
  } finally {
    flushQueue.leave();
  }
}

function onWriteComplete(this: WriteRequest, status: number): void {
  const connection = this.owner as HandleConnection;
  this.buffer = undefined;
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

/** A connection that reads and writes on the socket's handle: no stream machinery, no allocation per read or write. */
export class HandleConnection implements Connection {
  handler: ConnectionHandler;
  readonly socket: Socket;
  readonly handle: StreamHandle;
  readBuffer: Buffer;
  bytesRead = 0;
  bytesWritten = 0;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls = undefined;
  closed = false;
  congested = false;
  private pendingWrites = 0;
  private reading = false;
  private ended = false;
  private sawEnd = false;
  private bufferChanges = 0;
  private readonly sharedBuffer: Buffer;
  /** 0 is no limit. */
  private readonly limitBytes: number;
  private failure: Error | undefined;
  /** What a listener filter had read before. */
  private unread: Buffer | undefined;

  /**
   * `socket` is open and nobody reads from it. Reading starts with `resume`.
   * @param limitBytes read at once at most, but for 16 KiB in any case; 0 is no limit.
   */
  constructor(socket: Socket, handle: StreamHandle, handler: ConnectionHandler, limitBytes = 0) {
    this.socket = socket;
    this.handle = handle;
    this.handler = handler;
    this.limitBytes = limitBytes;
    this.sharedBuffer = sharedReadBufferFor(limitBytes);
    this.readBuffer = this.sharedBuffer;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
    handle.outrigger = this;
    handle.onread = onRead;
    handle.useUserBuffer(this.readBuffer);
    if (socket.readableLength > 0) this.unread = socket.read() as Buffer;
    // Whoever looked at the first bytes had it read, and may have left none: what comes next is not for them.
    if (handle.reading === true) handle.readStop();
    socket.on('error', (error) => {
      this.failure ??= error;
    });
    socket.on('close', () => {
      this.closed = true;
      flushQueue.enter();
      try {
        this.handler.onClose(this.failure);
      } finally {
        flushQueue.leave();
      }
    });
  }

  /** The fast connection where Node has what it needs, else undefined. */
  static from(socket: Socket, handler: ConnectionHandler, limitBytes = 0): HandleConnection | undefined {
    if (binding === undefined) return undefined;
    const handle = handleOf(socket);
    return handle === undefined ? undefined : new HandleConnection(socket, handle, handler, limitBytes);
  }

  /**
   * The descriptor of a TCP socket that may be left to the kernel: nothing was read ahead or waits to be written, and no
   * side has ended. Else -1.
   */
  get untouchedDescriptor(): number {
    const { fd } = this.handle as { fd?: number };
    const isTouched = this.unread !== undefined || this.reading || this.congested || this.ended || this.sawEnd;
    return isTouched || this.closed || this.remotePort === 0 || fd === undefined ? -1 : fd;
  }

  writeText(text: string): boolean {
    if (this.closed || this.ended) return true;
    spareRequest ??= new binding.WriteWrap();
    this.bytesWritten += text.length;
    return this.afterWrite(this.handle.writeLatin1String(spareRequest, text), undefined);
  }

  writeCopy(buffer: Buffer, start: number, end: number): boolean {
    return this.writeAround('', buffer, start, end, '');
  }

  writeAround(prefix: string, buffer: Buffer, start: number, end: number, suffix: string): boolean {
    if (this.closed || this.ended) return true;
    const total = prefix.length + (end - start) + suffix.length;
    if (total <= TEXT_WRITE_BYTES) return this.writeText(prefix + buffer.latin1Slice(start, end) + suffix);
    if (total > OUTPUT_BYTES) {
      const copy = Buffer.allocUnsafeSlow(total);
      fill(copy, prefix, buffer, start, end, suffix);
      return this.writeStable(copy, 0, total);
    }
    output ??= Buffer.allocUnsafeSlow(OUTPUT_BYTES);
    fill(output, prefix, buffer, start, end, suffix);
    const taken = this.writeStable(output, 0, total);
    if (!taken) output = undefined;
    return taken;
  }

  writeStable(buffer: Buffer, start: number, end: number): boolean {
    if (this.closed || this.ended) return true;
    spareRequest ??= new binding.WriteWrap();
    const view = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
    this.bytesWritten += end - start;
    return this.afterWrite(this.handle.writeBuffer(spareRequest, view), view);
  }

  private afterWrite(status: number, buffer: Uint8Array | undefined): boolean {
    if (status !== 0) {
      spareRequest = undefined;
      this.destroy(errorOf(status, 'write'));
      return true;
    }
    if (state[LAST_WRITE_WAS_ASYNC] === 0) return true;
    const request = spareRequest as WriteRequest;
    spareRequest = undefined;
    request.owner = this;
    request.buffer = buffer;
    request.oncomplete = onWriteComplete;
    this.pendingWrites++;
    this.congested = true;
    return false;
  }

  /** A write that libuv had kept is done. */
  onWriteComplete(status: number): void {
    this.pendingWrites--;
    if (this.closed) return;
    if (status !== 0) {
      this.destroy(errorOf(status, 'write'));
    } else if (this.pendingWrites === 0) {
      this.congested = false;
      this.handler.onDrain();
    }
  }

  /** FIN or an error from the peer. */
  onReadFailure(status: number): void {
    this.pause();
    // A handle that is read again after its end would report the end again.
    this.sawEnd = true;
    if (status === UV_EOF) this.handler.onEnd();
    else this.destroy(errorOf(status, 'read'));
  }

  /** The handler threw: its connection cannot go on, whoever reports the error; the others must not notice. */
  onFault(error: unknown): never {
    this.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }

  end(): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    const request = new binding.ShutdownWrap();
    request.oncomplete = (status) => {
      if (status !== 0 && !this.closed) this.destroy(errorOf(status, 'shutdown'));
    };
    const status = this.handle.shutdown(request);
    if (status !== 0) this.destroy(errorOf(status, 'shutdown'));
  }

  pause(): void {
    if (!this.reading || this.closed) return;
    this.reading = false;
    this.handle.readStop();
  }

  resume(): void {
    if (this.reading || this.closed || this.sawEnd) return;
    this.reading = true;
    if (this.unread === undefined) this.handle.readStart();
    // Later: whoever resumes does not expect bytes before the call returns.
    else queueMicrotask(this.deliverUnread);
  }

  private readonly deliverUnread = (): void => {
    const bytes = this.unread;
    if (bytes === undefined || !this.reading || this.closed) return;
    this.unread = undefined;
    this.bytesRead += bytes.length;
    flushQueue.enter();
    try {
      this.handler.onData(bytes, bytes.length);
      if (this.reading && !this.closed) this.handle.readStart();
    } catch (error) {
      this.onFault(error);
    } finally {
      flushQueue.leave();
    }
  };

  setReadBuffer(buffer: Buffer | undefined): boolean {
    const next = buffer ?? this.sharedBuffer;
    if (next === this.readBuffer || this.closed) return true;
    if (this.limitBytes > 0 && next.length > Math.max(this.limitBytes, this.sharedBuffer.length)) return false;
    if (buffer !== undefined && ++this.bufferChanges > MAX_BUFFER_CHANGES) return false;
    this.readBuffer = next;
    this.handle.useUserBuffer(next);
    return true;
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
    resetSocket(this.socket);
  }
}

function fill(target: Buffer, prefix: string, body: Buffer, start: number, end: number, suffix: string): void {
  let offset = prefix === '' ? 0 : target.latin1Write(prefix, 0, prefix.length);
  offset += body.copy(target, offset, start, end);
  if (suffix !== '') target.latin1Write(suffix, offset, suffix.length);
}
