import { describe, expect, it } from 'vitest';
import { hash32 } from '../../src/matching/hash.ts';

describe('hash32', () => {
  it('answers the published XXH32 values', () => {
    expect(hash32('')).toBe(0x02cc5d05);
    expect(hash32('a')).toBe(0x550d7456);
    expect(hash32('abc')).toBe(0x32d153ff);
    expect(hash32('Nobody inspects the spammish repetition')).toBe(0xe2293b2f);
  });

  it('reads every length and seed as the reference implementation does', () => {
    const expected = { 15: 0x7e74c8f9, 16: 0x1d2bf92d, 17: 0x15b48144, 33: 0xa05b7b90 };
    for (const [length, hash] of Object.entries(expected)) expect(hash32('x'.repeat(Number(length)), 7)).toBe(hash);
  });

  it('depends on the seed and stays an unsigned 32-bit integer', () => {
    expect(hash32('abc', 1)).not.toBe(hash32('abc'));
    for (let i = 0; i < 1000; i++) {
      const hash = hash32(`key-${i}`, i);
      expect(Number.isInteger(hash) && hash >= 0 && hash <= 0xffffffff).toBe(true);
    }
  });

  it('hashes the bytes of text that came off the wire', () => {
    // XXH32 of the seven UTF-8 bytes of zürich, from the reference implementation.
    expect(hash32(Buffer.from('zürich').toString('latin1'))).toBe(0x3fd4810b);
  });

  it('spreads similar keys evenly', () => {
    const buckets = new Array<number>(16).fill(0);
    for (let i = 0; i < 16000; i++) (buckets[hash32(`user-${i}`) & 15] as number)++;
    expect(Math.min(...buckets)).toBeGreaterThan(850);
    expect(Math.max(...buckets)).toBeLessThan(1150);
  });
});
