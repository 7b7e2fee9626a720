import net, { type Server, type Socket, type SocketConstructorOpts } from 'node:net';
import { libc } from './libc.ts';

/** accept4(2) flags of Linux: SOCK_NONBLOCK | SOCK_CLOEXEC. */
const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

/**
 * Takes up to `limit` connections that wait in a server's accept queue, and says how many there were.
 *
 * libuv accepts one connection per turn of the event loop. That is enough until turns are long: a thousand connections
 * that come while hundreds are busy would wait for a thousand turns, which is seconds. None is taken where libc or the
 * server's descriptor cannot be reached.
 */
export function acceptWaiting(server: Server, limit: number, take: (socket: Socket) => void): number {
  const c = libc();
  if (c === undefined) return 0;
  for (let taken = 0; taken < limit; taken++) {
    // `take` may have closed the server.
    const descriptor = listeningDescriptor(server);
    if (descriptor < 0) return taken;
    const fd = c.accept4(descriptor, 0n, 0n, NONBLOCK_CLOEXEC);
    if (fd < 0) return taken;
    take(socketOf(fd));
  }
  return limit;
}

/** An accepted connection as `net.Server` hands it over with `pauseOnConnect`, `noDelay` and `allowHalfOpen`. */
export function socketOf(fd: number): Socket {
  const options: SocketConstructorOpts & { pauseOnCreate: boolean } = { fd, allowHalfOpen: true, pauseOnCreate: true };
  return new net.Socket(options).setNoDelay(true);
}

/** The descriptor of a server that listens, or -1. */
export function listeningDescriptor(server: Server): number {
  return descriptorOf(server);
}

/** The descriptor of a socket or server, or -1 where it has none. */
export function descriptorOf(owner: Socket | Server): number {
  const handle = (owner as unknown as { _handle?: { fd?: number } | null })._handle;
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}
