/** Crashes within this time belong together. */
const WINDOW_MS = 60_000;
/** So many are answered at once: a bad request that kills each worker once is no reason to wait. */
const FREE_CRASHES = 4;
const FIRST_DELAY_MS = 250;
/** Clients whose connections wait in the queue of a crashed worker give up soon after. */
const LONGEST_DELAY_MS = 5000;

/** Decides how long to wait before a crashed worker is replaced: not at all, unless workers crash again and again. */
export class CrashThrottle {
  private readonly times: number[] = [];

  /** Crashes in the last minute. */
  get recent(): number {
    return this.times.length;
  }

  /** A worker has crashed now. */
  delayMs(nowMs: number): number {
    while (this.times.length > 0 && (this.times[0] as number) <= nowMs - WINDOW_MS) this.times.shift();
    this.times.push(nowMs);
    const excess = this.times.length - FREE_CRASHES;
    return excess <= 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (excess - 1), LONGEST_DELAY_MS);
  }
}
