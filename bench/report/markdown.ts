import { allTables, factLines } from './console.ts';
import type { BenchReport } from './result.ts';
import { LEGEND, ratioTable, type Table } from './tables.ts';

/** The report as GitHub-flavoured Markdown. */
export function renderMarkdown(report: BenchReport): string {
  const ratios = ratioTable(report);
  const commands = report.scenarios.map((result) => `- ${result.scenario.name}: \`${result.command}\``);
  return [
    '# Outrigger benchmark',
    `${report.startedAt.slice(0, 10)}. Reproduce: \`${report.command}\``,
    factLines(report)
      .map((line) => `- ${line}`)
      .join('\n'),
    ...(ratios === undefined ? [] : [markdownTable(ratios)]),
    LEGEND,
    ...allTables(report).map(markdownTable),
    '## Commands',
    commands.join('\n'),
  ]
    .join('\n\n')
    .concat('\n');
}

function markdownTable(table: Table): string {
  const row = (cells: readonly string[]): string => `| ${cells.map(escapeCell).join(' | ')} |`;
  const alignment = table.columns.map((_, i) => (i === 0 ? '---' : '---:'));
  return [
    `## ${table.title}`,
    '',
    row(table.columns),
    `| ${alignment.join(' | ')} |`,
    ...table.rows.map((cells) => row(cells.map((cell) => cell.text))),
  ].join('\n');
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('~', '\\~');
}
