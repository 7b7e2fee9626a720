import type { Connection, ConnectionHandler } from '../network/connection.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { ConnectionManager, ServerConnection } from './connection-manager.ts';

/** What an HTTP/2 client's first bytes are (RFC 9113 §3.4); no HTTP/1 request begins so. */
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Waits for the first bytes of a connection: HTTP/2 begins with its preface, anything else is HTTP/1 (codec AUTO). */
export class ProtocolSniffer extends TimerEntry implements ConnectionHandler, ServerConnection {
  readonly protocol = 'UNDECIDED';
  readonly connection: Connection;
  endedByPeer = false;
  readonly cutShort = false;
  private readonly info: ConnectionInfo;
  private readonly manager: ConnectionManager;
  private readonly startedMs = performance.now();
  /** Bytes that came and cannot be used yet: a part of a preface, or all while HTTP/2 is being loaded. */
  private seen: Buffer | undefined = undefined;
  private isLoading = false;

  constructor(connection: Connection, info: ConnectionInfo, manager: ConnectionManager) {
    super();
    this.connection = connection;
    this.info = info;
    this.manager = manager;
    const { idleTimeoutMs } = manager.settings;
    if (idleTimeoutMs > 0) timers.start(this, idleTimeoutMs, this.startedMs);
  }

  onData(buffer: Buffer, length: number): void {
    const { seen } = this;
    const bytes = seen === undefined ? buffer.subarray(0, length) : Buffer.concat([seen, buffer.subarray(0, length)]);
    const text = bytes.latin1Slice(0, Math.min(bytes.length, PREFACE.length));
    const isHttp2 = text === PREFACE;
    if (this.isLoading || (!isHttp2 && PREFACE.startsWith(text))) {
      this.seen = Buffer.from(bytes);
    } else if (isHttp2) {
      this.serveHttp2(bytes);
    } else {
      this.letGo();
      this.manager.serveHttp1(this.connection, this.info);
      this.connection.handler.onData(bytes, bytes.length);
    }
  }

  /** The handshake agreed on HTTP/2, or the first bytes showed it. */
  serveHttp2(bytes: Buffer | undefined): void {
    const { manager, connection, info } = this;
    if (manager.http2 !== undefined) {
      this.letGo();
      manager.http2.serve(manager, connection, info);
      if (bytes !== undefined) connection.handler.onData(bytes, bytes.length);
      return;
    }
    this.isLoading = true;
    this.seen = bytes === undefined ? undefined : Buffer.from(bytes);
    connection.pause();
    void manager.loadHttp2().then(() => {
      if (connection.closed) return;
      this.serveHttp2(this.seen);
      connection.resume();
    });
  }

  private letGo(): void {
    timers.cancel(this);
    this.manager.release(this);
  }

  drain(idleGraceMs: number): void {
    timers.start(this, Math.max(1, idleGraceMs));
  }

  override onTimeout(): void {
    this.manager.stats.downstreamCxIdleTimeout.inc();
    this.connection.destroy();
  }

  onEnd(): void {
    this.endedByPeer = true;
    this.connection.destroy();
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    if (error !== undefined) this.endedByPeer = true;
    timers.cancel(this);
    this.manager.onConnectionClosed(this, performance.now() - this.startedMs);
  }
}
