import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { handleOf, type StreamHandle } from '../network/stream-handle.ts';

/**
 * The only file that touches the internals of Node's TLS. What it uses, and what becomes of it when a Node release
 * changes it: the handle of a TLS socket and the queue of the one below (`TlsConnection`, else `StreamConnection`), the
 * number of tickets (else OpenSSL's two), and the result of the peer's verification on the server's side, which documented API gives to `tls.Server` alone (else
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

/** What OpenSSL issues after each handshake of TLS 1.3 unless it is told otherwise. */
const DEFAULT_TICKETS = 2n;

/**
 * Makes a server's context issue one session ticket per handshake. Each costs the server 4 % of the handshake, with the
 * client's certificate in it, and a client that resumes gets another. Node has no API for it: OpenSSL is asked at the
 * address that Node shows of the context, and only where the number there is OpenSSL's default.
 */
export function issueOneTicket({ context }: SecureContext): void {
  if (!tried) return;
  const external = (context as { readonly _external?: unknown })._external;
  const address = /^\[External(?:: |<)([0-9a-f]+)[\]>]/.exec(inspect(external))?.[1];
  const ffi = process.getBuiltinModule('node:ffi');
  if (address === undefined || ffi === undefined) return;
  try {
    const { SSL_CTX_get_num_tickets, SSL_CTX_set_num_tickets } = ffi.dlopen(null, OPENSSL).functions;
    const pointer = BigInt(`0x${address}`);
    if (SSL_CTX_get_num_tickets(pointer) === DEFAULT_TICKETS) SSL_CTX_set_num_tickets(pointer, 1n);
  } catch {
    // A Node with an OpenSSL of its own, or one that may not load libraries.
  }
}

const OPENSSL = {
  SSL_CTX_get_num_tickets: { arguments: ['pointer'], return: 'u64' },
  SSL_CTX_set_num_tickets: { arguments: ['pointer', 'u64'], return: 'i32' },
} as const;

interface Verified {
  readonly ssl?: { verifyError?: () => Error | null | undefined } | null;
}

/** What OpenSSL holds against the peer's chain, such as `certificate has expired`; undefined when it is good. */
export function verifyProblem(socket: TLSSocket): string | undefined {
  const { ssl } = socket as unknown as Verified;
  if (typeof ssl?.verifyError !== 'function') return 'the result of its verification is not known';
  return ssl.verifyError()?.message;
}
