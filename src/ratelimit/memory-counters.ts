import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { HitCount, HitCounters } from './hit-counters.ts';

/** The longest window whose end a timer of Node can wait for (2^31 − 1 ms). */
const LONGEST_TIMER_SECONDS = 2_147_483;

/** Counters in this process: the embedded default, for one server without a Redis. */
export class MemoryCounters implements HitCounters {
  private readonly limiters = new Map<number, RateLimiterMemory>();
  private readonly long = new Map<number, LongWindows>();

  async add(key: string, windowSeconds: number, hits: number): Promise<HitCount> {
    if (windowSeconds > LONGEST_TIMER_SECONDS) return this.longWindows(windowSeconds).add(key, hits);
    let limiter = this.limiters.get(windowSeconds);
    if (limiter === undefined) {
      limiter = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: windowSeconds, keyPrefix: '' });
      this.limiters.set(windowSeconds, limiter);
    }
    const { consumedPoints, msBeforeNext } = await limiter.penalty(key, hits);
    return { count: consumedPoints, resetMs: msBeforeNext };
  }

  private longWindows(windowSeconds: number): LongWindows {
    let windows = this.long.get(windowSeconds);
    if (windows === undefined) {
      windows = new LongWindows(windowSeconds * 1000);
      this.long.set(windowSeconds, windows);
    }
    return windows;
  }

  async close(): Promise<void> {
    this.limiters.clear();
    this.long.clear();
  }
}

/** Windows of months and years: all keys have the same one, and forget it when it ends. */
class LongWindows {
  private readonly lengthMs: number;
  private index = -1;
  private counts = new Map<string, number>();

  constructor(lengthMs: number) {
    this.lengthMs = lengthMs;
  }

  add(key: string, hits: number): HitCount {
    const now = Date.now();
    const index = Math.floor(now / this.lengthMs);
    if (index !== this.index) {
      this.index = index;
      this.counts = new Map();
    }
    const count = (this.counts.get(key) ?? 0) + hits;
    this.counts.set(key, count);
    return { count, resetMs: (index + 1) * this.lengthMs - now };
  }
}
