import type { TokenBucket as TokenBucketConfig } from '../../src/config/schema/core.ts';

/** Words of memory that one bucket takes. */
export const BUCKET_WORDS = 2;

const MAX_WORD = 2 ** 32 - 1;
/** How far one thread's clock may seem to lie behind another's. */
const SKEW_TICKS = 60_000;
const CLOCK_OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds on a monotonic clock that all threads of the process share, as `performance.now` is not. */
export function processNowMs(): number {
  return CLOCK_OFFSET_MS + performance.now();
}

/**
 * A token bucket in memory that threads share. It fills continuously, as Envoy's does, and never holds more than
 * `max_tokens`; zeroed memory is a full bucket.
 *
 * One word holds what was taken and not yet refilled, in fractions of a token so fine that a tick of the clock refills
 * `tokens_per_fill` of them; the other the tick of the last refill. Whoever moves the tick on, refills: each stretch of
 * time is credited exactly once.
 */
export class TokenBucket {
  readonly maxTokens: number;
  /** Tokens per second. */
  readonly fillRate: number;
  readonly #words: Uint32Array;
  readonly #taken: number;
  readonly #tick: number;
  /** Fractions that make one token. */
  readonly #unit: number;
  readonly #capacity: number;
  readonly #refillPerTick: number;
  readonly #ticksPerMs: number;

  constructor(config: TokenBucketConfig, words: Uint32Array, at: number) {
    this.maxTokens = config.max_tokens;
    this.fillRate = (config.tokens_per_fill * 1000) / config.fill_interval;
    this.#words = words;
    this.#taken = at;
    this.#tick = at + 1;
    this.#unit = Math.max(1, Math.min(Math.ceil(config.fill_interval), Math.floor(MAX_WORD / config.max_tokens)));
    this.#capacity = config.max_tokens * this.#unit;
    this.#refillPerTick = config.tokens_per_fill;
    this.#ticksPerMs = this.#unit / config.fill_interval;
  }

  /** Takes a token when there is one. `nowMs` is of `processNowMs`. */
  consume(nowMs: number): boolean {
    const taken = this.#refill(nowMs);
    const words = this.#words;
    for (let current = taken; ; ) {
      if (current + this.#unit > this.#capacity) return false;
      const seen = Atomics.compareExchange(words, this.#taken, current, current + this.#unit);
      if (seen === current) return true;
      current = seen;
    }
  }

  /** Whole tokens left. */
  remaining(nowMs: number): number {
    return Math.floor((this.#capacity - this.#refill(nowMs)) / this.#unit);
  }

  /** Seconds until there is a token, rounded up; 0 when there is one. */
  resetSeconds(nowMs: number): number {
    const missing = this.#unit - (this.#capacity - this.#refill(nowMs));
    return missing <= 0 ? 0 : Math.ceil(missing / this.#unit / this.fillRate);
  }

  /** Empties the memory of the bucket, which makes it full. */
  reset(): void {
    Atomics.store(this.#words, this.#tick, 0);
    Atomics.store(this.#words, this.#taken, 0);
  }

  /** Credits the time since the last refill; answers what is taken then. */
  #refill(nowMs: number): number {
    const words = this.#words;
    const tick = Math.floor(nowMs * this.#ticksPerMs) >>> 0;
    const last = Atomics.load(words, this.#tick);
    const elapsed = (tick - last) | 0;
    let taken = Atomics.load(words, this.#taken);
    if (elapsed === 0 || (elapsed < 0 && elapsed > -SKEW_TICKS)) return taken;
    if (Atomics.compareExchange(words, this.#tick, last, tick) !== last) return taken;
    const credit = (elapsed >>> 0) * this.#refillPerTick;
    for (;;) {
      const left = taken > credit ? taken - credit : 0;
      const seen = Atomics.compareExchange(words, this.#taken, taken, left);
      if (seen === taken) return left;
      taken = seen;
    }
  }
}
