import type { Characterization, SizeResult } from '../../characterize/characterization.ts';
import { sizeFits } from '../../characterize/size-fit.ts';
import { logAxis, sizeAxis } from '../chart/axis.ts';
import { type Panel, type PanelPoint, panels } from '../chart/panels.ts';
import { numberedSeries, seriesOf } from '../chart/series.ts';
import { type Cell, cells, type Figure, type Section, type Table } from '../document.ts';
import { formatBytes, formatNumber, percent, shortMicros } from '../number-text.ts';
import { BASELINE, figureCell, intervalText, labelOf, peerLabel, peersOf, rowOf } from '../view.ts';
import { COMPONENT_ROWS, componentSums } from './components.ts';

/** CPU time by message size, after the paper's Figure 18; undefined where none was swept. */
export function sizeSection(c: Characterization): Section | undefined {
  if (c.sizes.length === 0) return undefined;
  const names = [...new Set(c.sizes.map(({ configuration }) => configuration))];
  const titleOf = (name: string): string => {
    const found = c.configurations.find((one) => one.name === name);
    return found === undefined ? name : labelOf(found);
  };
  const rows = names.map((name) => ({
    name,
    title: titleOf(name),
    sizes: c.sizes.filter(({ configuration }) => configuration === name).toSorted((a, b) => a.bytes - b.bytes),
  }));
  const figures = [wholeFigure(c, rows), ...peersOf(c).flatMap((peer) => componentFigure(c, rows, peer))];
  return {
    id: 'sizes',
    title: 'Message sizes',
    paragraphs: ['Bodies of responses grow; everything else stays as it is (the paper’s appendix B.2).'],
    tables: [],
    figures,
  };
}

interface Sweep {
  readonly name: string;
  readonly title: string;
  readonly sizes: readonly SizeResult[];
}

function wholeFigure(c: Characterization, rows: readonly Sweep[]): Figure {
  const peers = peersOf(c);
  const drawn = rows.map(
    ({ title, sizes }): Panel => ({
      title,
      lines: peers.flatMap((peer) => {
        const points = sizes.flatMap((size): PanelPoint[] => {
          const figure = rowOf(size, peer)?.cpuMicros;
          if (figure === undefined) return [];
          const note = `${formatBytes(size.bytes)}, ${formatNumber(figure.median)} µs`;
          return [{ x: size.bytes, y: figure.median, low: figure.min, high: figure.max, note }];
        });
        return points.length === 0 ? [] : [{ series: seriesOf(peer), points }];
      }),
    }),
  );
  const points = drawn.flatMap(({ lines }) => lines.flatMap((line) => line.points));
  return {
    id: 'sizes',
    title: 'CPU time per request by message size',
    caption: 'After Figure 18 of the paper; both axes are logarithmic.',
    charts: [
      panels({
        title: 'CPU time per request by message size, configuration and proxy',
        description:
          'A small plot for each configuration with a line for each proxy. The tables below have every number.',
        xTitle: '→ size of the response’s body (logarithmic)',
        yTitle: '↑ CPU time per request (logarithmic)',
        x: sizeAxis(
          c.sizes.map(({ bytes }) => bytes),
          formatBytes,
        ),
        y: logAxis(
          points.flatMap(({ y, low = y, high = y }) => [y, low, high]),
          shortMicros,
        ),
        series: peers.map(seriesOf),
        panels: drawn,
      }),
    ],
    tables: [sizeTable(rows, peers), fitTable(c, rows)],
    command: sweepCommand(c),
  };
}

/** The command that all sizes have in common, where they have; else that of the whole run. */
function sweepCommand(c: Characterization): string {
  const commands = new Set(c.sizes.map(({ command }) => command));
  return commands.size === 1 ? ([...commands][0] as string) : c.command;
}

function sizeTable(rows: readonly Sweep[], peers: readonly string[]): Table {
  return {
    title: 'By size',
    columns: ['configuration', 'size', 'proxy', 'CPU, µs', 'lowest to highest', 'requests/s', 'notes'],
    rows: rows.flatMap(({ title, sizes }) =>
      sizes.flatMap((size) =>
        peers.flatMap((peer): Cell[][] => {
          const row = rowOf(size, peer);
          if (row === undefined) return [];
          const base = peer === BASELINE ? undefined : rowOf(size, BASELINE);
          return [
            [
              { text: title },
              { text: formatBytes(size.bytes) },
              { text: peerLabel(peer) },
              figureCell(row.cpuMicros, base?.cpuMicros),
              { text: row.cpuMicros === undefined ? '–' : intervalText(row.cpuMicros) },
              figureCell(row.requestsPerSecond, base?.requestsPerSecond),
              { text: row.error?.split('\n', 1)[0] ?? (row.errors > 0 ? `${row.errors} requests failed` : '') },
            ],
          ];
        }),
      ),
    ),
  };
}

function fitTable(c: Characterization, rows: readonly Sweep[]): Table {
  const fits = sizeFits(c);
  return {
    title: 'A straight line through them: µs = a + b · KiB (the model of MeshInsight)',
    columns: ['configuration', 'proxy', 'a, µs', 'b, µs per KiB', 'R²', 'is it a model?'],
    rows: rows.flatMap(({ name, title }) =>
      fits
        .filter(({ configuration }) => configuration === name)
        .map(({ peer, interceptMicros = Number.NaN, microsPerKiB = Number.NaN, rSquared, isLinear, why }) =>
          cells(
            title,
            peerLabel(peer),
            formatNumber(interceptMicros),
            formatNumber(microsPerKiB),
            rSquared === undefined ? '–' : rSquared.toFixed(3),
            [isLinear === true ? 'yes' : 'no', why].filter((text) => text !== undefined).join(': '),
          ),
        ),
    ),
  };
}

/** A plot for each component of one proxy, with a line for each configuration; none where nothing was taken apart. */
function componentFigure(c: Characterization, rows: readonly Sweep[], peer: string): Figure[] {
  const taken = rows.map(({ title, sizes }) => ({
    title,
    points: sizes.flatMap((size) => {
      const breakdown = rowOf(size, peer)?.breakdown;
      return breakdown === undefined ? [] : [{ bytes: size.bytes, breakdown, sums: componentSums(breakdown) }];
    }),
  }));
  const present = COMPONENT_ROWS.filter((row) => taken.some(({ points }) => points.some(({ sums }) => sums.has(row))));
  if (present.length === 0) return [];
  const series = taken.map(({ title }, i) => numberedSeries(title, i));
  const drawn = present.map((row): Panel => {
    const lines = taken.map(({ points }, i) => ({
      series: series[i]!,
      points: points.flatMap(({ bytes, sums }): PanelPoint[] => {
        const y = sums.get(row);
        return y === undefined ? [] : [{ x: bytes, y, note: `${formatBytes(bytes)}, ${formatNumber(y)} µs` }];
      }),
    }));
    return { title: row, lines };
  });
  const values = drawn.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(({ y }) => y)));
  const largest = Math.max(0, ...values.filter(Number.isFinite));
  const table: Table = {
    title: `${peerLabel(peer)}: µs per request by component (share)`,
    columns: ['configuration', 'size', 'all', ...present],
    rows: taken.flatMap(({ title, points }) =>
      points.map(({ bytes, breakdown, sums }) =>
        cells(
          title,
          formatBytes(bytes),
          formatNumber(breakdown.cpuMicros),
          ...present.map((row) => {
            const value = sums.get(row);
            return value === undefined ? '–' : `${formatNumber(value)} (${percent(value / breakdown.cpuMicros)})`;
          }),
        ),
      ),
    ),
  };
  return [
    {
      id: `sizes-${peer.replaceAll(/[^a-z0-9-]/gi, '-')}`,
      title: `${peerLabel(peer)}: components by message size`,
      caption:
        'A plot for each component, a line for each configuration. Both axes are logarithmic and the same in all plots; what is ' +
        'below a thousandth of the largest figure lies on the lower edge, what is not above zero is left out.',
      charts: [
        panels({
          title: `CPU time of ${peerLabel(peer)}’s components by message size`,
          description: `${present.length} small plots, one for each component. The table below has every number.`,
          xTitle: '→ size of the response’s body (logarithmic)',
          yTitle: '↑ CPU time per request (logarithmic)',
          x: sizeAxis(
            c.sizes.map(({ bytes }) => bytes),
            formatBytes,
          ),
          y: logAxis(
            values.filter((value) => value >= largest / 1000),
            shortMicros,
          ),
          series,
          panels: drawn,
        }),
      ],
      tables: [table],
      command: sweepCommand(c),
    },
  ];
}
