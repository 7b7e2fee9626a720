import type { TokenBucket as TokenBucketConfig } from '../../src/config/schema/core.ts';
import { hash32 } from '../../src/matching/hash.ts';
import { BUCKET_WORDS, TokenBucket } from './token-bucket.ts';

/** Fingerprint (two words), time of last use, bucket. */
const SLOT_WORDS = 3 + BUCKET_WORDS;
/** The lock, and a clock that counts uses. */
const HEADER_WORDS = 2;
const SECOND_SEED = 0x5bd1e995;

/** Words of memory for buckets of so many different values. */
export function dynamicBucketWords(maxBuckets: number): number {
  return HEADER_WORDS + maxBuckets * SLOT_WORDS;
}

/**
 * Buckets that come into being with the values that requests bring, for descriptors with a wildcard. They lie in memory
 * that threads share; when there are too many, the one that was used longest ago makes room.
 *
 * Values are known by a 64-bit fingerprint. Each thread remembers where it found one and checks that it is still there,
 * so that the lock is taken for new values only.
 */
export class DynamicBuckets {
  readonly #words: Uint32Array;
  readonly #at: number;
  readonly #buckets: TokenBucket[] = [];
  readonly #known = new Map<string, number>();

  constructor(config: TokenBucketConfig, maxBuckets: number, words: Uint32Array, at: number) {
    this.#words = words;
    this.#at = at;
    for (let slot = 0; slot < maxBuckets; slot++) {
      this.#buckets.push(new TokenBucket(config, words, this.#slotAt(slot) + 3));
    }
  }

  get(text: string): TokenBucket {
    const high = hash32(text, SECOND_SEED);
    // 0 marks a slot that is free.
    const low = hash32(text) || 1;
    let slot = this.#known.get(text);
    if (slot === undefined || !this.#holds(slot, low, high)) {
      slot = this.#findOrMake(low, high);
      if (this.#known.size >= this.#buckets.length * 2) this.#known.clear();
      this.#known.set(text, slot);
    }
    Atomics.store(this.#words, this.#slotAt(slot) + 2, Atomics.add(this.#words, this.#at + 1, 1));
    return this.#buckets[slot] as TokenBucket;
  }

  #slotAt(slot: number): number {
    return this.#at + HEADER_WORDS + slot * SLOT_WORDS;
  }

  #holds(slot: number, low: number, high: number): boolean {
    const at = this.#slotAt(slot);
    return Atomics.load(this.#words, at) === low && Atomics.load(this.#words, at + 1) === high;
  }

  #findOrMake(low: number, high: number): number {
    const words = this.#words;
    // The holder only scans the slots; it cannot fail or wait in between.
    while (Atomics.compareExchange(words, this.#at, 0, 1) !== 0);
    let oldest = 0;
    let oldestAge = -1;
    const clock = Atomics.load(words, this.#at + 1);
    for (let slot = 0; slot < this.#buckets.length; slot++) {
      if (this.#holds(slot, low, high)) {
        Atomics.store(words, this.#at, 0);
        return slot;
      }
      const at = this.#slotAt(slot);
      const isFree = Atomics.load(words, at) === 0;
      const age = isFree ? Number.POSITIVE_INFINITY : (clock - Atomics.load(words, at + 2)) >>> 0;
      if (age > oldestAge) {
        oldest = slot;
        oldestAge = age;
      }
    }
    const at = this.#slotAt(oldest);
    Atomics.store(words, at, low);
    Atomics.store(words, at + 1, high);
    Atomics.store(words, at + 2, clock);
    (this.#buckets[oldest] as TokenBucket).reset();
    Atomics.store(words, this.#at, 0);
    return oldest;
  }
}
