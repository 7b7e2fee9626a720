import type { Socket } from 'node:net';
import type { CipherNameAndProtocol, SecureContext, TLSSocket } from 'node:tls';
import { handleOf, type StreamHandle, streamBinding } from '../network/stream-handle.ts';
import type { SecureSocket } from './secure-socket.ts';

/**
 * The only file that touches the internals of Node's TLS. What it uses, and what becomes of it when a Node release
 * changes it: the handle of a TLS socket and the queue of the one below (`TlsConnection`, else `StreamConnection`), the
 * handle itself without a socket on servers (`ServerSocket`, else `tls.TLSSocket`), and the result of the peer's
 * verification on the server's side, which documented API gives to `tls.Server` alone (else every certificate counts as
 * not verified).
 */

/** The Node release that the tests of `TlsConnection` ran on. Its rules of writing are not documented anywhere. */
const TRIED_NODE_MAJOR = 26;

const tried = Number.parseInt(process.versions.node, 10) === TRIED_NODE_MAJOR;

/** The queue of the socket below a TLS socket. */
export interface WriteQueue {
  /** Bytes that the kernel has not taken. */
  readonly writeQueueSize: number;
  /** Bytes that it has given. */
  readonly bytesRead: number;
}

/** Both handles of an open TLS socket, when they are as `TlsConnection` needs them. */
export function tlsHandles(
  socket: SecureSocket,
  below: Socket,
): { readonly handle: StreamHandle; readonly queue: WriteQueue } | undefined {
  const handle = tried ? handleOf(socket as TLSSocket) : undefined;
  const queue = (below as unknown as { _handle?: Partial<WriteQueue> | null })._handle;
  if (handle === undefined || typeof queue?.writeQueueSize !== 'number' || typeof queue.bytesRead !== 'number')
    return undefined;
  return { handle, queue: queue as WriteQueue };
}

/** Node's handle of a TLS connection: a stream on top of another one. */
export interface TlsHandle extends StreamHandle {
  onhandshakedone: (this: TlsHandle) => void;
  onerror: (this: TlsHandle, error: Error) => void;
  setVerifyMode(requestCert: boolean, rejectUnauthorized: boolean): void;
  setALPNProtocols(protocols: Buffer): void;
  /** Takes bytes that were read from the stream below. */
  receive(bytes: Buffer): void;
  destroySSL(): void;
  getALPNNegotiatedProtocol(): string | false;
  getServername(): string | false;
  getCipher(): CipherNameAndProtocol;
  getProtocol(): string;
  getFinished(): Buffer<ArrayBuffer> | undefined;
  getSession(): Buffer<ArrayBuffer> | undefined;
  isSessionReused(): boolean;
  /** Set by us: whom the handle belongs to before a connection takes it over. */
  serverSocket: unknown;
}

type Wrap = (below: object, context: object, isServer: boolean, hasWritten: boolean) => TlsHandle;

interface TlsBinding {
  wrap: Wrap;
  TLSWrap: { prototype: Record<string, unknown> };
}

/** What `ServerSocket` calls, besides what each stream has. */
const METHODS = [
  ...['setVerifyMode', 'setALPNProtocols', 'receive', 'destroySSL', 'getALPNNegotiatedProtocol', 'getServername'],
  ...['getCipher', 'getProtocol', 'getFinished', 'getSession', 'isSessionReused', 'verifyError'],
  ...['getX509Certificate', 'getPeerX509Certificate', 'readStart', 'useUserBuffer'],
] as const;

function loadWrap(): Wrap | undefined {
  if (!tried || streamBinding === undefined) return undefined;
  try {
    const binding = (process as unknown as { binding(name: string): Partial<TlsBinding> }).binding('tls_wrap');
    const prototype = binding.TLSWrap?.prototype;
    const isComplete = prototype !== undefined && METHODS.every((name) => typeof prototype[name] === 'function');
    return isComplete ? binding.wrap : undefined;
  } catch {
    return undefined;
  }
}

let wrap: Wrap | undefined | null = null;

/** TLS's handle on the one of an open socket, to which nothing waits to be written; undefined where there is none. */
export function wrapServer(below: Socket, { context }: SecureContext): TlsHandle | undefined {
  if (wrap === null) wrap = loadWrap();
  const handle = wrap === undefined || below.writableLength > 0 ? undefined : handleOf(below);
  return handle === undefined ? undefined : wrap?.(handle, context as object, true, false);
}

interface Verified {
  readonly ssl?: { verifyError?: () => Error | null | undefined } | null;
}

/** What OpenSSL holds against the peer's chain, such as `certificate has expired`; undefined when it is good. */
export function verifyProblem(socket: SecureSocket): string | undefined {
  const { ssl } = socket as unknown as Verified;
  if (typeof ssl?.verifyError !== 'function') return 'the result of its verification is not known';
  return ssl.verifyError()?.message;
}
