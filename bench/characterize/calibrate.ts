/** The slowest load that still says something, requests per second. */
const LOWEST_RATE = 10;
/** How far a probe may move the rate: a reading of a busy moment must not. */
const MOST_CORRECTION = 3;

/** What a proxy did as fast as it could. */
export interface Saturated {
  readonly requestsPerSecond: number;
  /** CPU of the process per request, µs. */
  readonly cpuMicros: number;
}

/**
 * The rate at which the proxy would use this share of a core, if a request cost what it costs at saturation. Below that a
 * request costs more, since less is done per wake-up: the guess is too high, and a probe corrects it.
 */
export function guessRate({ requestsPerSecond, cpuMicros }: Saturated, level: number): number {
  const rate = cpuMicros > 0 ? (level * 1_000_000) / cpuMicros : level * requestsPerSecond;
  // Nobody goes faster than as fast as it can, and where something else was the limit the proxy never gets there.
  return withinBounds(rate, requestsPerSecond);
}

/** What the process did in a probe. */
export interface Probed {
  /** Answers per second: fewer than were asked for where the load could not keep up. */
  readonly achievedRate: number;
  /** Of a core; 0 when the probe was too short to tell. */
  readonly cpuPercent: number;
}

/** The rate corrected by what a request has cost in a probe at it. */
export function correctRate(
  rate: number,
  { requestsPerSecond }: Saturated,
  level: number,
  { achievedRate, cpuPercent }: Probed,
): number {
  const exact = (achievedRate * 100 * level) / cpuPercent;
  if (!Number.isFinite(exact) || exact <= 0) return rate;
  const bounded = Math.min(rate * MOST_CORRECTION, Math.max(rate / MOST_CORRECTION, exact));
  return withinBounds(bounded, requestsPerSecond);
}

function withinBounds(rate: number, most: number): number {
  return Math.max(LOWEST_RATE, Math.round(Math.min(rate, most)));
}
