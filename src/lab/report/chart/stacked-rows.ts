import { type Axis, sparseTicks } from './axis.ts';
import { axisTitleAt, tickGap } from './dot-rows.ts';
import {
  axisLength,
  type Chart,
  type Drawing,
  escapeXml,
  fittedText,
  px,
  strongWidth,
  textAt,
  textWidth,
  tickLabel,
} from './drawing.ts';
import { legend } from './legend.ts';

/** A part of a bar. Parts are told apart by their number, their pattern and their colour. */
export interface Part {
  readonly number: number;
  readonly label: string;
  /** CSS class that gives colour and pattern. */
  readonly className: string;
}

export interface StackedBar {
  readonly label: string;
  readonly segments: readonly { readonly part: Part; readonly value: number; readonly note: string }[];
  /** Written behind the bar. */
  readonly note: string;
}

export interface StackedRow {
  readonly label: string;
  readonly bars: readonly StackedBar[];
  /** In place of bars: why there are none. */
  readonly missing?: string;
}

export interface StackedRows {
  readonly title: string;
  readonly description: string;
  readonly axisTitle: string;
  readonly axis: Axis;
  readonly parts: readonly Part[];
  readonly rows: readonly StackedRow[];
}

const BAR_HEIGHT = 17;
const BAR_STEP = 21;
const ROW_GAP = 9;
const LABEL_LINE = 18;
const NARROW = 620;
const MAX_LABEL = 215;
const AXIS_HEIGHT = 40;
const NUMBER_WIDTH = 18;

/** Horizontal bars in parts, grouped by row. */
export function stackedRows(spec: StackedRows): Chart {
  return { title: spec.title, description: spec.description, draw: (width) => draw(spec, width) };
}

function draw({ rows, axis, axisTitle, parts: kinds }: StackedRows, width: number): Drawing {
  const isNarrow = width < NARROW;
  const bars = rows.flatMap((row) => row.bars);
  const labelWidth = isNarrow
    ? 0
    : Math.min(MAX_LABEL, Math.max(0, ...rows.map(({ label }) => strongWidth(label)))) + 12;
  const barLabelWidth = Math.max(0, ...bars.map(({ label }) => textWidth(label))) + 8;
  const left = labelWidth + barLabelWidth;
  const ends = bars.map((bar) => ({ share: axis.scale(lengthOf(bar)), text: bar.note }));
  const plotWidth = axisLength(width - left, ends);
  const at = (value: number): number => left + axis.scale(value) * plotWidth;
  const head = legend(
    kinds.map((part) => ({ label: part.label, sample: (x, y) => swatch(part, x, y) })),
    width,
  );
  const parts: string[] = [head.body];
  let y = head.height;
  const top = y;
  for (const { label, bars: own, missing } of rows) {
    if (isNarrow) {
      parts.push(fittedText(0, y + LABEL_LINE / 2, label, width, { kind: 'strong' }));
      y += LABEL_LINE;
    } else {
      const lines = Math.max(1, own.length);
      parts.push(fittedText(0, y + (lines * BAR_STEP) / 2, label, labelWidth - 8, { kind: 'strong' }));
    }
    if (missing !== undefined) {
      parts.push(fittedText(left, y + BAR_HEIGHT / 2, missing, width - left, { kind: 'soft' }));
      y += BAR_STEP;
    } else {
      for (const bar of own) {
        parts.push(textAt(left - 6, y + BAR_HEIGHT / 2, bar.label, { anchor: 'end' }));
        parts.push(drawBar(bar, label, at, axis, y, width));
        y += BAR_STEP;
      }
    }
    y += ROW_GAP;
  }
  const grid = axis.ticks.map((tick) => `M${px(at(tick.at))} ${px(top)}V${px(y)}`).join('');
  parts.unshift(`<path class="grid" d="${grid}"/>`);
  for (const tick of sparseTicks(axis.ticks, at, tickGap(axis)))
    parts.push(tickLabel(at(tick.at), y + 10, tick.label, width));
  parts.push(axisTitleAt(axisTitle, left, plotWidth, width, y + 28));
  return { width, height: y + AXIS_HEIGHT, body: parts.join('\n') };
}

function lengthOf({ segments }: StackedBar): number {
  return segments.reduce((sum, { value }) => sum + (value > 0 ? value : 0), 0);
}

function drawBar(
  bar: StackedBar,
  row: string,
  at: (value: number) => number,
  axis: Axis,
  y: number,
  width: number,
): string {
  const drawn: string[] = [];
  let sum = 0;
  let isCut = false;
  for (const { part, value, note } of bar.segments) {
    // What came out below zero, as differences may, has no length; the table has its number.
    if (!(Number.isFinite(value) && value > 0)) continue;
    const from = at(sum);
    sum += value;
    isCut = axis.isBeyond(sum);
    const length = at(sum) - from;
    if (length <= 0) continue;
    const hint = `<title>${escapeXml(`${row}, ${bar.label}: ${part.label} ${note}`)}</title>`;
    const shape = `x="${px(from)}" y="${px(y)}" width="${px(length)}" height="${BAR_HEIGHT}"`;
    drawn.push(`<g>${hint}<rect class="part ${part.className}" ${shape}/>`);
    if (length >= NUMBER_WIDTH) drawn.push(plate(part.number, from + length / 2, y + BAR_HEIGHT / 2));
    drawn.push('</g>');
  }
  const end = at(sum);
  if (isCut)
    drawn.push(`<path class="cut" d="M${px(end - 9)} ${px(y - 2)}l4 ${BAR_HEIGHT + 4}m4 0l-4 -${BAR_HEIGHT + 4}"/>`);
  drawn.push(fittedText(end + 6, y + BAR_HEIGHT / 2, bar.note, width - end - 6));
  return drawn.join('');
}

/** The number of a part on a ground of its own, since patterns make text hard to read. */
function plate(number: number, x: number, y: number): string {
  return `<rect class="plate" x="${px(x - 7.5)}" y="${px(y - 6.5)}" width="15" height="13" rx="2"/>${textAt(x, y, String(number), { anchor: 'middle' })}`;
}

function swatch({ className, number }: Part, x: number, y: number): string {
  return `<rect class="part ${className}" x="${px(x - 11)}" y="${px(y - 8)}" width="24" height="16"/>${plate(number, x + 1, y)}`;
}
