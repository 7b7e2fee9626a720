import type { AdditiveModel, FilterCost, MixCheck } from './additive-model.ts';
import type { Characterization } from './characterization.ts';
import { paperMicros, type Table3Row, table3Error, table3Row } from './paper-columns.ts';
import { configurationOf, cpuFigure, peerNames } from './rounds.ts';
import { MAX_RESIDUAL_PERCENT, type SizeFit } from './size-fit.ts';
import type { SymbolCost } from './symbol-cost.ts';
import { figureText, NOTHING, numberText, percentText, rangeText, type TextTable } from './text-table.ts';

/** Table 3 of the paper for each peer, the paper's own column at the end of each row. */
export function additivityTables(c: Characterization, model: AdditiveModel): TextTable[] {
  return peerNames(c).flatMap((peer) => {
    const mixes = model.mixes.filter((mix) => mix.peer === peer);
    const singles = model.costs.filter(
      (cost) => cost.peer === peer && !mixes.some(({ configuration }) => configuration === cost.configuration),
    );
    const rows = [...singles.map((cost) => singleRow(c, cost)), ...mixes.map((mix) => mixRow(c, mix))];
    return rows.length === 0 ? [] : [table3(c, peer, [...baseRows(c, peer, [...singles, ...mixes]), ...rows])];
  });
}

function table3(c: Characterization, peer: string, rows: readonly (readonly string[])[]): TextTable {
  return {
    title: `Filters of ${peer} added up, µs of CPU per request (Table 3)`,
    words: 1,
    columns: [
      'configuration',
      'filter',
      'filter estimate',
      'by symbols',
      'symbols estimate',
      'total',
      'total estimate',
      'paper: filter',
      'filter estimate',
      'total',
      'total estimate',
      'marks',
    ],
    rows,
    notes: [
      'filter: configuration − base in the same rounds, brackets hold its share of the base; by symbols: its parts of the ' +
        'profile, ± one standard deviation. Estimates of a mix add up the single filters; the total of a single filter is ' +
        'estimated from its cost by symbols. Percentages are (estimate − actual) / actual, the range is that of the rounds.',
      'paper: µs of Table 3’s cycles at 2.4 GHz, on another machine, of Envoy under Istio. Its filters are measured by ' +
        'symbols; the errors are those of its numbers, which the percentages printed beside the totals do not all match.',
    ],
    command: c.command,
  };
}

/** The configurations without filters: a total alone. */
function baseRows(c: Characterization, peer: string, rows: readonly { readonly base?: string }[]): string[][] {
  const bases = [...new Set(rows.flatMap(({ base }) => (base === undefined ? [] : [base])))];
  return bases.flatMap((base) => {
    const row = configurationOf(c, base)?.peers.find((one) => one.peer === peer);
    if (row === undefined) return [];
    const found = cpuFigure(row, base);
    const total = found.why === undefined ? figureText(found.value) : NOTHING;
    const paper = table3Row(base);
    return [
      [titleOf(c, base), NOTHING, NOTHING, NOTHING, NOTHING, total, NOTHING, ...paperCells(paper), found.why ?? ''],
    ];
  });
}

function singleRow(c: Characterization, cost: FilterCost): string[] {
  const share = cost.relative === undefined ? '' : ` [${percentText(100 * cost.relative.median)}]`;
  return [
    titleOf(c, cost.configuration),
    `${rangeText(cost.micros)}${share}`,
    NOTHING,
    symbolText(cost.symbols),
    NOTHING,
    figureText(cost.total),
    estimateText(cost.estimate, cost.estimateErrorPercent),
    ...paperCells(table3Row(cost.configuration)),
    [...(cost.why === undefined ? [] : [cost.why]), ...cost.notes].join('; '),
  ];
}

function mixRow(c: Characterization, mix: MixCheck): string[] {
  return [
    titleOf(c, mix.configuration),
    rangeText(mix.measuredFilter),
    estimateText(mix.predictedFilter, mix.filterErrorPercent),
    symbolText(mix.measuredSymbols),
    mix.predictedSymbols === undefined
      ? NOTHING
      : `${symbolText(mix.predictedSymbols)} (${percentText(mix.symbolsErrorPercent)})`,
    figureText(mix.measured),
    estimateText(mix.predicted, mix.errorPercent),
    ...paperCells(table3Row(mix.configuration)),
    [...(mix.why === undefined ? [] : [mix.why]), ...mix.notes].join('; '),
  ];
}

type Figures = Parameters<typeof figureText>[0];

/** `50.1 (+2.1 %, −1.0 % to +4.0 %)` */
function estimateText(estimate: Figures, error: Figures): string {
  if (estimate === undefined) return NOTHING;
  if (error === undefined) return figureText(estimate);
  const range = error.min === error.max ? '' : `, ${percentText(error.min)} to ${percentText(error.max)}`;
  return `${figureText(estimate)} (${percentText(error.median)}${range})`;
}

function symbolText(cost: SymbolCost | undefined): string {
  return cost === undefined ? NOTHING : `${numberText(cost.micros)} ± ${numberText(cost.deviation)}`;
}

/** Filter, its estimate, total, its estimate. */
function paperCells(row: Table3Row | undefined): string[] {
  if (row === undefined) return ['', '', '', ''];
  const micros = (cycles: number | undefined): string => numberText(cycles && paperMicros(cycles));
  const estimate = (cycles: number | undefined, of: 'filter' | 'total'): string =>
    cycles === undefined ? NOTHING : `${micros(cycles)} (${percentText(table3Error(row, of))})`;
  return [
    micros(row.filterActual),
    estimate(row.filterEstimate, 'filter'),
    micros(row.totalActual),
    estimate(row.totalEstimate, 'total'),
  ];
}

/** CPU per request by message size, and the line through it; undefined when no size was measured. */
export function sizeTable(c: Characterization, fits: readonly SizeFit[]): TextTable | undefined {
  if (fits.length === 0) return undefined;
  const sizes = [...new Set(c.sizes.map(({ bytes }) => bytes))].sort((a, b) => a - b);
  const commands = [...new Set(c.sizes.map(({ command }) => command))];
  return {
    title: 'Message sizes, µs of CPU per request',
    words: 2,
    columns: ['configuration', 'peer', ...sizes.map(sizeText), 'a + b·KiB', 'R²', 'worst residual', 'marks'],
    rows: fits.map((fit) => {
      const { configuration, peer, points, interceptMicros, microsPerKiB, rSquared, why } = fit;
      const cells = sizes.map((bytes) => {
        const rows = c.sizes.find((row) => row.configuration === configuration && row.bytes === bytes)?.peers;
        const [own, base] = [peer, 'envoy'].map((name) => rows?.find((row) => row.peer === name)?.cpuMicros);
        return figureText(own, peer === 'envoy' ? undefined : base);
      });
      const worst = points.reduce<number | undefined>((one, { residualPercent: next }) => {
        return next === undefined || (one !== undefined && Math.abs(one) >= Math.abs(next)) ? one : next;
      }, undefined);
      const line =
        interceptMicros === undefined ? NOTHING : `${numberText(interceptMicros)} + ${numberText(microsPerKiB)}·KiB`;
      const mark = fit.isLinear === false ? `not linear: ${why}` : (why ?? '');
      return [configuration, peer, ...cells, line, rSquared?.toFixed(4) ?? NOTHING, percentText(worst), mark];
    }),
    notes: [
      `The line is MeshInsight’s model of a component (Zhu et al., SoCC 2023, §4), by least squares; it is no model where a size is more than ${MAX_RESIDUAL_PERCENT} % off.`,
    ],
    command: commands.length === 1 ? commands[0]! : c.command,
  };
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${numberOf(bytes / 1024)} KiB` : `${numberOf(bytes / 1024 / 1024)} MiB`;
}

function numberOf(value: number): string {
  return String(Number(value.toFixed(1)));
}

function titleOf(c: Characterization, name: string): string {
  const title = configurationOf(c, name)?.title ?? name;
  return title === '' || title === name ? name : `${name} (${title})`;
}
