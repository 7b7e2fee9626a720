import type { Socket } from 'node:net';
import { descriptorOf } from '../kernel/accept-queue.ts';
import { closeDescriptor } from '../kernel/close-descriptor.ts';
import { libc } from '../kernel/libc.ts';

/** Threads that a balance has room for: as many as `--concurrency` may be. */
const MAX_THREADS = 128;
/** Where the count of the first thread lies; before it is the lock. */
const FIRST_COUNT = 1;
export const BALANCE_BYTES = (FIRST_COUNT + MAX_THREADS) * Int32Array.BYTES_PER_ELEMENT;

/** Who holds the lock has it for less than a microsecond; one that waited for so many looks holds it no more. */
const MAX_LOOKS = 100_000;

/** Where the counts of a listener's threads are shared. */
export function balanceKey(listener: string): string {
  return `balance ${listener}`;
}

/**
 * Shares a listener's connections out among the threads so that their numbers differ by one at most (Envoy's
 * `exact_balance`). The kernel gives each thread connections by chance; the one that has accepted a connection counts it
 * for the thread with the fewest, under a lock as in Envoy, and moves its descriptor there.
 */
export class ConnectionBalance {
  private readonly cells: Int32Array;
  private readonly slot: number;
  private readonly threads: number;
  private readonly handOver: (slot: number, fd: number) => void;

  /** @param slot of this thread, from 0; `handOver` brings a descriptor to another one. */
  constructor(block: SharedArrayBuffer, slot: number, threads: number, handOver: (slot: number, fd: number) => void) {
    this.cells = new Int32Array(block);
    this.slot = slot;
    this.threads = Math.min(threads, MAX_THREADS);
    this.handOver = handOver;
  }

  /** True when this thread serves the socket; else it is on its way to another one. */
  keeps(socket: Socket): boolean {
    const slot = this.choose();
    if (slot !== this.slot) {
      const fd = libc()?.dup(descriptorOf(socket)) ?? -1;
      if (fd >= 0) {
        socket.destroy();
        this.handOver(slot, fd);
        return false;
      }
      Atomics.sub(this.cells, FIRST_COUNT + slot, 1);
      Atomics.add(this.cells, FIRST_COUNT + this.slot, 1);
    }
    this.serve(socket);
    return true;
  }

  /** A connection that was counted for this thread: it is so until it closes. */
  serve(socket: Socket): void {
    socket.once('close', () => Atomics.sub(this.cells, FIRST_COUNT + this.slot, 1));
  }

  private choose(): number {
    const { cells, threads } = this;
    for (let looks = 0; looks < MAX_LOOKS && Atomics.compareExchange(cells, 0, 0, 1) !== 0; looks++);
    let fewest = this.slot;
    for (let slot = 0; slot < threads; slot++) {
      if (Atomics.load(cells, FIRST_COUNT + slot) < Atomics.load(cells, FIRST_COUNT + fewest)) fewest = slot;
    }
    Atomics.add(cells, FIRST_COUNT + fewest, 1);
    Atomics.store(cells, 0, 0);
    return fewest;
  }
}

/** Main thread: the thread of a slot has crashed, and its connections are gone. */
export function forgetThread(block: SharedArrayBuffer, slot: number): void {
  Atomics.store(new Int32Array(block), FIRST_COUNT + slot, 0);
}

/** Main thread: what was counted for one thread goes to another. */
export function recount(block: SharedArrayBuffer, from: number, to: number): void {
  const cells = new Int32Array(block);
  Atomics.sub(cells, FIRST_COUNT + from, 1);
  Atomics.add(cells, FIRST_COUNT + to, 1);
}

/** Ends a connection that no thread took. */
export function dropConnection(fd: number): void {
  closeDescriptor(fd);
}
