import type { Socket } from 'node:net';
import { libc } from './libc.ts';

/** Who is at the other end of a Unix socket, as it was when that end connected. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Of Linux: getsockopt(SOL_SOCKET, SO_PEERCRED) fills in `struct ucred`. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Undefined where libc or the descriptor cannot be reached, or the socket is none of Unix. */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  const { fd } = (socket as unknown as { _handle?: { fd?: number } | null })._handle ?? {};
  const c = libc();
  if (c === undefined || fd === undefined || fd < 0) return undefined;
  const found = new Int32Array(3);
  const length = Int32Array.of(found.byteLength);
  if (c.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, found, length) !== 0) return undefined;
  const [pid, uid, gid] = found as unknown as [number, number, number];
  return { pid, uid, gid };
}
