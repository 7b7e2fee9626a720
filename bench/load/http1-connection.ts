import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { SERVER_NAME } from './client-tls.ts';
import { MessageScanner } from './message-scanner.ts';

/** One read buffer serves every connection: the bytes are scanned before the callback returns. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);
/** After a connection was lost. */
const RETRY_MS = 10;

export interface ConnectionEvents {
  /** A response is whole. */
  onResponse(connection: Http1Connection, status: number): void;
  /** The connection is up, for the first time or again. */
  onIdle(connection: Http1Connection): void;
  /** The connection was lost; `intendedMs` is the request that went down with it, or -1. */
  onLost(connection: Http1Connection, intendedMs: number): void;
}

export interface ConnectionAddress {
  readonly host: string;
  readonly port: number;
  /** A Unix socket in place of both. */
  readonly socketPath: string | undefined;
  /** Of TLS; clear text without it. */
  readonly secureContext: SecureContext | undefined;
  /** A connection ends with its first answer, and the next one begins at once. */
  readonly newConnections: boolean;
}

/** A keep-alive HTTP/1.1 connection with at most one request under way; connects again when it is lost. */
export class Http1Connection {
  /** When the request under way should have been sent (ms on the generator's clock), or -1 when idle. */
  intendedMs = -1;
  up = false;
  private socket: Socket | undefined;
  private closed = false;
  private reconnect: NodeJS.Timeout | undefined;
  private readonly address: ConnectionAddress;
  private readonly events: ConnectionEvents;

  constructor(address: ConnectionAddress, events: ConnectionEvents) {
    this.address = address;
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
    const scanner = new MessageScanner((status) => this.onResponse(status));
    const onBytes = (buffer: Buffer, length: number): void => {
      try {
        scanner.push(buffer, length);
      } catch {
        this.socket?.destroy();
      }
    };
    const socket = this.address.secureContext === undefined ? this.connectPlain(onBytes) : this.connectTls(onBytes);
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.socket !== socket) return;
      this.up = false;
      const lost = this.intendedMs;
      this.intendedMs = -1;
      if (this.closed) return;
      this.events.onLost(this, lost);
      this.reconnect = setTimeout(() => this.open(), RETRY_MS);
    });
  }

  private connectPlain(onBytes: (buffer: Buffer, length: number) => void): Socket {
    const { host, port, socketPath } = this.address;
    const onread = {
      buffer: readBuffer,
      callback: (length: number) => {
        onBytes(readBuffer, length);
        return true;
      },
    };
    const to = socketPath === undefined ? { host, port, noDelay: true } : { path: socketPath };
    return connect({ ...to, onread }).on('connect', () => this.onUp());
  }

  private connectTls(onBytes: (buffer: Buffer, length: number) => void): Socket {
    const { host, port, secureContext } = this.address;
    const socket = connectTls({ host, port, servername: SERVER_NAME, ...(secureContext && { secureContext }) });
    socket.setNoDelay();
    return socket.on('data', (chunk: Buffer) => onBytes(chunk, chunk.length)).on('secureConnect', () => this.onUp());
  }

  private onUp(): void {
    this.up = true;
    this.events.onIdle(this);
  }

  private onResponse(status: number): void {
    if (this.address.newConnections) {
      // The next one need not wait for this one's end.
      this.up = false;
      this.socket?.destroy();
      if (!this.closed) this.open();
    }
    this.events.onResponse(this, status);
  }
}
