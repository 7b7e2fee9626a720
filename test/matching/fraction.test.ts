import { describe, expect, it } from 'vitest';
import { compileFraction, fractionOf } from '../../src/matching/fraction.ts';

describe('compileFraction', () => {
  it('is true in the configured share of draws', () => {
    const config = { default_value: { numerator: 30, denominator: 'HUNDRED' }, runtime_key: 'x' } as const;
    for (const [draw, expected] of [
      [0, true],
      [0.299, true],
      [0.3, false],
      [0.99, false],
    ] as const) {
      expect(compileFraction(config, () => draw)()).toBe(expected);
    }
  });

  it('never draws for nothing and for everything', () => {
    const fail = (): number => {
      throw new Error('drawn');
    };
    expect(compileFraction({ numerator: 0, denominator: 'MILLION' }, fail)()).toBe(false);
    expect(compileFraction({ numerator: 100, denominator: 'HUNDRED' }, fail)()).toBe(true);
  });

  it('knows all denominators and takes more than the whole for the whole', () => {
    expect(fractionOf({ numerator: 5, denominator: 'TEN_THOUSAND' })).toBe(0.0005);
    expect(fractionOf({ numerator: 5, denominator: 'MILLION' })).toBe(0.000005);
    expect(fractionOf({ numerator: 500, denominator: 'HUNDRED' })).toBe(1);
  });
});
