import { median, type Spread, spread } from '../statistics.ts';
import type { Characterization, ConfigurationResult, Figure, PeerCharacter } from './characterization.ts';

/** What comes of several figures. */
export interface Combined extends Spread {
  /** Round by round; else of medians alone, since not all figures have as many rounds. */
  readonly isPaired: boolean;
}

/**
 * Puts figures together round by round, so that what drifts between rounds cancels out. A round in which one of them is
 * no number counts for none.
 *
 * @returns undefined when nothing finite comes out
 */
export function combine(
  figures: readonly Pick<Figure, 'values'>[],
  of: (values: readonly number[]) => number,
): Combined | undefined {
  const lists = figures.map(({ values }) => values.map(numberOf));
  const rounds = lists[0]?.length ?? 0;
  const isPaired = lists.every((values) => values.length === rounds);
  const rows = isPaired
    ? Array.from({ length: rounds }, (_, round) => lists.map((values) => values[round]!))
    : [lists.map((values) => median(values.filter(Number.isFinite)))];
  const result = spread(rows.map(of));
  return result && { ...result, isPaired };
}

/** JSON writes NaN as null. */
function numberOf(value: number | null): number {
  return typeof value === 'number' ? value : Number.NaN;
}

/** A figure, or why there is none. */
export type Found<T> = { readonly value: T; readonly why?: undefined } | { readonly why: string };

/** CPU per request of a peer in a configuration at saturation; a time that is not above 0 is none. */
export function cpuOf(c: Characterization, name: string, peer: string): Found<Figure> {
  const row = characterOf(c, name, peer);
  if (row.why !== undefined) return row;
  return cpuFigure(row.value, name);
}

/** Of a row at hand. @param name for the reason */
export function cpuFigure({ peer, error, cpuMicros }: PeerCharacter, name: string): Found<Figure> {
  if (cpuMicros === undefined || !Array.isArray(cpuMicros.values))
    return { why: `${name}: ${error ?? `${peer} has no CPU time`}` };
  if (!cpuMicros.values.some((value) => Number.isFinite(value) && value > 0))
    return { why: `${name}: the CPU time of ${peer} is no number above 0` };
  return { value: cpuMicros };
}

/** The row of a peer in a configuration. */
export function characterOf(c: Characterization, name: string, peer: string): Found<PeerCharacter> {
  const configuration = configurationOf(c, name);
  if (configuration === undefined) return { why: `there is no configuration ${name}` };
  if (configuration.open !== undefined) return { why: `${name} is open: ${configuration.open}` };
  const row = configuration.peers.find((one) => one.peer === peer);
  return row === undefined ? { why: `${name} was not measured with ${peer}` } : { value: row };
}

export function configurationOf(c: Characterization, name: string): ConfigurationResult | undefined {
  return c.configurations.find((one) => one.name === name);
}

/** All peers that have a row somewhere, those of the head first. */
export function peerNames(c: Characterization): string[] {
  const rows = [...c.configurations, ...c.sizes].flatMap(({ peers }) => peers.map(({ peer }) => peer));
  return [...new Set([...c.peers.map(({ name }) => name), ...rows])];
}
