/** One bar of a bar chart; `low` and `high` draw its spread. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** CSS class that gives the colour. */
  readonly series: string;
  readonly note: string;
}

export interface Line {
  readonly label: string;
  readonly series: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  /** Maps a value to 0…1. */
  readonly scale: (value: number) => number;
}

const BAR_HEIGHT = 18;
const BAR_STEP = 26;
const LABEL_WIDTH = 90;
const NOTE_WIDTH = 130;
const WIDTH = 640;

/** Horizontal bars from zero, each with its value written behind it: readable without colours. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const largest = Math.max(...bars.map((bar) => bar.high), Number.MIN_VALUE);
  const scale = (value: number): number => (value / largest) * (WIDTH - LABEL_WIDTH - NOTE_WIDTH);
  const height = bars.length * BAR_STEP + 4;
  const rows = bars.map((bar, i) => {
    const y = i * BAR_STEP + 4;
    const middle = y + BAR_HEIGHT / 2;
    const [low, high, end] = [scale(bar.low), scale(bar.high), scale(bar.value)].map((x) =>
      (LABEL_WIDTH + x).toFixed(1),
    );
    return `<text class="label" x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end">${escapeXml(bar.label)}</text>
<rect class="fill ${bar.series}" x="${LABEL_WIDTH}" y="${y}" width="${scale(bar.value).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"><title>${escapeXml(`${bar.label}: ${bar.note}`)}</title></rect>
<path class="spread" d="M${low} ${middle}H${high}M${low} ${middle - 4}v8M${high} ${middle - 4}v8"/>
<text class="value" x="${Number(Math.max(Number(end), Number(high))) + 8}" y="${middle + 4}">${escapeXml(bar.note)}</text>`;
  });
  return svg(title, WIDTH, height, rows.join('\n'));
}

const PLOT = { left: 64, right: 120, top: 12, bottom: 36, height: 300 };
/** Dash patterns tell the lines apart in print and for the colour-blind. */
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '1 4'];

/** Lines over shared axes, each labelled at its end. */
export function lineChart(title: string, xTitle: string, x: Axis, y: Axis, lines: readonly Line[]): string {
  const width = WIDTH - PLOT.left - PLOT.right;
  const height = PLOT.height - PLOT.top - PLOT.bottom;
  const px = (value: number): number => PLOT.left + x.scale(value) * width;
  const py = (value: number): number => PLOT.top + (1 - y.scale(value)) * height;
  const grid = [
    ...y.ticks.map(
      ({ at, label }) =>
        `<path class="grid" d="M${PLOT.left} ${py(at).toFixed(1)}h${width}"/><text class="tick" x="${PLOT.left - 6}" y="${(py(at) + 4).toFixed(1)}" text-anchor="end">${escapeXml(label)}</text>`,
    ),
    ...x.ticks.map(
      ({ at, label }) =>
        `<path class="grid" d="M${px(at).toFixed(1)} ${PLOT.top}v${height}"/><text class="tick" x="${px(at).toFixed(1)}" y="${PLOT.top + height + 16}" text-anchor="middle">${escapeXml(label)}</text>`,
    ),
  ];
  const ends = spreadLabels(lines.map((line) => py(line.points.at(-1)?.[1] ?? 0)));
  const drawn = lines.map((line, i) => {
    const path = line.points
      .map(([a, b], k) => `${k === 0 ? 'M' : 'L'}${px(a).toFixed(1)} ${py(b).toFixed(1)}`)
      .join('');
    const labelX = PLOT.left + width + 8;
    return `<path class="line ${line.series}" stroke-dasharray="${DASHES[i % DASHES.length]}" d="${path}"><title>${escapeXml(line.label)}</title></path>
<text class="value" x="${labelX}" y="${((ends[i] ?? 0) + 4).toFixed(1)}">${escapeXml(line.label)}</text>`;
  });
  const axisTitle = `<text class="tick" x="${PLOT.left + width / 2}" y="${PLOT.height - 4}" text-anchor="middle">${escapeXml(xTitle)}</text>`;
  return svg(title, WIDTH, PLOT.height, [...grid, ...drawn, axisTitle].join('\n'));
}

const LABEL_STEP = 14;

/** Moves labels that would lie upon each other apart, downwards, keeping their order. */
function spreadLabels(positions: readonly number[]): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => (positions[a] as number) - (positions[b] as number));
  const placed = [...positions];
  let last = Number.NEGATIVE_INFINITY;
  for (const i of order) {
    last = Math.max(placed[i] as number, last + LABEL_STEP);
    placed[i] = last;
  }
  return placed;
}

/** Powers of ten that hold all values. */
export function logAxis(values: readonly number[], format: (value: number) => string): Axis {
  const positive = values.filter((value) => value > 0);
  const from = Math.floor(Math.log10(Math.min(...positive, 1000)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...positive, 1))));
  return {
    ticks: Array.from({ length: to - from + 1 }, (_, i) => ({ at: 10 ** (from + i), label: format(10 ** (from + i)) })),
    scale: (value) => Math.min(1, Math.max(0, (Math.log10(Math.max(value, 10 ** from)) - from) / (to - from))),
  };
}

/** Where the percentile axis ends. */
export const LAST_PERCENTILE = 99.99;

/** The usual axis of latency plots: each nine takes as much room as the one before. */
export function percentileAxis(): Axis {
  const nines = (percentile: number): number => -Math.log10(1 - Math.min(percentile, LAST_PERCENTILE) / 100);
  return {
    ticks: [0, 50, 90, 99, 99.9, LAST_PERCENTILE].map((at) => ({ at, label: at === 0 ? '0' : `p${at}` })),
    scale: (percentile) => nines(percentile) / nines(LAST_PERCENTILE),
  };
}

function svg(title: string, width: number, height: number, content: string): string {
  return `<svg role="img" viewBox="0 0 ${width} ${height}" aria-label="${escapeXml(title)}">\n${content}\n</svg>`;
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
