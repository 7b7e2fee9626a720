import type { Calibration } from './calibration.ts';
import type { Gap } from './meter.ts';

/** CPU time between events, by what it was for. Milliseconds. */
export class GapSums {
  /** Before a read, without a look at the poll: the read and what brings its bytes to us. */
  directReads = 0;
  directReadMs = 0;
  /** Of these and of the ones below, what the calibrated system call would have taken. */
  directSystemMs = 0;
  /** Before a read, with one round of the event loop or more. */
  polledReads = 0;
  polledReadMs = 0;
  polledSystemMs = 0;
  /** Before something else: timers, connections, writes that are done. */
  othersMs = 0;
  /** All of them. */
  count = 0;

  get ms(): number {
    return this.directReadMs + this.polledReadMs + this.othersMs;
  }

  /** A copy in which everything that was measured took so much of its time. */
  scaled(factor: number): GapSums {
    const copy = Object.assign(new GapSums(), this);
    copy.directReadMs *= factor;
    copy.polledReadMs *= factor;
    copy.othersMs *= factor;
    return copy;
  }

  add({ ms, polled, bytes }: Gap, { readMs, readByteMs }: Calibration): void {
    this.count++;
    if (bytes === 0) {
      this.othersMs += ms;
      return;
    }
    const systemMs = readMs + bytes * readByteMs;
    if (polled) {
      this.polledReads++;
      this.polledReadMs += ms;
      this.polledSystemMs += systemMs;
    } else {
      this.directReads++;
      this.directReadMs += ms;
      this.directSystemMs += systemMs;
    }
  }
}

/** What gaps are made of. Milliseconds, over the events that were timed. */
export interface GapParts {
  readonly osReadMs: number;
  readonly sidecarReadMs: number;
  readonly pollMs: number;
}

/**
 * Takes gaps apart. Polling is told from reading by difference: what gaps with a round of the event loop have more than
 * those without. Of reading, the system call is what calibration says, and the rest is user space's.
 *
 * @param dispatchMs - user space's share of a read, as all routes together show it
 */
export function gapParts(gaps: GapSums, dispatchMs: number): GapParts {
  const { directReadMs, directSystemMs, polledReads, polledReadMs, polledSystemMs } = gaps;
  // Where less time passed than the calibrated call takes, all of it is the call's.
  const directOsMs = Math.min(directReadMs, directSystemMs);
  const polledOsMs = Math.min(polledReadMs, polledSystemMs);
  const polledDispatchMs = Math.min(polledReadMs - polledOsMs, polledReads * dispatchMs);
  return {
    osReadMs: directOsMs + polledOsMs,
    sidecarReadMs: directReadMs - directOsMs + polledDispatchMs,
    pollMs: polledReadMs - polledOsMs - polledDispatchMs + gaps.othersMs,
  };
}

/** User space's share of one read: what reads without a poll took beyond the system call. */
export function dispatchOf(all: Iterable<GapSums>): number {
  let ms = 0;
  let reads = 0;
  for (const { directReads, directReadMs, directSystemMs } of all) {
    reads += directReads;
    ms += directReadMs - Math.min(directReadMs, directSystemMs);
  }
  return reads === 0 ? 0 : ms / reads;
}
