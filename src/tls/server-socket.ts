import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { type CipherNameAndProtocol, type SecureContext, TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import { handleOf, type StreamHandle, streamBinding } from '../network/stream-handle.ts';
import type { SecureSocket } from './secure-socket.ts';
import type { SessionTickets } from './session-tickets.ts';
import { type TlsHandle, wrapServer } from './tls-internals.ts';

const UV_EOF = -4095;

const binding = streamBinding as NonNullable<typeof streamBinding>;
const state = binding?.streamBaseState;
const READ_RESULT = binding?.kReadBytesOrError ?? 0;

/** What a server's handshakes have in common. */
export interface ServerSettings {
  readonly secureContext: SecureContext;
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  /** Protocol names, each behind its length (RFC 7301 §3.1); undefined for none. */
  readonly alpn: Buffer | undefined;
  /** Of the context; undefined where OpenSSL decides. */
  readonly tickets: SessionTickets | undefined;
}

/** The names of protocols as a handshake carries them. */
export function alpnBytes(protocols: readonly string[]): Buffer | undefined {
  if (protocols.length === 0) return undefined;
  return Buffer.concat(
    protocols.map((name) => Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1')])),
  );
}

/**
 * The server's side of a TLS connection on Node's handle: what `tls.TLSSocket` is without the stream, whose making and end
 * cost a tenth of a full handshake. Bytes are for whoever takes the handle over when it is `secure`.
 */
export class ServerSocket extends EventEmitter implements SecureSocket {
  /** Under Node's names, since methods of `tls.TLSSocket` are used for what needs its own classes. */
  _handle: TlsHandle | null;
  ssl: TlsHandle | null;
  alpnProtocol: string | false = false;
  servername: string | false = false;
  destroyed = false;
  private readonly below: Socket;

  private constructor(handle: TlsHandle, below: Socket, settings: ServerSettings) {
    super();
    this._handle = handle;
    this.ssl = handle;
    this.below = below;
    handle.serverSocket = this;
    handle.onhandshakedone = onHandshakeDone;
    handle.onerror = onTlsError;
    handle.onread = onEarlyRead;
    if (settings.requestCert || settings.rejectUnauthorized)
      handle.setVerifyMode(settings.requestCert, settings.rejectUnauthorized);
    if (settings.alpn !== undefined) handle.setALPNProtocols(settings.alpn);
    below.on('error', (error) => this.destroy(error));
    below.on('close', () => this.onClosed());
    // After whoever asked for it has begun to listen.
    if (below.readableLength > 0) queueMicrotask(() => this.start());
    else this.start();
  }

  /** Begins the handshake on an open socket from which nobody reads; undefined where Node is not as expected. */
  static over(below: Socket, settings: ServerSettings): ServerSocket | undefined {
    settings.tickets?.prepare();
    const handle = wrapServer(below, settings.secureContext);
    return handle === undefined ? undefined : new ServerSocket(handle, below, settings);
  }

  private start(): void {
    const { below } = this;
    for (let chunk = this.earlier(below); chunk !== null; chunk = this.earlier(below)) this._handle?.receive(chunk);
    // Whoever looked at the first bytes may have left the socket reading.
    if (handleOf(below)?.reading === true) return;
    const status = this._handle?.readStart() ?? 0;
    if (status !== 0) this.destroy(systemError(status));
  }

  /** What a listener filter had read. */
  private earlier(below: Socket): Buffer | null {
    return below.readableLength > 0 ? (below.read() as Buffer | null) : null;
  }

  onHandshakeDone(handle: TlsHandle): void {
    if (this.destroyed) return;
    this.alpnProtocol = handle.getALPNNegotiatedProtocol();
    this.servername = handle.getServername();
    this.emit('secure');
  }

  /** Before anybody has taken the handle over there is nothing to read. */
  onEarlyRead(result: number): void {
    if (this.destroyed || result === 0) return;
    if (result === UV_EOF) this.emit('end');
    else this.destroy(result < 0 ? systemError(result) : new Error('bytes before the end of the handshake'));
  }

  read(): null {
    return null;
  }

  destroy(error?: Error): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    // Before the end of the one below is told, and not while OpenSSL is at work.
    if (error !== undefined) process.nextTick(emitError, this, error);
    this.below.destroy();
    return this;
  }

  private onClosed(): void {
    this.destroyed = true;
    const handle = this._handle;
    this._handle = null;
    this.ssl = null;
    handle?.destroySSL();
    this.emit('close');
  }

  isSessionReused(): boolean {
    return this._handle?.isSessionReused() ?? false;
  }

  getCipher(): CipherNameAndProtocol {
    return this._handle?.getCipher() as CipherNameAndProtocol;
  }

  getProtocol(): string | null {
    return this._handle?.getProtocol() ?? null;
  }

  getFinished(): Buffer<ArrayBuffer> | undefined {
    return this._handle?.getFinished();
  }

  getSession(): Buffer<ArrayBuffer> | undefined {
    return this._handle?.getSession();
  }

  getEphemeralKeyInfo(): null {
    return null;
  }

  readonly getX509Certificate = TLSSocket.prototype.getX509Certificate;
  readonly getPeerX509Certificate = TLSSocket.prototype.getPeerX509Certificate;
}

function onHandshakeDone(this: TlsHandle): void {
  (this.serverSocket as ServerSocket).onHandshakeDone(this);
}

function onTlsError(this: TlsHandle, error: Error): void {
  (this.serverSocket as ServerSocket).destroy(error);
}

function onEarlyRead(this: StreamHandle): void {
  ((this as TlsHandle).serverSocket as ServerSocket).onEarlyRead(state[READ_RESULT] as number);
}

function emitError(socket: ServerSocket, error: Error): void {
  if (socket.listenerCount('error') > 0) socket.emit('error', error);
}

function systemError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`read ${code}`), { code, errno: status, syscall: 'read' });
}
