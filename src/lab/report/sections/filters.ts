import {
  type AdditiveModel,
  additiveModel,
  type FilterCost,
  type MixCheck,
} from '../../characterize/additive-model.ts';
import type { Characterization } from '../../characterize/characterization.ts';
import { TABLE3, table3Error, table3Row } from '../../characterize/paper-columns.ts';
import type { Combined } from '../../characterize/rounds.ts';
import { cutLimit, linearAxis, logAxis } from '../chart/axis.ts';
import { type Dot, type DotRow, dotRows } from '../chart/dot-rows.ts';
import { type LegendEntry, pointEntry } from '../chart/legend.ts';
import { marker, seriesOf } from '../chart/series.ts';
import { type Cell, cells, type Figure, type Section, type Table } from '../document.ts';
import { formatNumber, shortNumber, signedPercent } from '../number-text.ts';
import { intervalText, labelOf, peerLabel, peersOf } from '../view.ts';

/** What each filter costs, and whether costs add up; undefined where no configuration has a base. */
export function filterSection(c: Characterization, model: AdditiveModel = additiveModel(c)): Section | undefined {
  const figures = [costFigure(c, model), additivityFigure(c, model)].filter((figure) => figure !== undefined);
  if (figures.length === 0) return undefined;
  return {
    id: 'filters',
    title: 'What filters cost, and whether costs add up',
    paragraphs: [
      'A filter’s cost is the CPU time per request of the configuration with it, less that of its base, round by round: what ' +
        'drifts between rounds cancels out. Costs of single filters, added to the base, predict what a mix of them costs ' +
        '(the additive model of the paper’s §5.2).',
    ],
    tables: [],
    figures,
  };
}

function titles(c: Characterization): (name: string) => string {
  const byName = new Map(c.configurations.map((one) => [one.name, labelOf(one)]));
  return (name) => byName.get(name) ?? name;
}

function costFigure(c: Characterization, { costs }: AdditiveModel): Figure | undefined {
  const shown = costs.filter(({ micros }) => micros !== undefined);
  if (shown.length === 0) return undefined;
  const peers = peersOf(c);
  const titleOf = titles(c);
  const names = c.configurations
    .map(({ name }) => name)
    .filter((name) => costs.some((one) => one.configuration === name));
  const values = shown.flatMap(({ micros }) => [micros!.median, micros!.min, micros!.max]);
  const limit = cutLimit(values);
  const axis = linearAxis(values.map((value) => Math.max(-limit, Math.min(value, limit))));
  const rows = names.map((name): DotRow => {
    const own = peers.flatMap((peer) => costs.find((one) => one.configuration === name && one.peer === peer) ?? []);
    const dots = own.flatMap((cost) => dotOf(cost));
    const missing = dots.length === 0 ? { missing: own[0]?.why ?? 'not measured' } : {};
    return { label: titleOf(name), dots, ...missing };
  });
  return {
    id: 'filters',
    title: 'CPU time that a configuration adds to its base',
    caption:
      'Points are medians of the rounds, lines go from the lowest to the highest round. Below zero lies what is smaller than ' +
      `the noise of two runs.${values.some((value) => value > limit) ? ' An arrow at the right edge stands for a point beyond it.' : ''}`,
    charts: [
      dotRows({
        title: 'CPU time that each configuration adds to its base, by proxy',
        description:
          'A row for each configuration, with a point and an interval for each proxy. The table below has every number.',
        axisTitle: 'CPU time added per request, µs',
        axis,
        legend: peers.map((peer) => pointEntry(seriesOf(peer))),
        rows,
      }),
    ],
    tables: [costTable(c, costs)],
    command: c.command,
  };
}

function dotOf({ peer, micros, relative }: FilterCost): Dot[] {
  if (micros === undefined) return [];
  const share = relative === undefined ? '' : ` (${signedPercent(relative.median, 0)})`;
  const note = `${formatNumber(micros.median)} µs${share}`;
  return [{ series: seriesOf(peer), value: micros.median, low: micros.min, high: micros.max, note }];
}

function costTable(c: Characterization, costs: readonly FilterCost[]): Table {
  const titleOf = titles(c);
  const rows = c.configurations.flatMap(({ name }) =>
    peersOf(c).flatMap((peer) => {
      const cost = costs.find((one) => one.configuration === name && one.peer === peer);
      if (cost === undefined) return [];
      const { micros, relative, symbols, base, why, notes } = cost;
      return [
        cells(
          titleOf(name),
          peerLabel(peer),
          titleOf(base),
          micros === undefined ? '–' : formatNumber(micros.median),
          micros === undefined ? '–' : intervalText(micros),
          relative === undefined ? '–' : signedPercent(relative.median),
          symbols === undefined ? '–' : `${formatNumber(symbols.micros)} ± ${formatNumber(symbols.deviation)}`,
          why ?? notes.join('; '),
        ),
      ];
    }),
  );
  return {
    title: 'Costs of filters, µs per request',
    columns: ['configuration', 'proxy', 'base', 'added', 'lowest to highest', 'of the base', 'by symbols', 'notes'],
    rows,
  };
}

function additivityFigure(c: Characterization, { mixes }: AdditiveModel): Figure | undefined {
  if (mixes.length === 0) return undefined;
  const titleOf = titles(c);
  const peers = peersOf(c);
  const ordered = c.configurations.flatMap(({ name }) =>
    peers.flatMap((peer) => mixes.find((one) => one.configuration === name && one.peer === peer) ?? []),
  );
  const rows = [...new Set(ordered.map(({ configuration }) => configuration))].map((name): DotRow => {
    const own = ordered.filter(({ configuration }) => configuration === name);
    const dots = own.flatMap(mixDot);
    return { label: titleOf(name), dots, ...(dots.length === 0 ? { missing: own[0]?.why ?? 'not measured' } : {}) };
  });
  const values = rows.flatMap(({ dots }) => dots.flatMap((dot) => [dot.value, dot.low, dot.high, dot.predicted ?? 0]));
  const entries = peers.flatMap((peer): LegendEntry[] => {
    const series = seriesOf(peer);
    const measured = pointEntry(series);
    return [
      { ...measured, label: `${series.label}, measured` },
      { label: `${series.label}, predicted`, sample: (x, y) => marker(series, x, y, true) },
    ];
  });
  return {
    id: 'additivity',
    title: 'Mixes of filters: predicted and measured',
    caption:
      'Hollow: the base and the costs of single filters added up; filled: the mix itself, with its lowest and highest round. ' +
      'The error is (predicted − measured) / measured. Beside it in the table stands the paper’s Table 3, whose cycles are ' +
      'those of another machine: compare errors, not times.',
    charts: [
      dotRows({
        title: 'Predicted and measured CPU time of mixes of filters, by proxy',
        description:
          'A row for each mix; for each proxy a hollow mark for the prediction and a filled one for the measurement. The tables below have every number.',
        axisTitle: 'CPU time per request, µs (logarithmic)',
        axis: logAxis(values, shortNumber),
        legend: entries,
        rows,
      }),
    ],
    tables: [mixTable(ordered, titleOf), table3(c)],
    command: c.command,
  };
}

function mixDot({ peer, measured, predicted, errorPercent }: MixCheck): Dot[] {
  if (measured === undefined || predicted === undefined || errorPercent === undefined) return [];
  const note = `${signedPercent(errorPercent.median / 100)}`;
  return [
    {
      series: seriesOf(peer),
      value: measured.median,
      low: measured.min,
      high: measured.max,
      predicted: predicted.median,
      note,
    },
  ];
}

function mixTable(mixes: readonly MixCheck[], titleOf: (name: string) => string): Table {
  const micros = (figure: Combined | undefined): Cell =>
    figure === undefined ? { text: '–' } : { text: `${formatNumber(figure.median)} (${intervalText(figure)})` };
  const error = (figure: Combined | undefined): Cell =>
    figure === undefined
      ? { text: '–' }
      : {
          text: signedPercent(figure.median / 100),
          hint: `${signedPercent(figure.min / 100)} to ${signedPercent(figure.max / 100)}`,
        };
  return {
    title: 'Predicted and measured, µs per request (lowest to highest round)',
    columns: [
      'mix',
      'proxy',
      'of',
      'predicted',
      'measured',
      'error',
      'filters predicted',
      'filters measured',
      'error',
      'notes',
    ],
    rows: mixes.map((mix) => [
      { text: titleOf(mix.configuration) },
      { text: peerLabel(mix.peer) },
      { text: mix.parts.map(titleOf).join(' + ') },
      micros(mix.predicted),
      micros(mix.measured),
      error(mix.errorPercent),
      micros(mix.predictedFilter),
      micros(mix.measuredFilter),
      error(mix.filterErrorPercent),
      { text: mix.why ?? mix.notes.join('; ') },
    ]),
  };
}

/** The paper's Table 3, and what stands for its columns here. */
function table3(c: Characterization): Table {
  const rows = Object.values(TABLE3).map((row): Cell[] => {
    const here = c.configurations.find(({ name }) => table3Row(name) === row);
    const cycles = (value: number | undefined): string => (value === undefined ? '–' : `${(value / 1000).toFixed(1)}k`);
    const error = (of: 'filter' | 'total'): string => {
      const found = table3Error(row, of);
      return found === undefined ? '–' : signedPercent(found / 100);
    };
    return cells(
      row.policy,
      here === undefined ? '–' : here.name,
      cycles(row.filterActual),
      cycles(row.filterEstimate),
      error('filter'),
      cycles(row.totalActual),
      cycles(row.totalEstimate),
      error('total'),
      row.printed?.total ?? '–',
    );
  });
  return {
    title:
      'The paper’s Table 3, Envoy under Istio on an Intel Xeon Silver 4314: cycles per request. Errors are computed from its numbers; the last column is the percentage that it prints',
    columns: [
      'policy',
      'here',
      'filter, actual',
      'filter, estimate',
      'error',
      'total, actual',
      'total, estimate',
      'error',
      'as printed',
    ],
    rows,
  };
}
