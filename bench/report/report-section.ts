import { linearAxis, logAxis } from '../../src/lab/report/chart/axis.ts';
import { type DotRow, dotRows } from '../../src/lab/report/chart/dot-rows.ts';
import { pointEntry } from '../../src/lab/report/chart/legend.ts';
import { type Panel, panels } from '../../src/lab/report/chart/panels.ts';
import { seriesOf } from '../../src/lab/report/chart/series.ts';
import type { Figure, Table as ReportTable, Section } from '../../src/lab/report/document.ts';
import { percent, shortMicros } from '../../src/lab/report/number-text.ts';
import type { Spread } from '../../src/lab/statistics.ts';
import { addedTable } from './added-table.ts';
import { factLines } from './console.ts';
import { idleTable } from './idle-table.ts';
import type { BenchReport } from './result.ts';
import { scalingTable } from './scaling-table.ts';
import { LAST_PERCENTILE, percentileAxis } from './svg.ts';
import {
  cpuTable,
  formatNumber,
  LEGEND,
  latencyTable,
  memoryTable,
  ratioTable,
  startTable,
  type Table,
} from './tables.ts';

/**
 * A run of the benchmark as a section of a report.
 *
 * @param index of several runs: keeps the names of their figures apart
 */
export function benchSection(report: BenchReport, index: number): Section {
  const suffix = index === 0 ? '' : `-${index + 1}`;
  const ratios = ratioTable(report);
  const figures = [latencyFigure(report, suffix), memoryFigure(report, suffix), startFigure(report, suffix)];
  const added = addedTable(report);
  const scaling = scalingTable(report);
  return {
    id: `benchmark${suffix}`,
    title: `Benchmark of ${report.startedAt.slice(0, 10)}${index === 0 ? '' : `, run ${index + 1}`}`,
    paragraphs: [...factLines(report), LEGEND],
    tables: [
      ...(ratios === undefined ? [] : [{ ...reportTable(ratios), command: report.command }]),
      ...(added === undefined ? [] : [{ ...reportTable(added), command: report.command }]),
      ...report.scenarios.map((result) => ({ ...reportTable(cpuTable(result)), command: result.command })),
      ...(scaling === undefined ? [] : [{ ...reportTable(scaling), command: report.command }]),
    ],
    figures: figures.filter((figure) => figure !== undefined),
  };
}

function reportTable({ title, columns, rows }: Table): ReportTable {
  return {
    title,
    columns,
    rows: rows.map((row) => row.map(({ text, title: hint }) => (hint === undefined ? { text } : { text, hint }))),
  };
}

/** A plot for each scenario and rate, over the axis of percentiles that latency plots have. */
function latencyFigure(report: BenchReport, suffix: string): Figure | undefined {
  const drawn = report.scenarios.flatMap(({ scenario, peers }) => {
    const shares = [...new Set(peers.flatMap(({ rates }) => rates.map(({ share }) => share)))].sort((a, b) => a - b);
    return shares.map((share): Panel => {
      const lines = peers.flatMap(({ peer, rates }) => {
        const rate = rates.find((one) => one.share === share);
        if (rate === undefined) return [];
        const points = rate.curve
          .filter(([at, micros]) => at > 0 && at <= LAST_PERCENTILE && micros > 0)
          .map(([x, y]) => ({ x, y, note: `p${x} ${formatNumber(y)} µs at ${formatNumber(rate.rate)}/s` }));
        return points.length === 0 ? [] : [{ series: seriesOf(peer), points }];
      });
      return { title: `${scenario.name}, ${percent(share)}`, lines };
    });
  });
  const values = drawn.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(({ y }) => y)));
  if (values.length === 0) return undefined;
  const percentiles = percentileAxis();
  return {
    id: `benchmark-latency${suffix}`,
    title: 'Latency by percentile at fixed rates',
    caption:
      'A plot for each scenario and rate; rates are shares of the slowest proxy’s highest. Latency counts from the moment at ' +
      'which a request was due. On the axis of percentiles each nine takes as much room as the one before.',
    charts: [
      panels({
        title: 'Latency by percentile, scenario, rate and proxy',
        description: `${drawn.length} small plots with a line for each proxy. The tables below have the usual percentiles.`,
        xTitle: '→ percentile of requests',
        yTitle: '↑ latency (logarithmic)',
        x: { ...percentiles, isBeyond: (value) => value > LAST_PERCENTILE },
        y: logAxis(values, shortMicros),
        series: [...new Map(drawn.flatMap(({ lines }) => lines.map(({ series }) => [series.label, series]))).values()],
        panels: drawn,
        hasPoints: false,
      }),
    ],
    tables: report.scenarios
      .map(latencyTable)
      .filter((table) => table !== undefined)
      .map(reportTable),
    command: report.command,
  };
}

interface Kind {
  readonly label: string;
  readonly of: readonly { readonly peer: string; readonly figure: Spread | undefined }[];
}

function memoryFigure(report: BenchReport, suffix: string): Figure | undefined {
  const kinds: Kind[] = [
    { label: 'Idle', of: report.memory.map(({ peer, idleKiB }) => ({ peer, figure: idleKiB })) },
    {
      label: 'Under 1,000 keep-alive connections',
      of: report.memory.map(({ peer, loadedKiB }) => ({ peer, figure: loadedKiB })),
    },
    {
      label: 'With 10,000 idle connections',
      of: report.idle.map(({ peer, connectedKiB }) => ({ peer, figure: connectedKiB })),
    },
  ];
  return kindsFigure(report, kinds, {
    id: `benchmark-memory${suffix}`,
    title: 'Resident memory',
    unit: 'MiB',
    scale: 1 / 1024,
    tables: [memoryTable(report), idleTable(report)],
  });
}

function startFigure(report: BenchReport, suffix: string): Figure | undefined {
  const of = report.start.map(({ peer, startMs }) => ({ peer, figure: startMs }));
  return kindsFigure(report, [{ label: 'From the start to the first 200', of }], {
    id: `benchmark-start${suffix}`,
    title: 'Start',
    unit: 'ms',
    scale: 1,
    tables: [startTable(report)],
  });
}

interface KindsSpec {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly scale: number;
  readonly tables: readonly (Table | undefined)[];
}

function kindsFigure(
  report: BenchReport,
  kinds: readonly Kind[],
  { id, title, unit, scale, tables }: KindsSpec,
): Figure | undefined {
  const rows = kinds.flatMap(({ label, of }): DotRow[] => {
    const dots = of.flatMap(({ peer, figure }) =>
      figure === undefined
        ? []
        : [
            {
              series: seriesOf(peer),
              value: figure.median * scale,
              low: figure.min * scale,
              high: figure.max * scale,
              note: `${formatNumber(figure.median * scale)} ${unit}`,
            },
          ],
    );
    return dots.length === 0 ? [] : [{ label, dots }];
  });
  if (rows.length === 0) return undefined;
  const used = new Set(rows.flatMap(({ dots }) => dots.map(({ series }) => series.label)));
  return {
    id,
    title,
    caption: 'The line through a point goes from the lowest to the highest round.',
    charts: [
      dotRows({
        title: `${title} by proxy`,
        description: 'A point for each proxy. The table below has every number.',
        axisTitle: `${title.toLowerCase()}, ${unit}`,
        axis: linearAxis(rows.flatMap(({ dots }) => dots.map(({ high }) => high))),
        legend: report.peers
          .map(({ name }) => seriesOf(name))
          .filter(({ label }) => used.has(label))
          .map(pointEntry),
        rows,
      }),
    ],
    tables: tables.filter((table) => table !== undefined).map(reportTable),
    command: report.command,
  };
}
