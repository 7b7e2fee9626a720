import { type BenchReport, IDLE_CONNECTIONS } from './result.ts';
import { BASELINE, errorLabel, figureCell, formatNumber, type Table } from './tables.ts';

/** Memory while many connections are open and nothing is sent. */
export function idleTable(report: BenchReport): Table | undefined {
  if (report.idle.length === 0) return undefined;
  const base = report.idle.find((result) => result.peer === BASELINE);
  return {
    title: `Resident memory with ${formatNumber(IDLE_CONNECTIONS)} idle keep-alive connections, each after one request`,
    columns: ['peer', 'MiB in all', 'KiB more per connection'],
    rows: report.idle.map((result) => {
      const beside = result === base ? undefined : base;
      return [
        { text: errorLabel(result) },
        figureCell(result.connectedKiB, beside?.connectedKiB, 1 / 1024),
        figureCell(result.perConnectionKiB, beside?.perConnectionKiB),
      ];
    }),
  };
}
