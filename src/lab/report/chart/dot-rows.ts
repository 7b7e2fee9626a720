import type { Axis } from './axis.ts';
import { sparseTicks } from './axis.ts';
import {
  axisLength,
  type Chart,
  type Drawing,
  escapeXml,
  fittedText,
  px,
  textAt,
  textWidth,
  tickLabel,
} from './drawing.ts';
import { type LegendEntry, legend } from './legend.ts';
import { marker, type Series } from './series.ts';

/** A figure of one proxy: a shape at the value, a line from the lowest to the highest round, the number in words. */
export interface Dot {
  readonly series: Series;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly note: string;
  /** What was predicted: a hollow shape on the same line. */
  readonly predicted?: number;
}

export interface DotRow {
  readonly label: string;
  readonly dots: readonly Dot[];
  /** In place of dots: why there are none. */
  readonly missing?: string;
}

export interface DotRows {
  readonly title: string;
  readonly description: string;
  readonly axisTitle: string;
  readonly axis: Axis;
  readonly legend: readonly LegendEntry[];
  readonly rows: readonly DotRow[];
}

const DOT_STEP = 16;
const ROW_GAP = 10;
const LABEL_LINE = 18;
/** Below this width labels stand above their rows. */
const NARROW = 520;
const MAX_LABEL = 240;
const AXIS_HEIGHT = 40;

/** Horizontal rows with each proxy's figure on a line of its own, so that no two labels can meet. */
export function dotRows(spec: DotRows): Chart {
  return { title: spec.title, description: spec.description, draw: (width) => draw(spec, width) };
}

function draw({ rows, axis, axisTitle, ...spec }: DotRows, width: number): Drawing {
  const isNarrow = width < NARROW;
  const labelWidth = isNarrow ? 0 : Math.min(MAX_LABEL, Math.max(0, ...rows.map(({ label }) => textWidth(label)))) + 12;
  const left = labelWidth + 8;
  const ends = rows.flatMap(({ dots }) => dots.map((dot) => ({ share: axis.scale(lastMark(dot)), text: dot.note })));
  const plotWidth = axisLength(width - left, ends);
  const at = (value: number): number => left + axis.scale(value) * plotWidth;
  const head = legend(spec.legend, width);
  const parts: string[] = [head.body];
  const grid = axis.ticks.map(({ at: value }) => px(at(value)));
  let y = head.height;
  const top = y;
  for (const { label, dots, missing } of rows) {
    const lines = Math.max(1, dots.length);
    if (isNarrow) {
      parts.push(fittedText(0, y + LABEL_LINE / 2, label, width, { kind: 'strong' }));
      y += LABEL_LINE;
    } else {
      parts.push(fittedText(labelWidth - 4, y + (lines * DOT_STEP) / 2, label, labelWidth - 4, { anchor: 'end' }));
    }
    if (missing !== undefined) parts.push(fittedText(left, y + DOT_STEP / 2, missing, width - left, { kind: 'soft' }));
    for (const dot of missing === undefined ? dots : []) {
      parts.push(drawDot(dot, label, at, axis, y + DOT_STEP / 2, width));
      y += DOT_STEP;
    }
    if (dots.length === 0 || missing !== undefined) y += DOT_STEP;
    y += ROW_GAP;
  }
  const bottom = y;
  const lines = grid.map((x) => `M${x} ${px(top)}V${px(bottom)}`).join('');
  parts.unshift(`<path class="grid" d="${lines}"/>`);
  if (axis.ticks.some(({ at: value }) => value === 0) && axis.scale(0) > 0)
    parts.push(`<path class="axis" d="M${px(at(0))} ${px(top)}V${px(bottom)}"/>`);
  for (const tick of sparseTicks(axis.ticks, at, tickGap(axis)))
    parts.push(tickLabel(at(tick.at), bottom + 10, tick.label, width));
  parts.push(axisTitleAt(axisTitle, left, plotWidth, width, bottom + 28));
  return { width, height: bottom + AXIS_HEIGHT, body: parts.join('\n') };
}

/** Below the middle of the axis, or at the left edge where that has no room. */
export function axisTitleAt(title: string, left: number, plotWidth: number, width: number, y: number): string {
  const middle = left + plotWidth / 2;
  const half = textWidth(title) / 2;
  if (middle - half >= 0 && middle + half <= width) return textAt(middle, y, title, { anchor: 'middle', kind: 'soft' });
  return fittedText(0, y, title, width, { kind: 'soft' });
}

/** Between the middles of two tick labels, so that they do not touch. */
export function tickGap({ ticks }: Axis): number {
  return Math.max(0, ...ticks.map(({ label }) => textWidth(label))) + 8;
}

/** The rightmost of what is drawn for a dot. */
function lastMark({ value, high, predicted = value }: Dot): number {
  return Math.max(...[value, high, predicted].map((one) => (Number.isFinite(one) ? one : 0)));
}

function drawDot(dot: Dot, label: string, at: (value: number) => number, axis: Axis, y: number, width: number): string {
  const { series, value, low, high, note, predicted } = dot;
  const hint = `<title>${escapeXml(`${label}, ${series.label}: ${note}`)}</title>`;
  if (!Number.isFinite(value)) return textAt(at(0), y, `${series.label}: –`, { kind: 'soft' });
  const parts: string[] = [];
  let end = at(value);
  if (predicted !== undefined && Number.isFinite(predicted)) {
    parts.push(`<path class="thin" d="M${px(at(predicted))} ${px(y)}H${px(at(value))}"/>`);
    parts.push(marker(series, at(predicted), y, true));
    end = Math.max(end, at(predicted));
  }
  if (Number.isFinite(low) && Number.isFinite(high) && low <= high) {
    parts.push(
      `<path class="spread" d="M${px(at(low))} ${px(y)}H${px(at(high))}M${px(at(low))} ${px(y - 4)}v8M${px(at(high))} ${px(y - 4)}v8"/>`,
    );
    end = Math.max(end, at(high));
  }
  parts.push(axis.isBeyond(value) ? arrow(series, at(value), y) : marker(series, at(value), y));
  parts.push(fittedText(end + 9, y, note, width - end - 9));
  return `<g>${hint}${parts.join('')}</g>`;
}

/** In place of a figure that lies beyond the end of the axis. */
function arrow({ className }: Series, x: number, y: number): string {
  return `<path class="solid ${className}" d="M${px(x - 4)} ${px(y - 5)}l9 5l-9 5z"/>`;
}
