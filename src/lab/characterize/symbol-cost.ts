import type { Breakdown, Characterization } from './characterization.ts';
import { characterOf, configurationOf, type Found } from './rounds.ts';

/** Time of filters as the symbols of a profile's stacks tell it. */
export interface SymbolCost {
  /** Per request. */
  readonly micros: number;
  /** One standard deviation, from the number of samples alone. */
  readonly deviation: number;
}

/**
 * What the filters of a configuration cost beyond those of its base, by symbols: no other run's noise is in it, which
 * the difference of two runs has. TLS counts as a filter, as in the paper.
 */
export function symbolCostOf(c: Characterization, name: string, peer: string): Found<SymbolCost> {
  const own = filtersOf(c, name, peer);
  const base = configurationOf(c, name)?.base;
  if (own.why !== undefined || base === undefined) return own;
  const beside = filtersOf(c, base, peer);
  if (beside.why !== undefined) return beside;
  return { value: added([own.value, { ...beside.value, micros: -beside.value.micros }]) };
}

/** Sum of independent costs. */
export function added(costs: readonly SymbolCost[]): SymbolCost {
  return {
    micros: costs.reduce((sum, { micros }) => sum + micros, 0),
    deviation: Math.hypot(...costs.map(({ deviation }) => deviation)),
  };
}

function filtersOf(c: Characterization, name: string, peer: string): Found<SymbolCost> {
  const row = characterOf(c, name, peer);
  if (row.why !== undefined) return row;
  const { breakdown } = row.value;
  if (breakdown === undefined) return { why: `${name}: ${peer} was not profiled` };
  return bySymbols(breakdown, name);
}

function bySymbols({ parts, samples, cpuMicros }: Breakdown, name: string): Found<SymbolCost> {
  // Where the program has no symbols a filter's part is a difference: no other witness than the runs themselves.
  if (parts.some(({ basis }) => basis !== 'symbols') || parts.some(({ part }) => part === 'user'))
    return { why: `${name}: the profile has no symbols` };
  const filters = parts.filter(({ table2 }) => table2 === 'Sidecar Filter');
  const micros = filters.reduce((sum, { usPerRequest }) => sum + usPerRequest, 0);
  if (!Number.isFinite(micros) || !(samples > 0)) return { why: `${name}: the profile has no samples` };
  return { value: { micros, deviation: Math.sqrt(Math.max(0, micros) * (cpuMicros / samples)) } };
}
