import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { handleOf, type StreamHandle } from '../network/stream-handle.ts';

/**
 * The only file that touches the internals of Node's TLS. What it uses, and what becomes of it when a Node release
 * changes it: the handle of a TLS socket and the queue of the one below (`TlsConnection`, else `StreamConnection`), and
 * the result of the peer's verification on the server's side, which documented API gives to `tls.Server` alone (else
 * every certificate counts as not verified).
 */

/** The Node release that the tests of `TlsConnection` ran on. Its rules of writing are not documented anywhere. */
const TRIED_NODE_MAJOR = 26;

const tried = Number.parseInt(process.versions.node, 10) === TRIED_NODE_MAJOR;

/** The queue of the socket below a TLS socket. */
export interface WriteQueue {
  /** Bytes that the kernel has not taken. */
  readonly writeQueueSize: number;
}

/** Both handles of an open TLS socket, when they are as `TlsConnection` needs them. */
export function tlsHandles(
  socket: TLSSocket,
  below: Socket,
): { readonly handle: StreamHandle; readonly queue: WriteQueue } | undefined {
  const handle = tried ? handleOf(socket) : undefined;
  const queue = (below as unknown as { _handle?: Partial<WriteQueue> | null })._handle;
  if (handle === undefined || typeof queue?.writeQueueSize !== 'number') return undefined;
  return { handle, queue: queue as WriteQueue };
}

interface Verified {
  readonly ssl?: { verifyError?: () => Error | null | undefined } | null;
}

/** What OpenSSL holds against the peer's chain, such as `certificate has expired`; undefined when it is good. */
export function verifyProblem(socket: TLSSocket): string | undefined {
  const { ssl } = socket as unknown as Verified;
  if (typeof ssl?.verifyError !== 'function') return 'the result of its verification is not known';
  return ssl.verifyError()?.message;
}
