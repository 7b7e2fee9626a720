/** A picture of a given width: what lies within the `<svg>`, and how high that is. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly body: string;
}

/** A picture that is drawn anew for each width, so that its text keeps its size on a narrow screen. */
export interface Chart {
  /** What the picture shows, for those who do not see it. */
  readonly title: string;
  readonly description: string;
  readonly draw: (width: number) => Drawing;
}

export const FONT_SIZE = 12;

/** Wide letters of a sans-serif font take about this much of the font's size: a bound, since nobody measures here. */
const MEAN_LETTER = 0.58;

/** What a text takes at most, about; in pixels. */
export function textWidth(text: string, fontSize = FONT_SIZE): number {
  return text.length * fontSize * MEAN_LETTER;
}

/** The text, or as much of it as fits into so many pixels. */
export function fitText(text: string, width: number, fontSize = FONT_SIZE): string {
  if (textWidth(text, fontSize) <= width) return text;
  const letters = Math.max(1, Math.floor(width / (fontSize * MEAN_LETTER)) - 1);
  return `${text.slice(0, letters).trimEnd()}…`;
}

/** Control characters have no place in XML, not even escaped. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu;

export function escapeXml(text: string): string {
  return text
    .replaceAll(FORBIDDEN, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A coordinate, short. */
export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export interface TextOptions {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly kind?: 'label' | 'soft' | 'strong';
  /** Shown when pointed at. */
  readonly hint?: string;
}

/** A line of text whose middle is at `y`. */
export function textAt(x: number, y: number, text: string, options: TextOptions = {}): string {
  const { anchor = 'start', kind = 'label', hint } = options;
  const title = hint === undefined ? '' : `<title>${escapeXml(hint)}</title>`;
  const place = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `<text class="${kind}" x="${px(x)}" y="${px(y + FONT_SIZE / 3)}"${place}>${title}${escapeXml(text)}</text>`;
}

/** Text of a column, cut where it is too long; the whole is then shown when pointed at. */
export function fittedText(x: number, y: number, text: string, width: number, options: TextOptions = {}): string {
  const shown = fitText(text, width);
  return textAt(x, y, shown, shown === text ? options : { ...options, hint: text });
}

/** One `<svg>` of a page. @param id unique in the page */
export function svgElement(chart: Chart, width: number, className: string, id: string): string {
  const { height, body } = chart.draw(width);
  return `<svg class="chart ${className}" role="img" aria-labelledby="${id}-title ${id}-desc" viewBox="0 0 ${width} ${px(height)}" width="${width}" height="${px(height)}">
<title id="${id}-title">${escapeXml(chart.title)}</title><desc id="${id}-desc">${escapeXml(chart.description)}</desc>
${body}
</svg>`;
}
