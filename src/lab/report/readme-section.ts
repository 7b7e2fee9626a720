import type { Characterization } from '../characterize/characterization.ts';
import { characterizationReport } from './characterization-report.ts';
import { escapeText, markdownTable } from './markdown.ts';
import { type Picture, pictures } from './pictures.ts';
import { ratioTable } from './sections/beside-envoy.ts';
import { UNRELIABLE_LEGEND } from './view.ts';

/** The figures that a README shows, most important first; the page has all of them. */
const SHOWN = ['cpu', 'components', 'throughput-latency', 'additivity'];

const MAX_WARNING = 150;

const BEGIN = '<!-- characterization:begin -->';
const END = '<!-- characterization:end -->';

/** What stands between the marks of the README, and the pictures that it shows. */
export function readmeSection(c: Characterization, folder: string): { text: string; shown: Picture[] } {
  const document = characterizationReport(c);
  const all = pictures(document);
  const shown = SHOWN.flatMap((figure) => all.find((picture) => picture.figure === figure) ?? []);
  const figures = document.sections.flatMap((section) => section.figures);
  const titleOf = (id: string): string => figures.find((figure) => figure.id === id)?.title ?? id;
  const ratios = ratioTable(c);
  // Those that list every configuration are for the page.
  const warnings = c.warnings.filter(({ length }) => length <= MAX_WARNING);
  const parts = [
    `Measured ${c.startedAt.slice(0, 10)} on ${escapeText(c.machine.cpu)}, ${c.machine.cores} cores, ${c.rounds} × ${c.durationS} s of each load, with`,
    `\`\`\`sh\nbin/${c.command.replaceAll(/[\r\n`]/g, ' ')}\n\`\`\``,
    ...(warnings.length === 0 ? [] : [warnings.map((warning) => `- ${escapeText(warning)}`).join('\n')]),
    ...shown.flatMap(({ figure, fileName }) => [
      `**${escapeText(titleOf(figure))}**`,
      `![${escapeText(titleOf(figure))}](${folder}/${fileName})`,
    ]),
    ...(ratios === undefined ? [] : [markdownTable(ratios), escapeText(UNRELIABLE_LEGEND)]),
  ];
  return { text: `${BEGIN}\n${parts.join('\n\n')}\n${END}`, shown };
}

/** A README with another section between its marks. @throws Error where it has none */
export function replaceSection(readme: string, text: string): string {
  const [from, to] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the README has no ${BEGIN} … ${END}`);
  return readme.slice(0, from) + text + readme.slice(to + END.length);
}
