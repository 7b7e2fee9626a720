import { median } from '../statistics.ts';
import type { Characterization, SizeResult } from './characterization.ts';
import { cpuFigure, peerNames } from './rounds.ts';

/** A line through less than these says nothing: two points always lie on one. */
const MIN_SIZES = 3;
/** What a line has to be good for: none of its points off by more than this share of what was measured. */
export const MAX_RESIDUAL_PERCENT = 15;
export const MIN_R_SQUARED = 0.95;

/**
 * A straight line through the CPU time of message sizes, µs = a + b·KiB: MeshInsight's model of a component (Zhu et al.,
 * SoCC 2023, §4: "CPU overhead is a linear function of message size", fitted by linear regression).
 */
export interface SizeFit {
  readonly configuration: string;
  readonly peer: string;
  /** Smallest first. */
  readonly points: readonly SizePoint[];
  /** a: microseconds of a message without a body. */
  readonly interceptMicros?: number;
  /** b */
  readonly microsPerKiB?: number;
  /** Share of the variance that the line explains. The largest sizes decide it: look at the residuals too. */
  readonly rSquared?: number;
  /** False where the line is no model of it; `why` tells. */
  readonly isLinear?: boolean;
  /** Why there is no line, or why it does not fit. */
  readonly why?: string;
}

export interface SizePoint {
  readonly bytes: number;
  /** Median of the rounds. */
  readonly micros: number;
  readonly fitted?: number;
  /** (fitted − measured) / measured. */
  readonly residualPercent?: number;
}

/** One per configuration and peer of the sweep. */
export function sizeFits(c: Characterization): SizeFit[] {
  const names = [...new Set(c.sizes.map(({ configuration }) => configuration))];
  return names.flatMap((configuration) => {
    const rows = c.sizes.filter((row) => row.configuration === configuration);
    const measured = peerNames(c).filter((peer) => rows.some(({ peers }) => peers.some((one) => one.peer === peer)));
    return measured.map((peer) => fitOf(configuration, peer, rows));
  });
}

function fitOf(configuration: string, peer: string, rows: readonly SizeResult[]): SizeFit {
  const points: SizePoint[] = [];
  const missing: string[] = [];
  for (const { bytes, peers } of rows.toSorted((a, b) => a.bytes - b.bytes)) {
    const row = peers.find((one) => one.peer === peer);
    if (row === undefined) continue;
    const found = cpuFigure(row, `${bytes} bytes`);
    if (found.why !== undefined) missing.push(found.why);
    else points.push({ bytes, micros: median(found.value.values.filter(Number.isFinite)) });
  }
  const head = { configuration, peer, points };
  if (new Set(points.map(({ bytes }) => bytes)).size < MIN_SIZES)
    return { ...head, why: [`fewer than ${MIN_SIZES} sizes were measured`, ...missing].join('; ') };
  const [a, b] = leastSquares(points.map(({ bytes, micros }) => [bytes / 1024, micros]));
  const fitted = points.map((point) => {
    const value = a + (b * point.bytes) / 1024;
    return { ...point, fitted: value, residualPercent: (100 * (value - point.micros)) / point.micros };
  });
  const rSquared = explained(fitted);
  const worst = fitted.reduce((one, next) =>
    Math.abs(next.residualPercent) > Math.abs(one.residualPercent) ? next : one,
  );
  const off = Math.abs(worst.residualPercent);
  const isLinear = off <= MAX_RESIDUAL_PERCENT && rSquared >= MIN_R_SQUARED;
  const reasons = [
    ...(isLinear
      ? []
      : off > MAX_RESIDUAL_PERCENT
        ? [`the line is ${off.toFixed(0)} % off at ${worst.bytes / 1024} KiB`]
        : [`the size explains ${(100 * rSquared).toFixed(0)} % of the variance only`]),
    ...missing,
  ];
  return {
    ...head,
    points: fitted,
    interceptMicros: a,
    microsPerKiB: b,
    rSquared,
    isLinear,
    ...(reasons.length === 0 ? {} : { why: reasons.join('; ') }),
  };
}

/** Intercept and slope. */
function leastSquares(points: readonly (readonly [x: number, y: number])[]): [a: number, b: number] {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map(([value]) => value));
  const y = mean(points.map(([, value]) => value));
  let products = 0;
  let squares = 0;
  for (const [one, other] of points) {
    products += (one - x) * (other - y);
    squares += (one - x) ** 2;
  }
  const b = products / squares;
  return [y - b * x, b];
}

/** R². Times that do not vary are wholly explained by a flat line. */
function explained(points: readonly { readonly micros: number; readonly fitted: number }[]): number {
  const mean = points.reduce((sum, { micros }) => sum + micros, 0) / points.length;
  const total = points.reduce((sum, { micros }) => sum + (micros - mean) ** 2, 0);
  const left = points.reduce((sum, { micros, fitted }) => sum + (micros - fitted) ** 2, 0);
  return total <= 1e-12 * mean * mean * points.length ? 1 : 1 - left / total;
}
