import type { Socket } from 'node:net';
import type { Connection, ConnectionHandler } from './connection.ts';
import { flushQueue } from './flush-queue.ts';

/** A connection on documented stream API: for TLS sockets, and where Node's internals are not as expected. */
export class StreamConnection implements Connection {
  handler: ConnectionHandler;
  readonly socket: Socket;
  bytesRead = 0;
  bytesWritten = 0;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  closed = false;
  congested = false;
  private ended = false;
  private failure: Error | undefined;

  /** `socket` is open and paused. */
  constructor(socket: Socket, handler: ConnectionHandler) {
    this.socket = socket;
    this.handler = handler;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
    socket.pause();
    socket.on('data', (chunk: Buffer) => {
      if (this.closed) return;
      this.bytesRead += chunk.length;
      this.inEvent(() => this.handler.onData(chunk, chunk.length));
    });
    socket.on('end', () => this.inEvent(() => this.handler.onEnd()));
    socket.on('drain', () => {
      this.congested = false;
      if (!this.closed) this.inEvent(() => this.handler.onDrain());
    });
    socket.on('error', (error) => {
      this.failure ??= error;
    });
    socket.on('close', () => {
      this.closed = true;
      this.inEvent(() => this.handler.onClose(this.failure));
    });
  }

  private inEvent(run: () => void): void {
    flushQueue.enter();
    run();
    flushQueue.leave();
  }

  writeText(text: string): boolean {
    if (this.closed || this.ended) return true;
    this.bytesWritten += text.length;
    return this.afterWrite(this.socket.write(text, 'latin1'));
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
    return this.afterWrite(this.socket.write(bytes));
  }

  private afterWrite(hasRoom: boolean): boolean {
    if (hasRoom) return true;
    this.congested = true;
    return false;
  }

  end(): void {
    if (this.closed || this.ended) return;
    this.ended = true;
    this.socket.end();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  setReadBuffer(): void {
    // The stream brings its own buffers.
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
    this.socket.resetAndDestroy();
  }
}
