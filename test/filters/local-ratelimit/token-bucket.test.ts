import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUCKET_WORDS, TokenBucket } from '../../../filters/local-ratelimit/token-bucket.ts';

const limits = fc.record({
  max_tokens: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 4294967295 })),
  tokens_per_fill: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 })),
  fill_interval: fc.oneof(fc.integer({ min: 50, max: 5000 }), fc.constantFrom(50.5, 1000, 60_000, 86_400_000)),
});
/** Milliseconds between requests, in bursts and with pauses. */
const gaps = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 200, noNaN: true }), fc.nat(100_000)), {
  maxLength: 200,
});
/** When the process looks at its clock first, so that ticks also wrap. */
const start = fc.oneof(fc.nat(1e9), fc.constantFrom(2 ** 32 - 500, 2 ** 31 - 500, 2 ** 32 + 1e6));

function bucketOf(config: { max_tokens: number; tokens_per_fill: number; fill_interval: number }): TokenBucket {
  return new TokenBucket(config, new Uint32Array(new SharedArrayBuffer(BUCKET_WORDS * 4)), 0);
}

describe('a token bucket', () => {
  test('in no stretch of time gives more than its size and what was filled in it', () => {
    fc.assert(
      fc.property(limits, start, gaps, (config, begin, waits) => {
        const bucket = bucketOf(config);
        const rate = config.tokens_per_fill / config.fill_interval;
        const granted: number[] = [];
        let now = begin;
        for (const wait of waits) {
          now += wait;
          if (bucket.consume(now)) granted.push(now);
        }
        for (let first = 0; first < granted.length; first++) {
          for (let last = first; last < granted.length; last++) {
            const filled = ((granted[last] as number) - (granted[first] as number)) * rate;
            // A stretch may begin or end within a tick of the clock, and one tick fills tokens_per_fill fractions.
            const tick =
              config.tokens_per_fill /
              Math.min(Math.ceil(config.fill_interval), Math.floor(4294967295 / config.max_tokens) || 1);
            expect(last - first + 1).toBeLessThanOrEqual(config.max_tokens + filled + tick + 1e-6);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test('grants what an exact bucket grants, but for a tick of the clock', () => {
    fc.assert(
      fc.property(
        fc.record({
          max_tokens: fc.integer({ min: 1, max: 50 }),
          tokens_per_fill: fc.integer({ min: 1, max: 50 }),
          fill_interval: fc.integer({ min: 50, max: 5000 }),
        }),
        gaps,
        (config, waits) => {
          const bucket = bucketOf(config);
          const rate = config.tokens_per_fill / config.fill_interval;
          let tokens = config.max_tokens;
          let now = 12_345;
          for (const wait of waits.map(Math.round)) {
            now += wait;
            tokens = Math.min(config.max_tokens, tokens + wait * rate);
            const granted = bucket.consume(now);
            if (Math.abs(tokens - 1) > 1e-6) expect(granted).toBe(tokens > 1);
            if (granted) tokens -= 1;
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('fills continuously and says when the next token comes', () => {
    const bucket = bucketOf({ max_tokens: 4, tokens_per_fill: 4, fill_interval: 40_000 });
    expect([1, 2, 3, 4, 5].map(() => bucket.consume(1000))).toEqual([true, true, true, true, false]);
    expect(bucket.remaining(1000)).toBe(0);
    expect(bucket.resetSeconds(1000)).toBe(10);
    expect(bucket.resetSeconds(1001)).toBe(10);
    expect(bucket.resetSeconds(10_500)).toBe(1);
    expect(bucket.consume(10_999)).toBe(false);
    expect(bucket.consume(11_000)).toBe(true);
    expect(bucket.remaining(31_000)).toBe(2);
    expect(bucket.resetSeconds(31_000)).toBe(0);
    expect(bucket.remaining(10_000_000)).toBe(4);
  });

  test('a clock that lies a little behind takes nothing back', () => {
    const bucket = bucketOf({ max_tokens: 1, tokens_per_fill: 1, fill_interval: 1000 });
    expect(bucket.consume(5000)).toBe(true);
    expect(bucket.consume(4990)).toBe(false);
    expect(bucket.consume(5999)).toBe(false);
    expect(bucket.consume(6000)).toBe(true);
  });

  test('is full again after months of idleness', () => {
    const bucket = bucketOf({ max_tokens: 2, tokens_per_fill: 1, fill_interval: 1000 });
    const months = 30 * 86_400_000;
    expect([bucket.consume(5000), bucket.consume(5000), bucket.consume(5000)]).toEqual([true, true, false]);
    expect(bucket.consume(5000 + months)).toBe(true);
  });
});
