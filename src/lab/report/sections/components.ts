import { TABLE2 } from '../../../observe/components.ts';
import type { Breakdown, Characterization } from '../../characterize/characterization.ts';
import { NOT_APART, NOT_IN_TABLE2, table2Sums, UNKNOWN } from '../../characterize/configuration-tables.ts';
import { cutLimit, linearAxis } from '../chart/axis.ts';
import { type Part, type StackedRow, stackedRows } from '../chart/stacked-rows.ts';
import type { Cell, Figure, Section, Table } from '../document.ts';
import { formatNumber, percent } from '../number-text.ts';
import { labelOf, peerLabel, peersOf, rowOf } from '../view.ts';

const CLASSES: Readonly<Record<string, string>> = {
  'OS Read': 'os-read',
  'Sidecar Read': 'sidecar-read',
  'Packet Processing': 'packet',
  'HTTP Protocol Parse': 'parse',
  'Header En/Decoder': 'header',
  'Sidecar Filter': 'filter',
  'Event Poll': 'poll',
  'Sidecar Write': 'sidecar-write',
  'OS Write': 'os-write',
  [NOT_IN_TABLE2]: 'beside',
  [NOT_APART]: 'user',
  [UNKNOWN]: 'unattributed',
};

export const COMPONENT_ROWS: readonly string[] = [...TABLE2, NOT_IN_TABLE2, NOT_APART, UNKNOWN];

/** Microseconds per request by row, in the order of the rows; rows that nothing belongs to are absent. */
export function componentSums({ parts }: Breakdown): Map<string, number> {
  const sums = table2Sums(parts.filter(({ usPerRequest }) => Number.isFinite(usPerRequest)));
  return new Map(COMPONENT_ROWS.flatMap((row) => (sums.has(row) ? [[row, sums.get(row)!]] : [])));
}

function partOf(row: string): Part {
  return { number: COMPONENT_ROWS.indexOf(row) + 1, label: row, className: `part-${CLASSES[row]}` };
}

/** What came out below zero, in words, where it is more than a hundredth of the rest: a bar cannot show it. */
function belowZero(sums: readonly (readonly [row: string, micros: number])[]): string {
  const below = sums.reduce((sum, [, micros]) => sum - Math.min(0, micros), 0);
  const above = sums.reduce((sum, [, micros]) => sum + Math.max(0, micros), 0);
  return below > above / 100 ? ` (${LESS} ${formatNumber(below)})` : '';
}

const LESS = 'less';

/** Stacked bars after the paper's Figure 7; undefined where nothing was taken apart. */
export function componentSection(c: Characterization): Section | undefined {
  const peers = peersOf(c);
  const configurations = c.configurations.filter(({ peers: rows }) => rows.some(({ breakdown }) => breakdown));
  if (configurations.length === 0) return undefined;
  const rows = configurations.map((configuration): StackedRow => {
    const bars = peers.flatMap((peer) => {
      const breakdown = rowOf(configuration, peer)?.breakdown;
      if (breakdown === undefined) return [];
      const sums = [...componentSums(breakdown)];
      const segments = sums.map(([row, value]) => ({
        part: partOf(row),
        value,
        note: `${formatNumber(value)} µs (${percent(value / breakdown.cpuMicros)})`,
      }));
      return [{ label: peerLabel(peer), segments, note: `${formatNumber(breakdown.cpuMicros)} µs${belowZero(sums)}` }];
    });
    return { label: labelOf(configuration), bars };
  });
  const bars = rows.flatMap((row) => row.bars);
  const totals = bars.map(({ segments }) => segments.reduce((sum, { value }) => sum + Math.max(0, value), 0));
  const limit = cutLimit(totals);
  const isCut = totals.some((total) => total > limit);
  const notes = [
    ...(bars.some(({ note }) => note.includes(LESS))
      ? [
          ' Behind some bars stands in brackets what came out below zero, as differences of two runs may: they are longer than the whole by that.',
        ]
      : []),
    ...(isCut ? [' Bars with two strokes at their end are cut off; their number says how long they are.'] : []),
  ];
  const present = new Set(bars.flatMap(({ segments }) => segments.map(({ part }) => part.label)));
  const figure: Figure = {
    id: 'components',
    title: 'Where the CPU time of a request goes',
    caption:
      'After Figure 7 of the paper: CPU time per request at saturation, by the rows of its Table 2. Numbers in the bars are ' +
      'those of the legend. What nothing could attribute, and user space that nothing could take apart, have patterns of ' +
      `their own.${notes.join('')}`,
    charts: [
      stackedRows({
        title: 'CPU time per request by component, configuration and proxy',
        description:
          'A stacked bar for each proxy in each configuration. The tables below have the time and the share of every component.',
        axisTitle: 'CPU time per request, µs',
        axis: linearAxis(totals.map((total) => Math.min(total, limit))),
        parts: COMPONENT_ROWS.filter((row) => present.has(row)).map(partOf),
        rows,
      }),
    ],
    tables: peers.flatMap((peer) => componentTable(c, peer)),
    command: c.command,
  };
  return {
    id: 'components',
    title: 'Where the time goes',
    paragraphs: [
      'Stacks are sampled while the proxy is saturated. A proxy with symbols is taken apart by them; one without has its kernel ' +
        'side by symbols, and its user space as one or as the difference of two configurations, which the tables mark.',
    ],
    tables: [],
    figures: [figure],
  };
}

/** Marks a figure that is the difference of two runs. */
const DIFFERENCE_MARK = ' Δ';

function componentTable(c: Characterization, peer: string): Table[] {
  const rows = c.configurations.flatMap((configuration) => {
    const breakdown = rowOf(configuration, peer)?.breakdown;
    return breakdown === undefined ? [] : [{ label: labelOf(configuration), breakdown }];
  });
  if (rows.length === 0) return [];
  const present = COMPONENT_ROWS.filter((row) => rows.some(({ breakdown }) => componentSums(breakdown).has(row)));
  const cellsOf = (breakdown: Breakdown): Cell[] => {
    const sums = componentSums(breakdown);
    return present.map((row) => {
      const value = sums.get(row);
      if (value === undefined) return { text: '–' };
      const isDifference = table2Sums(breakdown.parts.filter(({ basis }) => basis === 'by difference')).has(row);
      const text = `${formatNumber(value)} (${percent(value / breakdown.cpuMicros)})`;
      return { text: `${text}${isDifference ? DIFFERENCE_MARK : ''}` };
    });
  };
  const hasDifference = rows.some(({ breakdown }) => breakdown.parts.some(({ basis }) => basis === 'by difference'));
  return [
    {
      title: `${peerLabel(peer)}: µs per request (share)${hasDifference ? '; Δ is the difference of two configurations, which may come out below 0' : ''}`,
      columns: ['configuration', 'all', ...present],
      rows: rows.map(({ label, breakdown }) => [
        { text: label },
        { text: formatNumber(breakdown.cpuMicros), hint: `${formatNumber(breakdown.samples)} samples` },
        ...cellsOf(breakdown),
      ]),
    },
  ];
}
