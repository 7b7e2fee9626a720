import { formatNumber } from '../../src/lab/number-text.ts';
import { isUnreliable, median, pairedRatio, type Spread } from '../measure/statistics.ts';
import { type BenchReport, equalRate, isLimitedElsewhere, type PeerResult, type ScenarioResult } from './result.ts';

export { formatNumber };

/** The peer that the others are compared with, where it was measured. */
export const BASELINE = 'envoy';

/** A cell's text; `mark` is set when the figure is unreliable. */
export interface Cell {
  readonly text: string;
  readonly title?: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** What follows a figure whose rounds lie further apart than a fifth of their median. */
export const UNRELIABLE_MARK = ' ~';
/** What follows a figure that may be the load generator's or the backend's own. */
export const GENERATOR_MARK = ' !';

export const LEGEND =
  'Medians; brackets hold the ratio to Envoy of the same rounds. ~ marks rounds that differ by more than 20 %, ' +
  '! a run that something else than the proxy limited: the load generator, the backend, or other work.';

export function figureCell(figure: Spread | undefined, baseline?: Spread | undefined, scale = 1): Cell {
  if (figure === undefined) return { text: '–' };
  const ratio = baseline === undefined ? undefined : pairedRatio(figure.values, baseline.values);
  const ratioText = ratio === undefined ? '' : ` [${ratio.median.toFixed(2)}]`;
  const mark = isUnreliable(figure) ? UNRELIABLE_MARK : '';
  const range = `${formatNumber(figure.min * scale)} to ${formatNumber(figure.max * scale)}`;
  const ratioRange = ratio === undefined ? '' : `; ratio ${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)}`;
  return {
    text: `${formatNumber(figure.median * scale)}${ratioText}${mark}`,
    title: `${range}, MAD ${formatNumber(figure.mad * scale)}${ratioRange}`,
  };
}

/** One row per peer: rate and CPU. */
export function cpuTable(result: ScenarioResult): Table {
  const base = baselineOf(result.peers);
  const rate = equalRate(result.peers.find((peer) => equalRate(peer) !== undefined) ?? { peer: 'direct', rates: [] });
  const atRate = rate === undefined ? [] : [`process µs at ${rate.rate}/s`, `machine µs at ${rate.rate}/s`];
  return {
    title: `${result.scenario.name}: ${result.scenario.summary}`,
    columns: ['peer', 'requests/s', 'process µs', 'machine µs', ...atRate],
    rows: result.peers.map((peer) => {
      const own = base?.peer === peer.peer;
      const of = (figure: Spread | undefined, baseline: Spread | undefined): Cell =>
        figureCell(figure, own ? undefined : baseline);
      const cells = [
        { text: peerLabel(peer) },
        limitedCell(peer, of(peer.saturation?.requestsPerSecond, base?.saturation?.requestsPerSecond)),
        of(peer.saturation?.processMicros, base?.saturation?.processMicros),
        of(peer.saturation?.machineMicros, base?.saturation?.machineMicros),
      ];
      if (rate === undefined) return cells;
      const figures = equalRate(peer);
      const baseFigures = base && equalRate(base);
      cells.push(
        of(figures?.processMicros, baseFigures?.processMicros),
        of(figures?.machineMicros, baseFigures?.machineMicros),
      );
      return cells;
    }),
  };
}

function limitedCell({ saturation }: PeerResult, cell: Cell): Cell {
  if (saturation === undefined || !isLimitedElsewhere(saturation)) return cell;
  const title = `the proxy used ${saturation.cpuPercent} % of a core; ${cell.title ?? ''}`;
  return { text: `${cell.text}${GENERATOR_MARK}`, title };
}

/** One row per peer and rate; undefined when no fixed rate was measured. */
export function latencyTable(result: ScenarioResult): Table | undefined {
  const base = baselineOf(result.peers);
  const rows: Cell[][] = [];
  const shares = [...new Set(result.peers.flatMap((peer) => peer.rates.map((rate) => rate.share)))].sort(
    (a, b) => a - b,
  );
  for (const share of shares) {
    for (const peer of result.peers) {
      const rate = peer.rates.find((candidate) => candidate.share === share);
      if (rate === undefined) continue;
      const baseRate = base === peer ? undefined : base?.rates.find((candidate) => candidate.share === share);
      const limited = rate.generatorLimits.length > 0;
      rows.push([
        { text: peer.peer },
        { text: `${formatNumber(rate.rate)} (${Math.round(share * 100)} %)` },
        { text: formatNumber(rate.achievedRate.median) },
        figureCell(rate.p50, baseRate?.p50),
        figureCell(rate.p90, baseRate?.p90),
        figureCell(rate.p99, baseRate?.p99),
        figureCell(rate.p999, baseRate?.p999),
        figureCell(rate.max),
        {
          text: [
            ...problems(rate),
            ...(limited ? [`${GENERATOR_MARK.trim()} ${rate.generatorLimits.join(', ')}`] : []),
          ].join('; '),
        },
      ]);
    }
  }
  if (rows.length === 0) return undefined;
  return {
    title: `${result.scenario.name}: latency in µs at fixed rates, from the moment at which a request was due`,
    columns: ['peer', 'rate', 'achieved', 'p50', 'p90', 'p99', 'p99.9', 'max', 'marks'],
    rows,
  };
}

function problems(rate: { readonly errors: number; readonly unanswered: number }): string[] {
  const found: string[] = [];
  if (rate.errors > 0) found.push(`${rate.errors} errors`);
  if (rate.unanswered > 0) found.push(`${rate.unanswered} unanswered`);
  return found;
}

export function memoryTable(report: BenchReport): Table | undefined {
  if (report.memory.length === 0) return undefined;
  const base = report.memory.find((result) => result.peer === BASELINE);
  return {
    title: 'Resident memory, MiB',
    columns: ['peer', 'idle', 'under 1,000 keep-alive connections'],
    rows: report.memory.map((result) => [
      { text: errorLabel(result) },
      figureCell(result.idleKiB, result === base ? undefined : base?.idleKiB, 1 / 1024),
      figureCell(result.loadedKiB, result === base ? undefined : base?.loadedKiB, 1 / 1024),
    ]),
  };
}

export function startTable(report: BenchReport): Table | undefined {
  if (report.start.length === 0) return undefined;
  const base = report.start.find((result) => result.peer === BASELINE);
  return {
    title: 'Start to first 200, ms',
    columns: ['peer', 'start'],
    rows: report.start.map((result) => [
      { text: errorLabel(result) },
      figureCell(result.startMs, result === base ? undefined : base?.startMs),
    ]),
  };
}

/** The ratios to Envoy of a whole report, one row per scenario and peer: what the figures are read from. */
export function ratioTable(report: BenchReport): Table | undefined {
  const rows: Cell[][] = [];
  for (const result of report.scenarios) {
    const base = baselineOf(result.peers);
    if (base === undefined) continue;
    for (const peer of result.peers) {
      if (peer === base || peer.peer === 'direct') continue;
      const rate = equalRate(peer);
      const baseRate = equalRate(base);
      rows.push([
        { text: result.scenario.name },
        { text: peer.peer },
        ratioCell(peer.saturation?.requestsPerSecond, base.saturation?.requestsPerSecond),
        ratioCell(peer.saturation?.processMicros, base.saturation?.processMicros),
        ratioCell(peer.saturation?.machineMicros, base.saturation?.machineMicros),
        ratioCell(rate?.processMicros, baseRate?.processMicros),
        ratioCell(rate?.machineMicros, baseRate?.machineMicros),
        ratioCell(rate?.p50, baseRate?.p50),
        ratioCell(rate?.p99, baseRate?.p99),
      ]);
    }
  }
  if (rows.length === 0) return undefined;
  return {
    title: 'Ratios to Envoy (requests/s: more is better; all others: less is better)',
    columns: [
      'scenario',
      'peer',
      'requests/s',
      'process CPU',
      'machine CPU',
      'process CPU, equal rate',
      'machine CPU, equal rate',
      'p50, equal rate',
      'p99, equal rate',
    ],
    rows,
  };
}

function ratioCell(figure: Spread | undefined, baseline: Spread | undefined): Cell {
  const ratio = figure && baseline && pairedRatio(figure.values, baseline.values);
  if (ratio === undefined) return { text: '–' };
  const mark = isUnreliable(ratio) ? UNRELIABLE_MARK : '';
  return { text: `${ratio.median.toFixed(2)}${mark}`, title: `${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)}` };
}

export function baselineOf(peers: readonly PeerResult[]): PeerResult | undefined {
  return peers.find((peer) => peer.peer === BASELINE && peer.saturation !== undefined);
}

/** Median over scenarios of a peer's CPU ratio, for the closing line; undefined without a baseline. */
export function overallCpuRatio(report: BenchReport, peer: string): number | undefined {
  const ratios = report.scenarios.flatMap((result) => {
    const own = result.peers.find((candidate) => candidate.peer === peer)?.saturation?.processMicros;
    const base = baselineOf(result.peers)?.saturation?.processMicros;
    const ratio = own && base && pairedRatio(own.values, base.values);
    return ratio === undefined ? [] : [ratio.median];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

/** What failed, and the first line of why. */
export function failureLines(report: BenchReport): string[] {
  const failures: [where: string, peer: string, error: string | undefined][] = [
    ...report.scenarios.flatMap(({ scenario, peers }) =>
      peers.map(({ peer, error }): [string, string, string | undefined] => [scenario.name, peer, error]),
    ),
    ...report.memory.map(({ peer, error }): [string, string, string | undefined] => ['memory', peer, error]),
    ...report.start.map(({ peer, error }): [string, string, string | undefined] => ['start', peer, error]),
    ...report.idle.map(({ peer, error }): [string, string, string | undefined] => ['idle', peer, error]),
    ...report.scaling.map(({ peer, error }): [string, string, string | undefined] => ['scaling', peer, error]),
  ];
  return failures.flatMap(([where, peer, error]) =>
    error === undefined ? [] : [`Failed: ${where}, ${peer}: ${error.split('\n', 1)[0]}`],
  );
}

function peerLabel(peer: PeerResult): string {
  const errors = peer.saturation?.errors ?? 0;
  return errors > 0 ? `${errorLabel(peer)} (${errors} errors)` : errorLabel(peer);
}

/** The peer's name, and whether it failed. */
export function errorLabel(result: { readonly peer: string; readonly error?: string }): string {
  return result.error === undefined ? result.peer : `${result.peer} (failed)`;
}
