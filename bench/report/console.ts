import { formatSeconds } from '../run/progress.ts';
import { addedTable } from './added-table.ts';
import { idleTable } from './idle-table.ts';
import type { BenchReport } from './result.ts';
import { scalingTable } from './scaling-table.ts';
import {
  cpuTable,
  failureLines,
  LEGEND,
  latencyTable,
  memoryTable,
  overallCpuRatio,
  startTable,
  type Table,
} from './tables.ts';

/** The report for a terminal: plain text, no colours, aligned. */
export function renderConsole(report: BenchReport): string {
  const parts = [factsText(report), ...allTables(report).map(renderTable), LEGEND];
  const ratio = overallCpuRatio(report, 'outrigger');
  if (ratio !== undefined) {
    parts.push(
      `Outrigger spends ${ratio.toFixed(2)} × Envoy's CPU per request (median of the scenarios, at saturation).`,
    );
  }
  return `${parts.join('\n\n')}\n`;
}

/** What was measured, where and how. */
export function factsText(report: BenchReport): string {
  return factLines(report).join('\n');
}

export function factLines(report: BenchReport): string[] {
  const { machine, cores } = report;
  const placed = cores.pinned
    ? `proxy on core ${cores.proxy.join(',')}, load and backend on ${cores.load.join(',')}`
    : 'nothing pinned';
  const noise = Math.round(100 * (machine.noise.max / machine.noise.median - 1));
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryMiB} MiB, Linux ${machine.kernel}; ${placed}`,
    `${report.peers.map((peer) => `${peer.name} ${peer.version} (${peer.description})`.replace('  ', ' ')).join('; ')}`,
    `Load: ${report.load}; ${report.rounds} × ${report.durationS} s of each; took ${formatSeconds(report.seconds)}; ` +
      `noise of the machine +${noise} %, load average before ${machine.loadAverage.toFixed(2)}`,
    ...report.warnings.map((warning) => `Warning: ${warning}`),
    ...failureLines(report),
  ];
}

export function allTables(report: BenchReport): Table[] {
  const tables = report.scenarios.flatMap((result) => [cpuTable(result), latencyTable(result)]);
  return [...tables, addedTable(report), ...processTables(report)].filter((table) => table !== undefined);
}

/** What has no scenario of its own. */
export function processTables(report: BenchReport): Table[] {
  return [memoryTable(report), idleTable(report), startTable(report), scalingTable(report)].filter(
    (table) => table !== undefined,
  );
}

function renderTable(table: Table): string {
  const rows = table.rows.map((row) => row.map((cell) => cell.text));
  const widths = table.columns.map((column, i) => Math.max(column.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((text, i) => (isText(i, table) ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [table.title, line(table.columns), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join(
    '\n',
  );
}

/** Words stand left, figures right. */
function isText(column: number, table: Table): boolean {
  return column === 0 || table.columns[column] === 'marks';
}
