import type { Connection, ConnectionHandler } from '../../network/connection.ts';
import { TimerEntry, timers } from '../../network/timer.ts';
import type { ConnectionInfo } from '../../observe/stream-info.ts';
import type { ConnectionManager, ServerConnection } from '../connection-manager.ts';
import { PREFACE } from './protocol.ts';
import type { Http2Side } from './server-side.ts';

/** Waits for the first bytes of a connection: HTTP/2 begins with its preface, anything else is HTTP/1 (codec AUTO). */
export class ProtocolSniffer extends TimerEntry implements ConnectionHandler, ServerConnection {
  readonly protocol = 'UNDECIDED';
  readonly connection: Connection;
  endedByPeer = false;
  readonly cutShort = false;
  private readonly info: ConnectionInfo;
  private readonly manager: ConnectionManager;
  private readonly http2: Http2Side;
  private readonly startedMs = performance.now();
  /** The beginning of a preface, which is all that came so far. */
  private seen = '';

  constructor(connection: Connection, info: ConnectionInfo, manager: ConnectionManager, http2: Http2Side) {
    super();
    this.connection = connection;
    this.info = info;
    this.manager = manager;
    this.http2 = http2;
    const { idleTimeoutMs } = manager.settings;
    if (idleTimeoutMs > 0) timers.start(this, idleTimeoutMs, this.startedMs);
  }

  onData(buffer: Buffer, length: number): void {
    const text = this.seen + buffer.latin1Slice(0, Math.min(length, PREFACE.length));
    const isHttp2 = text.startsWith(PREFACE);
    if (!isHttp2 && PREFACE.startsWith(text)) {
      this.seen = text;
      return;
    }
    timers.cancel(this);
    const { manager, connection, info, seen } = this;
    manager.release(this);
    if (isHttp2) this.http2.serveHttp2(manager, connection, info);
    else manager.serveHttp1(connection, info);
    if (seen !== '') connection.handler.onData(Buffer.from(seen, 'latin1'), seen.length);
    if (!connection.closed) connection.handler.onData(buffer, length);
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
