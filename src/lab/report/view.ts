import type {
  Characterization,
  ConfigurationResult,
  Figure,
  LevelFigures,
  PeerCharacter,
} from '../characterize/characterization.ts';
import { type Combined, combine } from '../characterize/rounds.ts';
import { isUnreliable } from '../statistics.ts';
import { seriesOf } from './chart/series.ts';
import type { Cell } from './document.ts';
import { formatNumber, formatRatio } from './number-text.ts';

/** The proxy that the others are compared with. */
export const BASELINE = 'envoy';
/** Whose report it is. */
export const OWN = 'outrigger';

/** Below this share of its core a proxy waited: load or backend were the limit. */
export const SATURATED_PERCENT = 80;

export const UNRELIABLE_MARK = ' ~';
export const GENERATOR_MARK = ' !';

export const UNRELIABLE_LEGEND = '~ marks rounds that differ by more than 20 % of their median.';

export const LEGEND =
  '~ marks rounds that differ by more than 20 % of their median, ! a figure that something else than the proxy may ' +
  'have limited. Brackets hold the ratio to Envoy, of the same rounds.';

/** Peers in the order in which pictures and tables have them: ours, the one it is compared with, the others. */
export function peersOf(c: Characterization): string[] {
  const rows = [...c.configurations, ...c.sizes].flatMap(({ peers }) => peers.map(({ peer }) => peer));
  const names = new Set([...c.peers.map(({ name }) => name), ...rows]);
  return [OWN, BASELINE, ...names].filter((name, i, all) => names.has(name) && all.indexOf(name) === i);
}

export function peerLabel(peer: string): string {
  return seriesOf(peer).label;
}

/** As a row of a picture has it. */
export function labelOf({ title, name }: Pick<ConfigurationResult, 'title' | 'name'>): string {
  return title.trim() === '' ? name : title;
}

/** Those of which at least one proxy has figures. */
export function measuredOf(c: Characterization): ConfigurationResult[] {
  return c.configurations.filter(
    ({ open, peers }) =>
      open === undefined && peers.some(({ cpuMicros, levels }) => cpuMicros !== undefined || levels.length > 0),
  );
}

export function rowOf(of: { readonly peers: readonly PeerCharacter[] }, peer: string): PeerCharacter | undefined {
  return of.peers.find((one) => one.peer === peer);
}

export function levelOf(row: PeerCharacter | undefined, level: number): LevelFigures | undefined {
  return row?.levels.find((one) => one.level === level);
}

/** Ratio to the baseline of the same rounds; undefined where either is missing. */
export function ratioOf(figure: Figure | undefined, base: Figure | undefined): Combined | undefined {
  if (figure === undefined || base === undefined) return undefined;
  return combine([figure, base], ([a, b]) => (b! > 0 && a! >= 0 ? a! / b! : Number.NaN));
}

/** A figure for a table; the ratio to the baseline in brackets where there is one. */
export function figureCell(figure: Figure | undefined, base?: Figure, isLimited = false): Cell {
  if (figure === undefined) return { text: '–' };
  const ratio = ratioOf(figure, base);
  const marks = `${isUnreliable(figure) ? UNRELIABLE_MARK : ''}${isLimited ? GENERATOR_MARK : ''}`;
  const text = `${formatNumber(figure.median)}${ratio === undefined ? '' : ` [${formatRatio(ratio.median)}]`}${marks}`;
  return { text, hint: intervalText(figure) };
}

export function ratioCell(figure: Figure | undefined, base: Figure | undefined): Cell {
  const ratio = ratioOf(figure, base);
  if (ratio === undefined) return { text: '–' };
  const interval = `${formatRatio(ratio.min)} to ${formatRatio(ratio.max)}`;
  return { text: `${formatRatio(ratio.median)}${isUnreliable(ratio) ? UNRELIABLE_MARK : ''}`, hint: interval };
}

/** Lowest and highest round. */
export function intervalText({ min, max }: Pick<Figure, 'min' | 'max'>): string {
  return `${formatNumber(min)} to ${formatNumber(max)}`;
}
