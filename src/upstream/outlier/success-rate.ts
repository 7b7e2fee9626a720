/** What success rates are held to. */
export interface RateLimits {
  /** Mean of the success rates, percent. */
  readonly average: number;
  /** A success rate below this one is too low, percent. */
  readonly threshold: number;
}

/** No rates could be compared. */
export const NO_RATES: RateLimits = { average: -1, threshold: -1 };

/**
 * The mean less `stdevFactor` standard deviations (intro/arch_overview/upstream/outlier, "Success Rate").
 * @param rates percents, at least one
 */
export function rateLimits(rates: readonly number[], stdevFactor: number): RateLimits {
  const average = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - average) ** 2, 0) / rates.length;
  return { average, threshold: average - stdevFactor * Math.sqrt(variance) };
}
