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

/** Widths by kind of letter, as shares of the font's size: those of DejaVu Sans, which is wider than most. */
const LETTERS: readonly (readonly [letters: RegExp, width: number])[] = [
  [/[ .,:;'|!iIjl()[\]frt/-]/, 0.4],
  [/[mwMW%@—…]/, 0.98],
  [/[+−×=<>~→↑Δ]/, 0.84],
  [/[A-Z&#]/, 0.75],
  [/[\u0020-\u024f]/, 0.64],
];
/** Of all other scripts. */
const WIDEST = 1.05;

/** What a text takes at most, about, in pixels: nobody measures here. */
export function textWidth(text: string): number {
  let width = 0;
  for (const letter of text) width += LETTERS.find(([letters]) => letters.test(letter))?.[1] ?? WIDEST;
  return width * FONT_SIZE;
}

/** Bold letters are wider by this factor. */
const BOLD = 1.12;

/** The width of a column for labels in bold. */
export function strongWidth(text: string): number {
  return textWidth(text) * BOLD;
}

/** The text, or as much of it as fits into so many pixels. */
function fitText(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const letters = [...text];
  while (letters.length > 1 && textWidth(`${letters.join('')}…`) > width) letters.pop();
  return `${letters.join('').trimEnd()}…`;
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

/** The label of a tick below an axis, moved inwards where it would leave the picture. */
export function tickLabel(x: number, y: number, label: string, width: number): string {
  const half = textWidth(label) / 2;
  if (x < half) return textAt(0, y, label, { kind: 'soft' });
  if (x + half > width) return textAt(width, y, label, { anchor: 'end', kind: 'soft' });
  return textAt(x, y, label, { anchor: 'middle', kind: 'soft' });
}

/**
 * The length of an axis that leaves each text behind its mark enough room: a long text at a small value needs none.
 *
 * @param room from the axis' start to the edge of the picture
 */
export function axisLength(room: number, ends: readonly { readonly share: number; readonly text: string }[]): number {
  const lengths = ends.map(({ share, text }) => (share > 0 ? (room - textWidth(text) - MARK_GAP) / share : room));
  return Math.max(room * LEAST_AXIS, Math.min(room - MARK_GAP, ...lengths));
}

/** Between a mark and its text, and at the edge. */
const MARK_GAP = 12;
/** Texts that want more than the rest of the room are cut. */
const LEAST_AXIS = 0.4;

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
  const shown = fitText(text, options.kind === 'strong' ? width / BOLD : width);
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
