import { FLAG } from '../http/response-flags.ts';
import { descriptorOf } from '../kernel/accept-queue.ts';
import { canAskForDestinations, originalDestination } from '../kernel/original-destination.ts';
import { unmapped } from '../network/connection-record.ts';
import type { Counter, StatsScope } from '../observe/stats.ts';
import type { ListenerDirectory } from './listener-directory.ts';
import type { IncomingConnection, ListenerFilter } from './listener-filters.ts';

/**
 * Finds out where a connection wanted to go before it was redirected here. From then on that is its local end: chains
 * and policies judge by it, `use_original_dst` hands it to the listener there, ORIGINAL_DST clusters go there.
 *
 * One that wanted to come to us is refused: an ORIGINAL_DST cluster would send it to us again, for ever.
 */
export class OriginalDst implements ListenerFilter {
  private readonly directory: ListenerDirectory;
  private readonly restored: Counter;
  private readonly notRedirected: Counter;
  private readonly ownListener: Counter;

  /**
   * @param scope the listener's
   * @throws Error where the kernel cannot be asked
   */
  constructor(scope: StatsScope, directory: ListenerDirectory) {
    if (!canAskForDestinations()) throw new Error('original destinations need Linux and node:ffi');
    this.directory = directory;
    const stats = scope.scope('original_dst');
    this.restored = stats.counter('restored');
    this.notRedirected = stats.counter('not_redirected');
    this.ownListener = stats.counter('own_listener_refused');
  }

  onAccept(incoming: IncomingConnection): 'close' | undefined {
    const { localAddress = '', localPort = 0 } = incoming.socket;
    // A Unix socket.
    if (localPort === 0) return undefined;
    const direct = { address: localAddress, port: localPort };
    const found = originalDestination(descriptorOf(incoming.socket), direct);
    const { address, port } = found ?? direct;
    if (this.directory.leadsBack(unmapped(address), port, unmapped(localAddress))) {
      this.ownListener.inc();
      incoming.refusal = { flag: FLAG.NR, details: 'original_destination_is_own_listener' };
      return 'close';
    }
    if (found === undefined) {
      this.notRedirected.inc();
    } else {
      this.restored.inc();
      incoming.restoreLocal(address, port);
    }
    return undefined;
  }
}
