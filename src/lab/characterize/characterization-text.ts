import { additiveModel } from './additive-model.ts';
import type { Characterization } from './characterization.ts';
import { componentTables, latencyTable, saturationTable } from './configuration-tables.ts';
import { findingsTable } from './findings.ts';
import { additivityTables, sizeTable } from './model-tables.ts';
import { code, escapeText, markdownTable, plainTable, type TextTable } from './text-table.ts';

/** All tables, in the paper's order. */
export function characterizationTables(c: Characterization): TextTable[] {
  const model = additiveModel(c);
  return [
    saturationTable(c),
    latencyTable(c),
    ...componentTables(c),
    ...additivityTables(c, model),
    sizeTable(c, model.sizes),
    findingsTable(c, model),
  ].filter((table) => table !== undefined);
}

/** For a terminal: plain text, no colours, aligned. */
export function characterizationText(c: Characterization): string {
  return `${[factLines(c).join('\n'), ...characterizationTables(c).map(plainTable)].join('\n\n')}\n`;
}

export function characterizationMarkdown(c: Characterization): string {
  const alone = c.configurations.map(({ name, command }) => `- ${escapeText(name)}: ${code(command)}`);
  const parts = [
    '# Characterization',
    `${c.startedAt.slice(0, 10)}. Again: ${code(c.command)}`,
    factLines(c)
      .map((line) => `- ${escapeText(line)}`)
      .join('\n'),
    ...characterizationTables(c).map(markdownTable),
    '## Each configuration alone',
    alone.join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** What was measured, where and how. */
function factLines({ machine, cores, peers, rounds, durationS, seconds, warnings }: Characterization): string[] {
  const placed = cores.pinned
    ? `proxy on core ${cores.proxy.join(',')}, load and backend on ${cores.load.join(',')}`
    : 'nothing pinned';
  return [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}; ${placed}`,
    peers.map(({ name, version, description }) => `${name} ${version} (${description})`).join('; '),
    `${rounds} rounds of ${durationS} s each; took ${Math.round(seconds)} s`,
    ...warnings.map((warning) => `Warning: ${warning}`),
  ];
}
