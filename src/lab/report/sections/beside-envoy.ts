import type { Characterization, ConfigurationResult, PeerCharacter } from '../../characterize/characterization.ts';
import { logAxis } from '../chart/axis.ts';
import { type DotRow, dotRows } from '../chart/dot-rows.ts';
import { pointEntry } from '../chart/legend.ts';
import { type Panel, panels } from '../chart/panels.ts';
import { seriesOf } from '../chart/series.ts';
import { type Cell, cells, type Figure, type Section, type Table } from '../document.ts';
import { formatNumber, formatRatio, percent, shortMicros, shortNumber } from '../number-text.ts';
import {
  BASELINE,
  figureCell,
  intervalText,
  LEGEND,
  labelOf,
  levelOf,
  measuredOf,
  peerLabel,
  peersOf,
  ratioCell,
  ratioOf,
  rowOf,
  SATURATED_PERCENT,
} from '../view.ts';

/** The level whose latency stands in the table of ratios. */
const USUAL_LEVEL = 0.5;

/** CPU, throughput and latency of each configuration, and their ratios to Envoy's. */
export function besideEnvoy(c: Characterization): Section {
  const ratios = ratioTable(c);
  return {
    id: 'beside-envoy',
    title: 'Throughput, latency and CPU time beside Envoy',
    paragraphs: [
      'Every proxy gets the same configuration, the same load and one core. The highest rate and the CPU time per request ' +
        'are those of a closed loop that keeps the proxy busy; latencies are those of fixed rates, which were chosen for ' +
        'each proxy so that it uses 20 and 50 % of its core, and count from the moment at which a request was due. ' +
        'A proxy that spends less on a request is thus held to a higher rate.',
      LEGEND,
    ],
    tables: ratios === undefined ? [] : [ratios],
    figures: [cpuFigure(c), throughputLatency(c)].filter((figure) => figure !== undefined),
  };
}

/** Undefined where Envoy was not measured. */
export function ratioTable(c: Characterization): Table | undefined {
  const others = peersOf(c).filter((peer) => peer !== BASELINE);
  const rows: Cell[][] = [];
  for (const configuration of measuredOf(c)) {
    const base = rowOf(configuration, BASELINE);
    if (base?.cpuMicros === undefined) continue;
    for (const peer of others) {
      const own = rowOf(configuration, peer);
      if (own === undefined) continue;
      const levels = [levelOf(own, USUAL_LEVEL), levelOf(base, USUAL_LEVEL)];
      // Where the generator was late, both latencies may be its own.
      const [level, baseLevel] = levels.some((one) => (one?.generatorLimits.length ?? 0) > 0) ? [] : levels;
      rows.push([
        { text: labelOf(configuration) },
        { text: peerLabel(peer) },
        ratioCell(own.cpuMicros, base.cpuMicros),
        ratioCell(own.requestsPerSecond, base.requestsPerSecond),
        ratioCell(level?.p50, baseLevel?.p50),
        ratioCell(level?.p99, baseLevel?.p99),
      ]);
    }
  }
  if (rows.length === 0) return undefined;
  const half = `at ${percent(USUAL_LEVEL)} of a core`;
  const titles = ['configuration', 'proxy', 'CPU per request', 'requests/s', `p50 ${half}`, `p99 ${half}`];
  // A run without fixed rates has no latencies: no column of dashes.
  const columns = [0, 1, ...[2, 3, 4, 5].filter((column) => rows.some((row) => row[column]?.text !== '–'))];
  return {
    title: 'Ratios to Envoy in the same rounds: requests per second, more is better; all others, less is better',
    columns: columns.map((column) => titles[column]!),
    rows: rows.map((row) => columns.map((column) => row[column]!)),
    command: c.command,
  };
}

function cpuFigure(c: Characterization): Figure {
  const peers = peersOf(c);
  const configurations = c.configurations;
  const rows = configurations.map((configuration): DotRow => {
    const base = rowOf(configuration, BASELINE)?.cpuMicros;
    const dots = peers.flatMap((peer) => {
      const figure = rowOf(configuration, peer)?.cpuMicros;
      if (figure === undefined) return [];
      const ratio = peer === BASELINE ? undefined : ratioOf(figure, base);
      const beside = ratio === undefined ? '' : ` (${formatRatio(ratio.median)} × Envoy)`;
      const note = `${formatNumber(figure.median)} µs${beside}`;
      return [{ series: seriesOf(peer), value: figure.median, low: figure.min, high: figure.max, note }];
    });
    const missing = dots.length === 0 ? whyMissing(configuration) : undefined;
    return { label: labelOf(configuration), dots, ...(missing === undefined ? {} : { missing }) };
  });
  const values = rows.flatMap(({ dots }) => dots.flatMap(({ value, low, high }) => [value, low, high]));
  return {
    id: 'cpu',
    title: 'CPU time per request at saturation',
    caption:
      'Of the proxy’s process; the line through a point goes from the lowest to the highest round. The axis is logarithmic: ' +
      'the same distance is the same ratio.',
    charts: [
      dotRows({
        title: 'CPU time per request at saturation, by configuration and proxy',
        description: `A row for each configuration with a point for each proxy, ${peers.map(peerLabel).join(', ')}. The table below has every number.`,
        axisTitle: 'CPU time per request, µs (logarithmic)',
        axis: logAxis(values, shortNumber),
        legend: peers.map((peer) => pointEntry(seriesOf(peer))),
        rows,
      }),
    ],
    tables: [saturationTable(configurations, peers)],
    command: c.command,
  };
}

/** Why a configuration has no figures at all, in words. */
export function whyMissing({ open, peers }: ConfigurationResult): string {
  if (open !== undefined) return `open: ${open}`;
  return peers.find(({ error }) => error !== undefined)?.error?.split('\n', 1)[0] ?? 'not measured';
}

function saturationTable(configurations: readonly ConfigurationResult[], peers: readonly string[]): Table {
  const rows = configurations.flatMap((configuration): Cell[][] => {
    if (configuration.open !== undefined)
      return [cells(labelOf(configuration), 'open', '–', '–', '–', '–', configuration.open)];
    const base = rowOf(configuration, BASELINE);
    return peers.flatMap((peer) => {
      const row = rowOf(configuration, peer);
      if (row === undefined) return [];
      const of = peer === BASELINE ? undefined : base;
      const isLimited = (row.cpuPercent ?? 100) < SATURATED_PERCENT;
      return [
        [
          { text: labelOf(configuration) },
          { text: peerLabel(peer) },
          figureCell(row.cpuMicros, of?.cpuMicros),
          { text: row.cpuMicros === undefined ? '–' : intervalText(row.cpuMicros) },
          figureCell(row.requestsPerSecond, of?.requestsPerSecond, isLimited),
          { text: row.cpuPercent === undefined ? '–' : `${formatNumber(row.cpuPercent)} %` },
          { text: problemsOf(row).join('; ') },
        ],
      ];
    });
  });
  return {
    title: 'At saturation',
    columns: ['configuration', 'proxy', 'CPU, µs', 'lowest to highest', 'requests/s', 'of its core', 'marks'],
    rows,
  };
}

function problemsOf({ error, errors }: Pick<PeerCharacter, 'error' | 'errors'>): string[] {
  return [
    ...(error === undefined ? [] : [error.split('\n', 1)[0] as string]),
    ...(errors > 0 ? [`${errors} requests failed`] : []),
  ];
}

/** Undefined where no fixed rates were measured. */
function throughputLatency(c: Characterization): Figure | undefined {
  const peers = peersOf(c);
  const configurations = c.configurations.filter(
    ({ open, peers: rows }) => open === undefined && rows.some(({ levels }) => levels.length > 0),
  );
  if (configurations.length === 0) return undefined;
  const drawn = configurations.map((configuration): Panel => {
    const lines = peers.flatMap((peer) => {
      const levels = rowOf(configuration, peer)?.levels ?? [];
      const points = levels.map(({ level, loop, achievedRate, p99 }) => ({
        x: achievedRate.median,
        y: p99.median,
        low: p99.min,
        high: p99.max,
        isHollow: loop === 'closed',
        note: `${percent(level)} of a core, ${formatNumber(achievedRate.median)} requests/s, p99 ${formatNumber(p99.median)} µs`,
      }));
      return points.length === 0 ? [] : [{ series: seriesOf(peer), points }];
    });
    return { title: labelOf(configuration), lines };
  });
  const points = drawn.flatMap(({ lines }) => lines.flatMap((line) => line.points));
  return {
    id: 'throughput-latency',
    title: 'Tail latency against throughput',
    caption:
      'After Figure 6 of the paper: a plot for each configuration over the same two logarithmic axes. The points of a line ' +
      'are the rates at which the proxy uses 20, 50 and 100 % of its core: further right is more throughput, further down ' +
      'is less latency. Hollow points are those of the closed loop, which waits for each answer before it asks again.',
    charts: [
      panels({
        title: 'Tail latency against throughput, by configuration and proxy',
        description: `${drawn.length} small plots. In each, a line for each proxy goes through its latencies at three rates. The table below has every number.`,
        xTitle: '→ requests per second',
        yTitle: '↑ 99th percentile of latency',
        x: logAxis(
          points.map(({ x }) => x),
          shortNumber,
        ),
        y: logAxis(
          points.flatMap(({ y, low = y, high = y }) => [y, low, high]),
          shortMicros,
        ),
        series: peers.map(seriesOf),
        panels: drawn,
      }),
    ],
    tables: [levelTable(configurations, peers)],
    command: c.command,
  };
}

function levelTable(configurations: readonly ConfigurationResult[], peers: readonly string[]): Table {
  const rows = configurations.flatMap((configuration) =>
    peers.flatMap((peer) =>
      (rowOf(configuration, peer)?.levels ?? []).map((level): Cell[] => {
        const base = peer === BASELINE ? undefined : levelOf(rowOf(configuration, BASELINE), level.level);
        const isLimited = level.generatorLimits.length > 0;
        const marks = [
          ...(level.errors > 0 ? [`${level.errors} errors`] : []),
          ...(level.unanswered > 0 ? [`${level.unanswered} unanswered`] : []),
          ...level.generatorLimits,
          ...(level.loop === 'closed' ? ['closed loop'] : []),
        ];
        return [
          { text: labelOf(configuration) },
          { text: peerLabel(peer) },
          { text: percent(level.level) },
          { text: formatNumber(level.cpuPercent.median), hint: intervalText(level.cpuPercent) },
          figureCell(level.achievedRate, undefined, isLimited),
          figureCell(level.p50, base?.p50),
          figureCell(level.p90, base?.p90),
          figureCell(level.p99, base?.p99),
          { text: marks.join('; ') },
        ];
      }),
    ),
  );
  return {
    title: 'At fixed rates; latencies in µs, [ratio to Envoy at its own rate of the same level]',
    columns: ['configuration', 'proxy', 'level', 'CPU, % of a core', 'requests/s', 'p50', 'p90', 'p99', 'marks'],
    rows,
  };
}
