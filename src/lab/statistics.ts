/** What repeated measurements of one figure say. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Median absolute deviation from the median. */
  readonly mad: number;
  /** In the order in which they were measured. */
  readonly values: readonly number[];
}

/** Above this (max − min) / median a figure is marked as unreliable. */
export const UNRELIABLE_SPREAD = 0.2;

/** NaN when there are no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** Undefined when no value is finite. */
export function spread(values: readonly number[]): Spread | undefined {
  const finite = values.filter((value) => Number.isFinite(value));
  if (finite.length === 0) return undefined;
  const middle = median(finite);
  return {
    median: middle,
    min: Math.min(...finite),
    max: Math.max(...finite),
    mad: median(finite.map((value) => Math.abs(value - middle))),
    values: finite,
  };
}

type Range = Pick<Spread, 'median' | 'min' | 'max'>;

/** (max − min) / |median|: 0 for one value. */
export function relativeSpread(figure: Range): number {
  return figure.median === 0 ? 0 : (figure.max - figure.min) / Math.abs(figure.median);
}

export function isUnreliable(figure: Range): boolean {
  return relativeSpread(figure) > UNRELIABLE_SPREAD;
}

/**
 * The ratio of two figures measured side by side: of each round's pair, so that what drifts between rounds cancels
 * out. Values belong together by their position; undefined when there is no pair.
 */
export function pairedRatio(of: readonly number[], to: readonly number[]): Spread | undefined {
  const ratios: number[] = [];
  for (let i = 0; i < Math.min(of.length, to.length); i++) ratios.push((of[i] as number) / (to[i] as number));
  return spread(ratios);
}

/** The order of peers in a round: each round the other way round, so that drift does not favour a place in the row. */
export function roundOrder<T>(items: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...items] : [...items].reverse();
}
