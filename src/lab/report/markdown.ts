import type { ReportDocument, Section, Table } from './document.ts';
import { isNumericColumn, VERDICTS } from './html.ts';

/**
 * The report as GitHub-flavoured Markdown.
 *
 * @param pictureOf where the picture of a figure lies, relative to the Markdown; undefined where there is none
 */
export function renderMarkdown(
  report: ReportDocument,
  pictureOf: (figure: string) => string | undefined = () => undefined,
): string {
  const { title, date, summary, facts, warnings, sections } = report;
  let figureNumber = 0;
  const parts = [
    `# ${escapeText(title)}`,
    `Measured ${escapeText(date.slice(0, 16).replace('T', ' '))} UTC.`,
    '## Summary',
    summary.map(({ verdict, text }) => `- **${VERDICTS[verdict]}**: ${escapeText(text)}`).join('\n'),
    '## Conditions',
    facts.map((fact) => `- ${escapeText(fact)}`).join('\n'),
    ...(warnings.length === 0
      ? []
      : ['### Warnings of the run', warnings.map((text) => `- ${escapeText(text)}`).join('\n')]),
    ...sections.flatMap((section) =>
      sectionParts(section, pictureOf, () => {
        figureNumber++;
        return figureNumber;
      }),
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

function sectionParts(
  { title, paragraphs, tables, figures }: Section,
  pictureOf: (figure: string) => string | undefined,
  nextNumber: () => number,
): string[] {
  return [
    `## ${escapeText(title)}`,
    ...paragraphs.map(escapeText),
    ...tables.flatMap((table) => [
      markdownTable(table),
      ...(table.command === undefined ? [] : [`Reproduce: ${codeSpan(table.command)}`]),
    ]),
    ...figures.flatMap((figure) => {
      const picture = pictureOf(figure.id);
      return [
        `### Figure ${nextNumber()}. ${escapeText(figure.title)}`,
        ...(picture === undefined ? [] : [`![${escapeText(figure.title)}](${encodeURI(picture)})`]),
        escapeText(figure.caption),
        `Reproduce: ${codeSpan(figure.command)}`,
        ...figure.tables.map(markdownTable),
      ];
    }),
  ];
}

export function markdownTable(table: Table): string {
  const { title, columns, rows } = table;
  const line = (texts: readonly string[]): string => `| ${texts.map(escapeText).join(' | ')} |`;
  const alignment = columns.map((_, i) => (isNumericColumn(table, i) ? '---:' : '---'));
  return [
    `**${escapeText(title)}**`,
    '',
    line(columns),
    `| ${alignment.join(' | ')} |`,
    ...rows.map((row) => line(row.map(({ text }) => text))),
  ].join('\n');
}

/** Text of ours or of the run's, never markup: names and errors may hold anything. */
export function escapeText(text: string): string {
  return text
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\\`*_{}[\]<>|~#&]/g, (character) =>
      character === '<' ? '&lt;' : character === '&' ? '&amp;' : `\\${character}`,
    );
}

/** As many backticks around it as it needs. */
function codeSpan(text: string): string {
  const plain = text.replaceAll(/\s+/g, ' ');
  const longest = Math.max(0, ...Array.from(plain.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${plain}${fence}` : `${fence} ${plain} ${fence}`;
}
