import { CHART_STYLE, DARK, LIGHT, PATTERNS } from './chart/chart-style.ts';
import { type Chart, escapeXml, px } from './chart/drawing.ts';
import type { ReportDocument } from './document.ts';

/** What a README shows without scaling. */
const WIDTH = 820;
const MARGIN = 14;

export interface Picture {
  readonly figure: string;
  readonly fileName: string;
  readonly svg: string;
}

/** The charts of a report as files of their own: each has its ground, its patterns, and both colour schemes. */
export function pictures({ sections }: ReportDocument): Picture[] {
  return sections.flatMap(({ figures }) =>
    figures.flatMap(({ id, charts }) =>
      charts.map((chart, i) => ({
        figure: id,
        fileName: i === 0 ? `${id}.svg` : `${id}-${i + 1}.svg`,
        svg: standaloneSvg(chart),
      })),
    ),
  );
}

/** @returns a document that is well-formed XML and needs nothing else */
export function standaloneSvg(chart: Chart): string {
  const { height, body } = chart.draw(WIDTH);
  const [width, whole] = [WIDTH + 2 * MARGIN, height + 2 * MARGIN];
  return `<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 ${width} ${px(whole)}" width="${width}" height="${px(whole)}">
<title>${escapeXml(chart.title)}</title><desc>${escapeXml(chart.description)}</desc>
<style>svg { ${LIGHT} }
@media (prefers-color-scheme: dark) { svg { ${DARK} } }${CHART_STYLE}</style>
${PATTERNS}
<rect class="ground" width="${width}" height="${px(whole)}"/>
<g transform="translate(${MARGIN} ${MARGIN})">
${body}
</g>
</svg>
`;
}
