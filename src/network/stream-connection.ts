import type { Socket } from 'node:net';
import type { TlsInfo } from '../observe/stream-info.ts';
import type { Connection, ConnectionHandler } from './connection.ts';
import { flushQueue } from './flush-queue.ts';
import { resetSocket } from './reset-socket.ts';

/** A connection on documented stream API: where Node's internals are not as expected. */
export class StreamConnection implements Connection {
  handler: ConnectionHandler;
  readonly socket: Socket;
  readonly tls: TlsInfo | undefined;
  private readonly below: Socket;
  bytesRead = 0;
  bytesWritten = 0;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  closed = false;
  congested = false;
  private ended = false;
  private reading = false;
  /** Node resumes a stream by itself when its last 'readable' listener, such as an inspector's, goes away. */
  private readonly held: Buffer[] = [];
  private heldEnd = false;
  private failure: Error | undefined;

  /** `socket` is open and paused; with `tls` its handshake is over, and `below` is the socket that it runs on. */
  constructor(socket: Socket, handler: ConnectionHandler, tls?: TlsInfo, below: Socket = socket) {
    this.socket = socket;
    this.below = below;
    this.tls = tls;
    this.handler = handler;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
    socket.pause();
    socket.on('data', (chunk: Buffer) => {
      if (this.closed) return;
      if (this.reading && this.held.length === 0) {
        this.deliver(chunk);
        return;
      }
      this.held.push(chunk);
      socket.pause();
    });
    socket.on('end', () => {
      if (this.closed) return;
      if (this.held.length > 0) this.heldEnd = true;
      else this.inEvent(() => this.handler.onEnd());
    });
    socket.on('error', (error) => {
      this.failure ??= error;
    });
    socket.on('close', () => {
      this.closed = true;
      this.inEvent(() => this.handler.onClose(this.failure));
    });
  }

  private deliver(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.inEvent(() => this.handler.onData(chunk, chunk.length));
  }

  private readonly deliverHeld = (): void => {
    while (this.reading && !this.closed && this.held.length > 0) this.deliver(this.held.shift() as Buffer);
    if (!this.reading || this.closed) return;
    if (this.heldEnd) {
      this.heldEnd = false;
      this.inEvent(() => this.handler.onEnd());
    } else {
      this.socket.resume();
    }
  };

  private inEvent(run: () => void): void {
    flushQueue.enter();
    try {
      run();
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      flushQueue.leave();
    }
  }

  writeText(text: string): boolean {
    if (this.closed || this.ended) return true;
    this.bytesWritten += text.length;
    this.socket.write(text, 'latin1', this.onWritten);
    return this.afterWrite();
  }

  writeCopy(buffer: Buffer, start: number, end: number): boolean {
    return this.writeStable(buffer, start, end);
  }

  writeAround(prefix: string, buffer: Buffer, start: number, end: number, suffix: string): boolean {
    const parts = [Buffer.from(prefix, 'latin1'), buffer.subarray(start, end), Buffer.from(suffix, 'latin1')];
    return this.send(Buffer.concat(parts));
  }

  /** Copies: a stream that has room does not say that the kernel took the bytes. */
  writeStable(buffer: Buffer, start: number, end: number): boolean {
    return this.send(Buffer.from(buffer.subarray(start, end)));
  }

  private send(bytes: Buffer): boolean {
    if (this.closed || this.ended) return true;
    this.bytesWritten += bytes.length;
    this.socket.write(bytes, this.onWritten);
    return this.afterWrite();
  }

  /** The stream's own room says nothing of the kernel: what it still holds does. */
  private afterWrite(): boolean {
    if (this.closed || this.socket.writableLength === 0) return true;
    this.congested = true;
    return false;
  }

  private readonly onWritten = (): void => {
    if (!this.congested || this.closed || this.socket.writableLength > 0) return;
    this.congested = false;
    this.inEvent(() => this.handler.onDrain());
  };

  end(): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    this.socket.end();
  }

  pause(): void {
    this.reading = false;
    this.socket.pause();
  }

  resume(): void {
    this.reading = true;
    // Later: whoever resumes does not expect bytes before the call returns.
    if (this.held.length > 0) queueMicrotask(this.deliverHeld);
    else this.socket.resume();
  }

  setReadBuffer(): boolean {
    // The stream brings its own buffers.
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
