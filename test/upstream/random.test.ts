import { describe, expect, it } from 'vitest';
import { Hash64 } from '../../src/matching/hash64.ts';
import { below, CounterRandom, fraction, randomHash, remix } from '../../src/upstream/random.ts';

describe('random numbers', () => {
  it('repeat with the seed and differ without', () => {
    const draw = (random: CounterRandom) => Array.from({ length: 5 }, () => random.next());
    expect(draw(new CounterRandom(7))).toEqual(draw(new CounterRandom(7)));
    expect(draw(new CounterRandom())).not.toEqual(draw(new CounterRandom()));
  });

  it.each([2, 3, 7, 100])('below %d are whole, in range and evenly spread', (bound) => {
    const random = new CounterRandom(1);
    const counts = new Array<number>(bound).fill(0);
    const draws = 2000 * bound;
    for (let i = 0; i < draws; i++) (counts[below(random, bound)] as number)++;
    expect(counts.reduce((a, b) => a + b, 0)).toBe(draws);
    // Pearson's chi-square: mean bound − 1, variance 2 (bound − 1); five deviations above is out of the question.
    const chiSquare = counts.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
    expect(chiSquare).toBeLessThan(bound - 1 + 5 * Math.sqrt(2 * (bound - 1)));
  });

  it('have pairs as evenly spread as single ones', () => {
    const random = new CounterRandom(2);
    const counts = new Array<number>(100).fill(0);
    for (let i = 0; i < 200_000; i++) (counts[10 * below(random, 10) + below(random, 10)] as number)++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
    expect(chiSquare).toBeLessThan(99 + 5 * Math.sqrt(2 * 99));
  });

  it('are from 0 to 1 as fractions', () => {
    const random = new CounterRandom(3);
    const mean = Array.from({ length: 10_000 }, () => fraction(random)).reduce((a, b) => a + b, 0) / 10_000;
    expect(mean).toBeGreaterThan(0.48);
    expect(mean).toBeLessThan(0.52);
    expect(fraction({ next: () => 2 ** 31 - 1 })).toBeLessThan(1);
  });

  it('use every bit as hashes', () => {
    const random = new CounterRandom(4);
    const ones = new Array<number>(64).fill(0);
    const hash = new Hash64();
    for (let i = 0; i < 4000; i++) {
      expect(randomHash(random, hash)).toBe(hash);
      for (let bit = 0; bit < 64; bit++) {
        const half = bit < 32 ? hash.low : hash.high;
        ones[bit] = (ones[bit] as number) + ((half >>> bit) & 1);
      }
    }
    for (const count of ones) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });
});

it('remixing tells neighbours apart', () => {
  const mixed = new Set(Array.from({ length: 1000 }, (_, i) => remix(i) % 1024));
  expect(mixed.size).toBeGreaterThan(550);
  expect(remix(5)).toBe(remix(5));
});
