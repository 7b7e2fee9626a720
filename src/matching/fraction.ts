import type { FractionalPercent, RuntimeFractionalPercent } from '../config/schema/percent.ts';

export const PERCENT_DENOMINATOR = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

/** A fractional percent as a number from 0 to 1; more than the whole is the whole. */
export function fractionOf(config: FractionalPercent): number {
  return Math.min(1, config.numerator / PERCENT_DENOMINATOR[config.denominator]);
}

/**
 * Compiles a fraction into a coin: true in that share of calls. A runtime fraction counts with its default value, as
 * there is no runtime layer to ask. `random` gives numbers from 0 (included) to 1.
 */
export function compileFraction(
  config: FractionalPercent | RuntimeFractionalPercent,
  random: () => number = Math.random,
): () => boolean {
  const share = fractionOf('default_value' in config ? config.default_value : config);
  if (share <= 0) return () => false;
  if (share >= 1) return () => true;
  return () => random() < share;
}
