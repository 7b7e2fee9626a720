import { formatNumber, shortNumber } from '../number-text.ts';

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface Axis {
  readonly ticks: readonly Tick[];
  /** Maps a value to 0…1; what lies outside is moved to the end. */
  readonly scale: (value: number) => number;
  readonly isBeyond: (value: number) => boolean;
}

const MAX_TICKS = 7;

/** No figure that somebody measured is smaller or larger; beyond, axes have no ticks that numbers can tell apart. */
const SMALLEST = 1e-9;
const LARGEST = 1e15;

function plausible(values: readonly number[]): number[] {
  return values.filter(Number.isFinite).map((value) => Math.max(-LARGEST, Math.min(value, LARGEST)));
}

function positiveOf(values: readonly number[]): number[] {
  return plausible(values).filter((value) => value >= SMALLEST);
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}

/** An axis with zero in it, whose ticks are round numbers. */
export function linearAxis(values: readonly number[], maxTicks = MAX_TICKS): Axis {
  const finite = plausible(values);
  const low = Math.min(0, ...finite);
  const high = Math.max(0, ...finite);
  const span = high - low >= SMALLEST ? high - low : 1;
  const step = roundStep(span / maxTicks);
  const from = Math.floor(low / step) * step;
  const to = Math.max(from + step, Math.ceil(high / step) * step);
  const count = Math.round((to - from) / step);
  return {
    ticks: Array.from({ length: count + 1 }, (_, i) => tick(from + i * step, step)),
    scale: (value) => clamp((value - from) / (to - from)),
    isBeyond: (value) => value > to || value < from,
  };
}

/** What is smaller is zero to a reader. */
const MOST_DIGITS = 9;

/** Sums such as 0.1 + 0.2 are put right by the step's own digits. */
function tick(at: number, step: number): Tick {
  const digits = Math.min(MOST_DIGITS, Math.max(0, -Math.floor(Math.log10(step))));
  const value = Number(at.toFixed(digits));
  const label =
    Math.abs(value) < 1e9 ? value.toLocaleString('en-US', { maximumFractionDigits: digits }) : shortNumber(value);
  return { at: value, label: label.replace('-', '−') };
}

/** The next of 1, 2, 5, 10, … */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** A logarithmic axis that just holds the values above zero; a tick at 1, 2, 5 or, over a long way, at powers of ten. */
export function logAxis(values: readonly number[], format: (value: number) => string = formatNumber): Axis {
  const positive = positiveOf(values);
  const low = positive.length === 0 ? 1 : Math.min(...positive);
  const high = positive.length === 0 ? 10 : Math.max(...positive);
  const marks: number[] = [];
  for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)) + 1; power++) {
    for (const factor of [1, 2, 5]) marks.push(factor * 10 ** power);
  }
  const from = marks.findLast((mark) => mark <= low * (1 + 1e-9)) ?? low;
  const to = marks.find((mark) => mark >= high * (1 - 1e-9) && mark > from) ?? high * 10;
  const within = marks.filter((mark) => mark >= from && mark <= to);
  const decades = within.filter((mark) => Math.abs(Math.log10(mark) - Math.round(Math.log10(mark))) < 1e-9);
  const shown = within.length <= MAX_TICKS || decades.length < 2 ? within : decades;
  return logBetween(
    from,
    to,
    shown.map((at) => ({ at, label: format(at) })),
  );
}

/** Doublings, as sizes of messages are: each value is a tick. */
export function sizeAxis(values: readonly number[], format: (value: number) => string): Axis {
  const sizes = [...new Set(positiveOf(values))].sort((a, b) => a - b);
  const [low = 1] = sizes;
  const high = Math.max(sizes.at(-1) ?? 2, low * 2);
  return logBetween(
    low,
    high,
    sizes.map((at) => ({ at, label: format(at) })),
  );
}

function logBetween(from: number, to: number, ticks: readonly Tick[]): Axis {
  const span = Math.log10(to) - Math.log10(from);
  return {
    ticks,
    scale: (value) => (value > 0 ? clamp((Math.log10(value) - Math.log10(from)) / span) : 0),
    isBeyond: (value) => value > to || value < from,
  };
}

/** Ticks of which no two labels touch, of those with at least `gap` pixels between their middles. */
export function sparseTicks(ticks: readonly Tick[], at: (value: number) => number, gap: number): Tick[] {
  const kept: Tick[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const tick of ticks) {
    const place = at(tick.at);
    if (Math.abs(place - last) < gap) continue;
    kept.push(tick);
    last = place;
  }
  return kept;
}

/**
 * Where a linear axis ends: a few figures far beyond all others would leave the others no room, so they are cut off,
 * marked as cut, with their number written beside them.
 */
export function cutLimit(values: readonly number[]): number {
  const sorted = positiveOf(values).sort((a, b) => a - b);
  const largest = sorted.at(-1) ?? 1;
  const usual = sorted[Math.floor((sorted.length - 1) * 0.75)] ?? largest;
  const limit = usual * CUT_FACTOR;
  return largest <= limit ? largest : Math.max(...sorted.filter((value) => value <= limit)) * 1.1;
}

const CUT_FACTOR = 3;
