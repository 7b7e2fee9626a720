import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Hash64, hash64 } from '../../src/matching/hash64.ts';

const hashOf = (text: string, seed = 0, seedHigh = 0): string => String(hash64(text, new Hash64(), seed, seedHigh));

describe('hash64', () => {
  it('answers the published XXH64 values', () => {
    expect(hashOf('')).toBe('ef46db3751d8e999');
    expect(hashOf('a')).toBe('d24ec4f1a98c6e5b');
    expect(hashOf('abc')).toBe('44bc2cf5ad770999');
    expect(hashOf('Nobody inspects the spammish repetition')).toBe('fbcea83c8a378bf1');
  });

  it('reads every length and seed as the reference implementation does', () => {
    const expected = {
      7: '8ad3dab7ac1a8793',
      8: '406984e1c0262a59',
      15: '1f466bc37df19a04',
      31: '3781cea7cb1a961e',
      32: '3fe32c632942fb04',
      33: '9fbdbd0345dc39c0',
    };
    for (const [length, hash] of Object.entries(expected)) expect(hashOf('x'.repeat(Number(length)), 7)).toBe(hash);
    expect(hashOf('x'.repeat(7), 0xcafe1234 | 0, 0xdeadbeef | 0)).toBe('12b69fcef3039ef5');
    expect(hashOf('x'.repeat(40), 0xcafe1234 | 0, 0xdeadbeef | 0)).toBe('390713974efde154');
    expect(hashOf('x'.repeat(77), -1, -1)).toBe('5acfd1d104a5dea0');
  });

  it('agrees with the reference implementation on bytes of every value, in texts of 0 to 199', () => {
    const all = createHash('sha256');
    for (let length = 0; length < 200; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => i * 7 + length);
      all.update(hashOf(Buffer.from(bytes).toString('latin1')));
    }
    // SHA-256 of the 200 hashes of the reference implementation in hexadecimal, one behind the other.
    expect(all.digest('hex')).toBe('1503ef2df0c2c4cf8626740746c398223177c1d98fba34e39854008cb0045308');
  });

  it('hashes the bytes of text that came off the wire', () => {
    // XXH64 of the seven UTF-8 bytes of zürich, from the reference implementation.
    expect(hashOf(Buffer.from('zürich').toString('latin1'))).toBe('49778a8d47a1ac40');
  });
});

describe('Hash64', () => {
  const half = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

  it('has the remainder of an unsigned 64-bit integer', () => {
    fc.assert(
      fc.property(half, half, fc.integer({ min: 1, max: 2 ** 32 }), (high, low, divisor) => {
        const hash = new Hash64().set(high, low);
        expect(BigInt(hash.modulo(divisor))).toBe(BigInt(`0x${hash}`) % BigInt(divisor));
      }),
    );
  });

  it('combines by rotating and exclusive or', () => {
    fc.assert(
      fc.property(half, half, half, half, (high, low, otherHigh, otherLow) => {
        const [hash, other] = [new Hash64().set(high, low), new Hash64().set(otherHigh, otherLow)];
        const before = BigInt(`0x${hash}`);
        const rotated = BigInt.asUintN(64, before << 1n) | (before >> 63n);
        expect(BigInt(`0x${hash.combine(other)}`)).toBe(rotated ^ BigInt(`0x${other}`));
      }),
    );
  });
});
