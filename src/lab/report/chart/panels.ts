import { type Axis, sparseTicks } from './axis.ts';
import { type Chart, type Drawing, escapeXml, fittedText, px, textAt, textWidth } from './drawing.ts';
import { legend, lineEntry } from './legend.ts';
import { marker, type Series } from './series.ts';

export interface PanelPoint {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
  /** Shown when pointed at. */
  readonly note: string;
  /** Drawn hollow: it was measured in another way than the others. */
  readonly isHollow?: boolean;
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly { readonly series: Series; readonly points: readonly PanelPoint[] }[];
  /** In place of lines: why there are none. */
  readonly missing?: string;
}

export interface Panels {
  readonly title: string;
  readonly description: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly panels: readonly Panel[];
  /** False for curves of many points, which are lines alone. */
  readonly hasPoints?: boolean;
}

const MIN_WIDTH = 228;
const MAX_COLUMNS = 4;
const GAP = 14;
const PLOT_HEIGHT = 118;
const TITLE_HEIGHT = 20;
const FOOT_HEIGHT = 34;

/** Small plots over the same axes, side by side as far as the width allows. */
export function panels(spec: Panels): Chart {
  return { title: spec.title, description: spec.description, draw: (width) => draw(spec, width) };
}

function draw(spec: Panels, width: number): Drawing {
  const columns = Math.max(1, Math.min(MAX_COLUMNS, spec.panels.length, Math.floor((width + GAP) / (MIN_WIDTH + GAP))));
  // One or two panels are not drawn out over the whole page.
  const panelWidth = Math.min(380, (width - GAP * (columns - 1)) / columns);
  const height = TITLE_HEIGHT + PLOT_HEIGHT + FOOT_HEIGHT;
  const head = legend(spec.series.map(lineEntry), width);
  const parts = [head.body, fittedText(0, head.height + 8, spec.yTitle, width, { kind: 'soft' })];
  const top = head.height + 22;
  spec.panels.forEach((panel, i) => {
    const x = (i % columns) * (panelWidth + GAP);
    const y = top + Math.floor(i / columns) * height;
    parts.push(`<g transform="translate(${px(x)} ${px(y)})">${drawPanel(panel, spec, panelWidth)}</g>`);
  });
  const rows = Math.ceil(spec.panels.length / columns);
  const bottom = top + rows * height;
  parts.push(fittedText(0, bottom + 8, spec.xTitle, width, { kind: 'soft' }));
  return { width, height: bottom + 20, body: parts.join('\n') };
}

function drawPanel(panel: Panel, { x, y, hasPoints = true }: Panels, width: number): string {
  const left = Math.max(0, ...y.ticks.map(({ label }) => textWidth(label))) + 8;
  const widest = Math.max(0, ...x.ticks.map(({ label }) => textWidth(label)));
  const right = Math.max(16, widest / 2);
  const plotWidth = width - left - right;
  const at = (value: number): number => left + x.scale(value) * plotWidth;
  const up = (value: number): number => TITLE_HEIGHT + (1 - y.scale(value)) * PLOT_HEIGHT;
  const bottom = TITLE_HEIGHT + PLOT_HEIGHT;
  const xTicks = sparseTicks(x.ticks, at, widest + 6);
  const yTicks = sparseTicks(y.ticks, up, 15);
  const grid = [
    ...yTicks.map((tick) => `M${px(left)} ${px(up(tick.at))}h${px(plotWidth)}`),
    ...xTicks.map((tick) => `M${px(at(tick.at))} ${TITLE_HEIGHT}v${PLOT_HEIGHT}`),
  ].join('');
  const parts = [
    fittedText(left, TITLE_HEIGHT / 2 - 2, panel.title, width - left, { kind: 'strong' }),
    `<path class="grid" d="${grid}"/>`,
    ...yTicks.map((tick) => textAt(left - 5, up(tick.at), tick.label, { anchor: 'end', kind: 'soft' })),
    ...xTicks.map((tick) => textAt(at(tick.at), bottom + 15, tick.label, { anchor: 'middle', kind: 'soft' })),
  ];
  if (panel.missing !== undefined)
    parts.push(fittedText(left + 6, TITLE_HEIGHT + PLOT_HEIGHT / 2, panel.missing, plotWidth - 6, { kind: 'soft' }));
  for (const { series, points } of panel.lines) {
    const shown = points.filter((point) => point.x > 0 && point.y > 0);
    const path = shown.map((point, i) => `${i === 0 ? 'M' : 'L'}${px(at(point.x))} ${px(up(point.y))}`).join('');
    if (shown.length > 1)
      parts.push(`<path class="line ${series.className}" stroke-dasharray="${series.dash}" d="${path}"/>`);
    for (const point of hasPoints ? shown : []) {
      const { low = Number.NaN, high = Number.NaN } = point;
      const whisker =
        low > 0 && high >= low ? `<path class="spread" d="M${px(at(point.x))} ${px(up(low))}V${px(up(high))}"/>` : '';
      const hint = `<title>${escapeXml(`${panel.title}, ${series.label}: ${point.note}`)}</title>`;
      parts.push(`<g>${hint}${whisker}${marker(series, at(point.x), up(point.y), point.isHollow)}</g>`);
    }
  }
  return parts.join('');
}
