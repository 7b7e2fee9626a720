import { FONT_SIZE, fittedText, px, textWidth } from './drawing.ts';
import { marker, type Series } from './series.ts';

export interface LegendEntry {
  readonly label: string;
  /** Draws the sample, 20 pixels wide, around its middle. */
  readonly sample: (x: number, y: number) => string;
}

const SAMPLE_WIDTH = 22;
const GAP = 18;
const LINE = FONT_SIZE + 8;

/** Entries side by side, in as many lines as the width asks for. */
export function legend(entries: readonly LegendEntry[], width: number): { body: string; height: number } {
  let x = 0;
  let y = LINE / 2;
  const parts: string[] = [];
  for (const { label, sample } of entries) {
    const taken = SAMPLE_WIDTH + 4 + textWidth(label);
    if (x > 0 && x + taken > width) {
      x = 0;
      y += LINE;
    }
    parts.push(
      sample(x + SAMPLE_WIDTH / 2, y),
      fittedText(x + SAMPLE_WIDTH + 4, y, label, width - x - SAMPLE_WIDTH - 4),
    );
    x += taken + GAP;
  }
  return { body: parts.join('\n'), height: entries.length === 0 ? 0 : y + LINE / 2 + 6 };
}

export function pointEntry(series: Series): LegendEntry {
  return { label: series.label, sample: (x, y) => marker(series, x, y) };
}

export function lineEntry(series: Series): LegendEntry {
  return {
    label: series.label,
    sample: (x, y) =>
      `<path class="line ${series.className}" stroke-dasharray="${series.dash}" d="M${px(x - 11)} ${px(y)}h22"/>${marker(series, x, y)}`,
  };
}
