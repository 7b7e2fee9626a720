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
 * What a sidecar with the filters of these configurations would cost: base + Σ (configuration − its own base). A
 * configuration that stands there twice counts twice; a base itself adds nothing.
 *
 * @param base - what the costs are added to; unless given, the parts' own, HTTP's where they have TCP's too
 */
export function predict(c: Characterization, peer: string, parts: readonly string[], base?: string): Prediction {
  const { head, terms } = prepare(c, peer, parts, base);
  if (terms === undefined) return head;
  const predicted = combine(terms, totalOf);
  if (predicted === undefined) return { ...head, why: NO_ROUND };
  const symbols = filtersOf(c, parts).map((name) => symbolCostOf(c, name, peer));
  const known = symbols.flatMap((one) => (one.why === undefined ? [one.value] : []));
  return {
    ...head,
    ...present({
      predicted,
      predictedFilter: combine(terms, costsOf),
      predictedSymbols: known.length === symbols.length && known.length > 0 ? added(known) : undefined,
    }),
    notes: isUnpaired(predicted) ? [...head.notes, UNPAIRED] : head.notes,
  };
}

/** Figures of a prediction: that of the base, then of each part and of its own base. */
type Terms = readonly Figure[];

function prepare(
  c: Characterization,
  peer: string,
  parts: readonly string[],
  given: string | undefined,
): { readonly head: Prediction; readonly terms?: Terms } {
  const head = { peer, parts, notes: [] };
  const resolved: Found<string> = given === undefined ? baseOf(c, parts) : { value: given };
  if (resolved.why !== undefined) return { head: { ...head, why: resolved.why } };
  const base = resolved.value;
  const filters = filtersOf(c, parts);
  const names = [base, ...filters.flatMap((name) => [name, configurationOf(c, name)!.base!])];
  const unknown = parts.find((name) => configurationOf(c, name) === undefined);
  if (unknown !== undefined) return { head: { ...head, base, why: `there is no configuration ${unknown}` } };
  const terms: Figure[] = [];
  for (const name of names) {
    const found = cpuOf(c, name, peer);
    if (found.why !== undefined) return { head: { ...head, base, why: found.why } };
    terms.push(found.value);
  }
  return { head: { ...head, base, notes: notesOf(c, [...new Set(names)], peer) }, terms };
}

/** Those that have something beyond a base. */
function filtersOf(c: Characterization, parts: readonly string[]): string[] {
  return parts.filter((name) => configurationOf(c, name)?.base !== undefined);
}

/** The one base of all parts. What stands before bytes stands before HTTP too, which runs over them. */
function baseOf(c: Characterization, parts: readonly string[]): Found<string> {
  if (parts.length === 0) return { why: 'there is nothing to add up' };
  const bases = new Set<string>();
  for (const part of parts) {
    const configuration = configurationOf(c, part);
    if (configuration === undefined) return { why: `there is no configuration ${part}` };
    bases.add(configuration.base ?? part);
  }
  const http = [...bases].filter((name) => configurationOf(c, name)?.protocol === 'http');
  const [base, other] = http.length === 1 ? http : bases;
  if (other !== undefined) return { why: `the parts have different bases: ${[...bases].join(', ')}` };
  return { value: base! };
}

function costsOf([, ...pairs]: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < pairs.length; i += 2) sum += pairs[i]! - pairs[i + 1]!;
  return sum;
}

function totalOf(values: readonly number[]): number {
  return values[0]! + costsOf(values);
}

function mixCheck(c: Characterization, { name, parts, base, open }: ConfigurationResult, peer: string): MixCheck {
  const prediction: MixCheck = { ...predict(c, peer, parts, base), configuration: name };
  if (open !== undefined) return { ...prediction, why: `${name} is open: ${open}` };
  const { terms } = prepare(c, peer, parts, base);
  if (prediction.why !== undefined || terms === undefined) return prediction;
  const whole = cpuOf(c, name, peer);
  if (whole.why !== undefined) return { ...prediction, why: whole.why };
  const all = [whole.value, ...terms];
  const errorPercent = combine(all, ([a, ...rest]) => (100 * (totalOf(rest) - a!)) / a!);
  const measuredFilter = combine([whole.value, terms[0]!], ([a, b]) => a! - b!);
  if (errorPercent === undefined || measuredFilter === undefined) return { ...prediction, why: NO_ROUND };
  const filterError = ([a, ...rest]: readonly number[]): number => {
    const cost = a! - rest[0]!;
    return (100 * (costsOf(rest) - cost)) / cost;
  };
  // A cost that some round does not even see is too small to be divided by.
  const isSeen = measuredFilter.min > 0;
  const symbols = symbolCostOf(c, name, peer);
  const measuredSymbols = symbols.why === undefined ? symbols.value : undefined;
  const { predictedSymbols } = prediction;
  const notes = new Set([...prediction.notes, ...notesOf(c, [name], peer)]);
  if (isUnpaired(errorPercent)) notes.add(UNPAIRED);
  if (!isSeen) notes.add(`${name} is not dearer than ${prediction.base} in every round`);
  return {
    ...prediction,
    ...present({
      measured: combine([whole.value], ([a]) => a!),
      errorPercent,
      measuredFilter,
      filterErrorPercent: isSeen ? combine(all, filterError) : undefined,
      measuredSymbols,
      symbolsErrorPercent:
        measuredSymbols && predictedSymbols && measuredSymbols.micros > 0
          ? (100 * (predictedSymbols.micros - measuredSymbols.micros)) / measuredSymbols.micros
          : undefined,
    }),
    notes: [...notes],
  };
}

const NO_ROUND = 'the configurations have no round in common';
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
