import type { Characterization, ConfigurationResult, Figure } from './characterization.ts';
import { type Combined, characterOf, combine, configurationOf, cpuOf, type Found, peerNames } from './rounds.ts';
import { type SizeFit, sizeFits } from './size-fit.ts';
import { added, type SymbolCost, symbolCostOf } from './symbol-cost.ts';

/**
 * The paper's model (§5.2, Table 3): filters add up. What a configuration with several of them costs is predicted from
 * its base and from configurations with one each, and held to what was measured. All times are CPU per request at
 * saturation, microseconds; all errors are (predicted − measured) / measured, %.
 */
export interface AdditiveModel {
  /** In the order of the characterization, peer by peer. */
  readonly costs: readonly FilterCost[];
  readonly mixes: readonly MixCheck[];
  readonly sizes: readonly SizeFit[];
}

/** What a configuration costs more than its base. */
export interface FilterCost {
  readonly configuration: string;
  readonly base: string;
  readonly peer: string;
  readonly total?: Combined;
  readonly baseTotal?: Combined;
  /** Configuration − base: below 0 where the two lie closer together than the rounds. */
  readonly micros?: Combined;
  /** (Configuration − base) / base. */
  readonly relative?: Combined;
  readonly symbols?: SymbolCost;
  /** Base + cost by symbols: how Table 3 estimates the total of a single filter; a difference would prove itself. */
  readonly estimate?: Combined;
  readonly estimateErrorPercent?: Combined;
  /** Why there is no figure. */
  readonly why?: string;
  readonly notes: readonly string[];
}

/** The base and the costs of parts added up. */
export interface Prediction {
  readonly peer: string;
  readonly parts: readonly string[];
  readonly base?: string;
  readonly predicted?: Combined;
  /** Of the parts alone. */
  readonly predictedFilter?: Combined;
  readonly predictedSymbols?: SymbolCost;
  readonly why?: string;
  readonly notes: readonly string[];
}

export interface MixCheck extends Prediction {
  readonly configuration: string;
  readonly measured?: Combined;
  readonly errorPercent?: Combined;
  readonly measuredFilter?: Combined;
  readonly filterErrorPercent?: Combined;
  readonly measuredSymbols?: SymbolCost;
  readonly symbolsErrorPercent?: number;
}

export function additiveModel(c: Characterization): AdditiveModel {
  const costs: FilterCost[] = [];
  const mixes: MixCheck[] = [];
  for (const peer of peerNames(c)) {
    for (const configuration of c.configurations) {
      const cost = filterCost(c, configuration, peer);
      if (cost !== undefined) costs.push(cost);
      if (configuration.parts.length > 0) mixes.push(mixCheck(c, configuration, peer));
    }
  }
  return { costs, mixes, sizes: sizeFits(c) };
}

/** Undefined for what is a base itself. */
function filterCost(c: Characterization, { name, base }: ConfigurationResult, peer: string): FilterCost | undefined {
  if (base === undefined) return undefined;
  const head = { configuration: name, base, peer, notes: notesOf(c, [name, base], peer) };
  const [whole, without] = [cpuOf(c, name, peer), cpuOf(c, base, peer)];
  if (whole.why !== undefined) return { ...head, why: whole.why };
  if (without.why !== undefined) return { ...head, why: without.why };
  const pair = [whole.value, without.value];
  const micros = combine(pair, ([a, b]) => a! - b!);
  if (micros === undefined) return { ...head, why: `${name} and ${base} have no round in common` };
  const symbols = symbolCostOf(c, name, peer);
  const bySymbols = symbols.why === undefined ? symbols.value : undefined;
  const estimate = bySymbols && combine([without.value], ([b]) => b! + bySymbols.micros);
  return {
    ...head,
    ...present({
      total: combine([whole.value], ([a]) => a!),
      baseTotal: combine([without.value], ([b]) => b!),
      micros,
      relative: combine(pair, ([a, b]) => (a! - b!) / b!),
      symbols: bySymbols,
      estimate,
      estimateErrorPercent: bySymbols && combine(pair, ([a, b]) => (100 * (b! + bySymbols.micros - a!)) / a!),
    }),
    notes: isUnpaired(micros) ? [...head.notes, UNPAIRED] : head.notes,
  };
}

/**
 * What a sidecar with the filters of these configurations would cost: base + Σ (configuration − base). A configuration
 * that stands there twice counts twice; the base itself adds nothing.
 */
export function predict(c: Characterization, peer: string, parts: readonly string[]): Prediction {
  const head = { peer, parts, notes: [] as readonly string[] };
  const resolved = baseOf(c, parts);
  if (resolved.why !== undefined) return { ...head, why: resolved.why };
  const base = resolved.value;
  const filters = parts.filter((part) => part !== base);
  const figures: Figure[] = [];
  for (const name of [base, ...filters]) {
    const found = cpuOf(c, name, peer);
    if (found.why !== undefined) return { ...head, base, why: found.why };
    figures.push(found.value);
  }
  const costsOf = ([first = Number.NaN, ...rest]: readonly number[]): number =>
    rest.reduce((sum, value) => sum + (value - first), 0);
  const predicted = combine(figures, (values) => values[0]! + costsOf(values));
  if (predicted === undefined) return { ...head, base, why: 'the configurations have no round in common' };
  const symbols = filters.map((name) => symbolCostOf(c, name, peer));
  const known = symbols.flatMap((one) => (one.why === undefined ? [one.value] : []));
  const notes = notesOf(c, [base, ...filters], peer);
  return {
    ...head,
    base,
    ...present({
      predicted,
      predictedFilter: combine(figures, costsOf),
      predictedSymbols: known.length === filters.length && filters.length > 0 ? added(known) : undefined,
    }),
    notes: isUnpaired(predicted) ? [...notes, UNPAIRED] : notes,
  };
}

/** The one base of all parts. */
function baseOf(c: Characterization, parts: readonly string[]): Found<string> {
  if (parts.length === 0) return { why: 'there is nothing to add up' };
  const bases = new Set<string>();
  for (const part of parts) {
    const configuration = configurationOf(c, part);
    if (configuration === undefined) return { why: `there is no configuration ${part}` };
    bases.add(configuration.base ?? part);
  }
  const [base, other] = bases;
  if (other !== undefined) return { why: `the parts have different bases: ${[...bases].join(', ')}` };
  return { value: base! };
}

function mixCheck(c: Characterization, mix: ConfigurationResult, peer: string): MixCheck {
  const { name, parts, base } = mix;
  const prediction = predict(c, peer, parts);
  const head = { ...prediction, configuration: name };
  if (mix.open !== undefined) return { ...head, why: `${name} is open: ${mix.open}` };
  if (prediction.why !== undefined) return head;
  if (base !== undefined && prediction.base !== base)
    return { ...head, why: `${name} is measured against ${base}, its parts against ${prediction.base}` };
  const whole = cpuOf(c, name, peer);
  if (whole.why !== undefined) return { ...head, why: whole.why };
  const without = cpuOf(c, prediction.base!, peer) as { value: Figure };
  const filters = parts.filter((part) => part !== prediction.base);
  const singles = filters.map((part) => (cpuOf(c, part, peer) as { value: Figure }).value);
  const all = [whole.value, without.value, ...singles];
  const costs = ([, b, ...rest]: readonly number[]): number => rest.reduce((sum, value) => sum + (value - b!), 0);
  const measuredFilter = combine([whole.value, without.value], ([a, b]) => a! - b!);
  // A cost that some round does not even see is too small to be divided by.
  const isSeen = measuredFilter !== undefined && measuredFilter.min > 0;
  const symbols = symbolCostOf(c, name, peer);
  const measuredSymbols = symbols.why === undefined ? symbols.value : undefined;
  const { predictedSymbols } = prediction;
  const notes = [...new Set([...prediction.notes, ...notesOf(c, [name], peer)])];
  const errorPercent = combine(all, (values) => (100 * (values[1]! + costs(values) - values[0]!)) / values[0]!);
  if (!isSeen) notes.push(`${name} is not dearer than ${prediction.base} in every round`);
  return {
    ...head,
    ...present({
      measured: combine([whole.value], ([a]) => a!),
      errorPercent,
      measuredFilter,
      filterErrorPercent: isSeen
        ? combine(all, (values) => {
            const cost = values[0]! - values[1]!;
            return (100 * (costs(values) - cost)) / cost;
          })
        : undefined,
      measuredSymbols,
      symbolsErrorPercent:
        measuredSymbols && predictedSymbols && measuredSymbols.micros > 0
          ? (100 * (predictedSymbols.micros - measuredSymbols.micros)) / measuredSymbols.micros
          : undefined,
    }),
    notes: isUnpaired(errorPercent) && !notes.includes(UNPAIRED) ? [...notes, UNPAIRED] : notes,
  };
}

const UNPAIRED = 'not all have the same number of rounds: medians, not pairs';

function isUnpaired(figure: Combined | undefined): boolean {
  return figure?.isPaired === false;
}

/** What makes figures doubtful though they are there. */
function notesOf(c: Characterization, names: readonly string[], peer: string): string[] {
  return names.flatMap((name) => {
    const row = characterOf(c, name, peer);
    if (row.why !== undefined) return [];
    const { errors, error } = row.value;
    return [
      ...(errors > 0 ? [`${name}: ${errors} requests failed`] : []),
      ...(error === undefined ? [] : [`${name}: ${error}`]),
    ];
  });
}

/** Without what is undefined. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
