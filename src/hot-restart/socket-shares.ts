import type { Listener } from '../config/schema/listener.ts';
import { closeAll } from '../kernel/descriptor-passing.ts';
import { libc } from '../kernel/libc.ts';
import type { InheritedSocket } from '../listener/listener-socket.ts';
import type { ListeningSockets } from '../proxy.ts';
import { addressKey, isShared } from '../sidecar-proxy.ts';

const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;

/** Who accepts from which of the sockets that were taken over. */
export interface SocketShares {
  /** For each thread, by address key. */
  readonly byThread: readonly Record<string, InheritedSocket>[];
  /** Address keys that the configuration still has. */
  readonly taken: readonly string[];
}

/**
 * Shares the sockets of another process out to this one's threads. All of them must be accepted from, since the kernel
 * goes on spreading connections over all: where there are more than threads, some threads get several. Where there are
 * fewer, the others bind sockets of their own at the same address. Those of listeners that are gone are closed.
 */
export function shareOut(
  sockets: readonly ListeningSockets[],
  listeners: readonly Listener[],
  threads: number,
): SocketShares {
  const byThread = Array.from({ length: threads }, (): Record<string, InheritedSocket> => ({}));
  const wanted = new Map(listeners.map((listener) => [addressKey(listener), listener]));
  const taken: string[] = [];
  for (const { key, port, descriptors } of sockets) {
    const listener = wanted.get(key);
    if (listener === undefined) {
      closeAll(descriptors);
      continue;
    }
    taken.push(key);
    const users = isShared(listener) ? threads : 1;
    for (let thread = 0; thread < users; thread++) {
      const own = descriptors.filter((_, index) => index % users === thread);
      (byThread[thread] as Record<string, InheritedSocket>)[key] = { port, descriptors: own };
    }
    if (users > descriptors.length) descriptors.forEach(allowOthers);
  }
  return { byThread, taken };
}

/** A socket that was alone at its address lets others of this user's in. */
function allowOthers(descriptor: number): void {
  libc()?.setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, Uint32Array.of(1), 4);
}
