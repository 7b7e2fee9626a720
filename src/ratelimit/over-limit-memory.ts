import type { HitCount } from './hit-counters.ts';

/** So many keys are remembered; of more, the oldest is forgotten. */
const MAX_KEYS = 10_000;
/** Reading this from a counter's answer on, its window may be taken to end a little earlier than it does: never later. */
const SAFETY_MS = 1;

/**
 * Keys whose limit is exceeded until their window ends. A counter only grows within its window, so what it said then
 * is known without asking again: who floods costs no call to the counters.
 */
export class OverLimitMemory {
  private readonly keys = new Map<string, { count: number; untilMs: number }>();

  note(key: string, count: number, resetMs: number): void {
    if (resetMs <= SAFETY_MS) return;
    if (this.keys.size >= MAX_KEYS) {
      const [oldest] = this.keys.keys();
      this.keys.delete(oldest as string);
    }
    this.keys.set(key, { count, untilMs: performance.now() + resetMs - SAFETY_MS });
  }

  /** What is known of a key that is over a limit; undefined when its counter must be asked. */
  find(key: string, requestsPerUnit: number): HitCount | undefined {
    const known = this.keys.get(key);
    if (known === undefined) return undefined;
    const resetMs = known.untilMs - performance.now();
    if (resetMs <= 0) {
      this.keys.delete(key);
      return undefined;
    }
    // Another configuration, or a limit that the request brings, may allow more.
    return known.count > requestsPerUnit ? { count: known.count, resetMs } : undefined;
  }
}
