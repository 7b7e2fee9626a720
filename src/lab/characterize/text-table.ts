import { formatNumber } from '../number-text.ts';
import { isUnreliable, pairedRatio } from '../statistics.ts';
import type { Figure } from './characterization.ts';

/** A table as the terminal and Markdown show it: the first columns are words, and `marks`; the others are numbers. */
export interface TextTable {
  readonly title: string;
  /** How many of the columns are words. */
  readonly words: number;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Stand below it. */
  readonly notes: readonly string[];
  /** What reproduces it. */
  readonly command: string;
}

export const NOTHING = '–';
/** What follows a figure whose rounds lie further apart than a fifth of their median. */
const UNRELIABLE_MARK = ' ~';

/** `median [ratio] ~`: the ratio is that of the same rounds of the baseline. */
export function figureText(figure: Figure | undefined, baseline?: Figure | undefined): string {
  if (!isFigure(figure)) return NOTHING;
  const ratio = isFigure(baseline) ? pairedRatio(figure.values, baseline.values) : undefined;
  return (
    numberText(figure.median) +
    (ratio === undefined ? '' : ` [${ratio.median.toFixed(2)}]`) +
    (isUnreliable(figure) ? UNRELIABLE_MARK : '')
  );
}

function isFigure(figure: Figure | undefined): figure is Figure {
  return figure !== undefined && Number.isFinite(figure.median) && Array.isArray(figure.values);
}

/** `+3.1 %`, with a minus sign and not a hyphen. */
export function percentText(percent: number | undefined): string {
  if (percent === undefined || !Number.isFinite(percent)) return NOTHING;
  const size = Math.abs(percent);
  const digits = size.toFixed(size >= 100 ? 0 : 1);
  const sign = Number(digits) === 0 ? '' : percent < 0 ? '−' : '+';
  return `${sign}${digits} %`;
}

/** `15.2 %`: of a share from 0 to 1. */
export function shareText(share: number): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : NOTHING;
}

/** A number or a dash. */
export function numberText(value: number | undefined): string {
  return value === undefined ? NOTHING : formatNumber(value).replace('-', '−');
}

/** `4.00 (3.90 to 4.20)`: for differences, whose rounds may lie far apart without being wrong. */
export function rangeText(figure: Figure | undefined): string {
  if (!isFigure(figure)) return NOTHING;
  const range = figure.min === figure.max ? '' : ` (${numberText(figure.min)} to ${numberText(figure.max)})`;
  return numberText(figure.median) + range;
}

/** Aligned, for a terminal. */
export function plainTable({ title, words, columns, rows, notes, command }: TextTable): string {
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((text, i) =>
        i < words || columns[i] === 'marks' ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  const below = notes.flatMap((note) => wrapped(note));
  return [title, line(columns), ...rows.map(line), ...below, `Again: ${command}`].join('\n');
}

/** Characters of a line of prose. */
const WIDTH = 120;

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** GitHub-flavoured. */
export function markdownTable({ title, words, columns, rows, notes, command }: TextTable): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;
  return [
    `## ${escapeText(title)}`,
    '',
    line(columns),
    `| ${columns.map((name, i) => (i < words || name === 'marks' ? '---' : '---:')).join(' | ')} |`,
    ...rows.map(line),
    ...notes.flatMap((note) => ['', escapeText(note)]),
    '',
    `Again: ${code(command)}`,
  ].join('\n');
}

function escapeCell(text: string): string {
  return escapeText(text).replaceAll('|', '\\|');
}

/** What comes from outside, as messages of errors do, is shown and never taken for markup. */
export function escapeText(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/[\\`*_~<[\]]/g, '\\$&');
}

/** A fence of more backticks than the text has in a row (CommonMark §6.1). */
export function code(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const room = text.startsWith('`') || text.endsWith('`') ? ' ' : '';
  return `${fence}${room}${text.replaceAll('\n', ' ')}${room}${fence}`;
}
