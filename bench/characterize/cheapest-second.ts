import type { SaturationResult } from '../load/saturation.ts';
import type { Measured } from '../run/trial.ts';
import { costOf } from './figures.ts';

/**
 * Of seconds of the same load that in which a request cost least: what neighbours do on the machine makes requests dearer,
 * never cheaper, and differences are taken of what is left. Errors are those of all seconds.
 *
 * @param seconds - one or more
 */
export function cheapestSecond(seconds: readonly Measured<SaturationResult>[]): Measured<SaturationResult> {
  const [first, ...others] = seconds;
  if (first === undefined) throw new Error('there is no second to choose');
  let best = first;
  for (const other of others) if (costOf(other) < costOf(best) || Number.isNaN(costOf(best))) best = other;
  const errors = seconds.reduce((sum, { result }) => sum + result.errors, 0);
  return { ...best, result: { ...best.result, errors } };
}
