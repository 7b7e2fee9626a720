import type { Figure, LevelFigures, PeerCharacter } from '../../src/lab/characterize/characterization.ts';
import { generatorLimits, type OpenLoopResult } from '../load/open-loop.ts';
import type { SaturationResult } from '../load/saturation.ts';
import { median } from '../measure/statistics.ts';
import type { Measured } from '../run/trial.ts';

/** A fixed rate that was chosen for a share of a core, and what was measured at it. */
export interface LevelRuns {
  readonly level: number;
  readonly rate: number;
  readonly runs: readonly Measured<OpenLoopResult>[];
}

/** Median and extremes; undefined when a round has no finite value. */
export function figureOf(values: readonly number[]): Figure | undefined {
  if (values.length === 0 || !values.every(Number.isFinite)) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), values: [...values] };
}

/** What the process used of a core, %. */
export function cpuPercent({ cpu, wallMs }: Measured<unknown>): number {
  return cpu.processMicros / (10 * wallMs);
}

/** CPU time of the process per request, µs; NaN where none was answered. */
export function costOf({ result, cpu }: Measured<SaturationResult>): number {
  return result.requests > 0 ? cpu.processMicros / result.requests : Number.NaN;
}

type Saturation = Pick<PeerCharacter, 'requestsPerSecond' | 'cpuMicros' | 'cpuPercent' | 'errors'>;

export function saturationFigures(runs: readonly Measured<SaturationResult>[]): Saturation {
  const requestsPerSecond = figureOf(runs.map(({ result }) => result.requestsPerSecond));
  const cpuMicros = figureOf(runs.map(costOf));
  return {
    ...(requestsPerSecond && { requestsPerSecond }),
    ...(cpuMicros && { cpuMicros }),
    ...(runs.length > 0 && { cpuPercent: median(runs.map(cpuPercent)) }),
    errors: runs.reduce((sum, { result }) => sum + result.errors, 0),
  };
}

/** Undefined when there is nothing to take a figure of. */
export function levelFigures({ level, rate, runs }: LevelRuns): LevelFigures | undefined {
  const of = (pick: (run: Measured<OpenLoopResult>) => number): Figure | undefined => figureOf(runs.map(pick));
  const cpuMicros = of(({ result, cpu }) => cpu.processMicros / result.answeredInWindow);
  const percent = of(cpuPercent);
  const achievedRate = of(({ result }) => result.achievedRate);
  const [p50, p90, p99] = (['p50', 'p90', 'p99'] as const).map((name) => of(({ result }) => result.latency[name]));
  if (!(cpuMicros && percent && achievedRate && p50 && p90 && p99)) return undefined;
  return {
    level,
    loop: 'open',
    rate,
    cpuPercent: percent,
    cpuMicros,
    achievedRate,
    p50,
    p90,
    p99,
    errors: runs.reduce((sum, { result }) => sum + result.errors, 0),
    unanswered: runs.reduce((sum, { result }) => sum + result.unanswered, 0),
    generatorLimits: generatorLimits(
      Math.max(...runs.map(({ result }) => result.lag.p99)),
      Math.max(...runs.map(({ result }) => result.cpuPercent)),
    ),
  };
}

/**
 * Saturation as the highest level. Its latency is the closed loop's: at a fixed rate as high as a proxy can go, the queue
 * before it grows for as long as one measures. Undefined where the generator does not tell it.
 */
export function fullLevel(runs: readonly Measured<SaturationResult>[]): LevelFigures | undefined {
  const { requestsPerSecond, cpuMicros, errors } = saturationFigures(runs);
  const percent = figureOf(runs.map(cpuPercent));
  const [p50, p90, p99] = (['p50Micros', 'p90Micros', 'p99Micros'] as const).map((name) =>
    figureOf(runs.map(({ result }) => result[name] ?? Number.NaN)),
  );
  if (!(requestsPerSecond && cpuMicros && percent && p50 && p90 && p99)) return undefined;
  return {
    level: 1,
    loop: 'closed',
    rate: requestsPerSecond.median,
    cpuPercent: percent,
    cpuMicros,
    achievedRate: requestsPerSecond,
    p50,
    p90,
    p99,
    errors,
    unanswered: 0,
    generatorLimits: [],
  };
}
