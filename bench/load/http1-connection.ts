import { connect, type Socket } from 'node:net';
import { MessageScanner } from './message-scanner.ts';

/** One read buffer serves every connection: the bytes are scanned before the callback returns. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

export interface ConnectionEvents {
  /** A response is whole. */
  onResponse(connection: Http1Connection, status: number): void;
  /** The connection is up, for the first time or again. */
  onIdle(connection: Http1Connection): void;
  /** The connection was lost; `intendedMs` is the request that went down with it, or -1. */
  onLost(connection: Http1Connection, intendedMs: number): void;
}

/** A keep-alive HTTP/1.1 connection with at most one request under way; connects again when it is lost. */
export class Http1Connection {
  /** When the request under way should have been sent (ms on the generator's clock), or -1 when idle. */
  intendedMs = -1;
  up = false;
  private socket: Socket | undefined;
  private closed = false;
  private reconnect: NodeJS.Timeout | undefined;
  private readonly host: string;
  private readonly port: number;
  private readonly events: ConnectionEvents;

  constructor(host: string, port: number, events: ConnectionEvents) {
    this.host = host;
    this.port = port;
    this.events = events;
    this.open();
  }

  send(request: Buffer, intendedMs: number): void {
    this.intendedMs = intendedMs;
    (this.socket as Socket).write(request);
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.reconnect);
    this.socket?.destroy();
  }

  private open(): void {
    const scanner = new MessageScanner((status) => this.events.onResponse(this, status));
    const socket = connect({
      host: this.host,
      port: this.port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          try {
            scanner.push(readBuffer, length);
          } catch {
            socket.destroy();
          }
          return true;
        },
      },
    });
    this.socket = socket;
    socket.on('connect', () => {
      this.up = true;
      this.events.onIdle(this);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.up = false;
      const lost = this.intendedMs;
      this.intendedMs = -1;
      if (this.closed) return;
      this.events.onLost(this, lost);
      this.reconnect = setTimeout(() => this.open(), 10);
    });
  }
}
