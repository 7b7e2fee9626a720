import { balanceKey, dropConnection, forgetThread, recount } from '../listener/connection-balance.ts';
import type { SharedMemory } from '../shared-memory.ts';
import type { HandedOver } from './messages.ts';
import type { WorkerHandle } from './worker-handle.ts';

/**
 * Brings connections from the worker that accepted them to the one that is to serve them. This thread stands between
 * the two, so that a connection on its way to a worker that crashes still finds one.
 */
export class HandOvers {
  private readonly workers: readonly WorkerHandle[];
  private readonly memory: SharedMemory;
  /** Addresses at which connections were ever balanced. */
  private readonly addresses = new Set<string>();

  constructor(workers: readonly WorkerHandle[], memory: SharedMemory) {
    this.workers = workers;
    this.memory = memory;
  }

  pass(connection: HandedOver): void {
    this.addresses.add(connection.address);
    const worker = this.workers.find(({ slot }) => slot === connection.slot);
    if (worker !== undefined) void this.give(worker, connection);
    else this.passElsewhere(connection);
  }

  /** To the first worker that lives: whoever it was meant for does not. */
  private passElsewhere({ address, slot, fd }: HandedOver): void {
    const [worker] = this.workers;
    if (worker === undefined) {
      dropConnection(fd);
      return;
    }
    const block = this.memory.find(balanceKey(address));
    if (block !== undefined) recount(block, slot, worker.slot);
    void this.give(worker, { address, slot: worker.slot, fd });
  }

  private async give(worker: WorkerHandle, connection: HandedOver): Promise<void> {
    worker.expected.add(connection);
    const taken = await worker.ask('adopt', connection).catch(() => undefined);
    if (!worker.expected.delete(connection)) return;
    if (taken !== true) dropConnection(connection.fd);
  }

  /** What the worker served is gone; what was on its way to it goes to another one. */
  onCrash(worker: WorkerHandle): void {
    for (const address of this.addresses) {
      const block = this.memory.find(balanceKey(address));
      if (block !== undefined) forgetThread(block, worker.slot);
    }
    const lost = [...worker.expected];
    worker.expected.clear();
    for (const connection of lost) this.passElsewhere(connection);
  }
}
