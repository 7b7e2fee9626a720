import type { SizeShares } from './difference.ts';
import { type ComparedRow, type InsideOutside, LARGE_SHARE } from './inside-outside.ts';
import type { ProfileReport } from './profile-report.ts';

/** The report as text: the components, then the rows of both papers, system calls and counters. */
export function profileText(report: ProfileReport): string {
  const { peer, machine, load, sampling } = report;
  const lines = [
    `${peer.name} ${peer.version} (${peer.description}), ${report.config}, ${report.protocol}`,
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}`,
    `${load.tool}, ${load.connections} connections, ${load.durationS} s: ${Math.round(report.requestsPerSecond)} requests/s, ${us(report.cpuUsPerRequest)} µs of CPU per request`,
    `${sampling.samples} samples of ${sampling.event} at ${sampling.hz} Hz`,
    '',
    row('Component', 'µs/request', 'share', 'basis'),
    ...report.parts.map(({ title, usPerRequest, share, basis }) => row(title, us(usPerRequest), percent(share), basis)),
    '',
    row('Table 2', 'µs/request', 'share'),
    ...papers(report.table2, report.cpuUsPerRequest),
    '',
    row('MeshInsight', 'µs/request', 'share'),
    ...papers(report.meshInsight, report.cpuUsPerRequest),
    '',
  ];
  const { systemCalls, counters, insideOutside } = report;
  if (systemCalls.calls.length === 0) lines.push(`System calls: ${systemCalls.note}`);
  else {
    lines.push(row('System call', 'µs/request', 'calls/request', `mean µs (${systemCalls.tool}, waiting included)`));
    for (const { name, perRequest, meanUs, usPerRequest } of systemCalls.calls)
      lines.push(row(name, us(usPerRequest), perRequest.toFixed(2), us(meanUs)));
  }
  lines.push('', `Counters: ${counters.kind}${counters.note === '' ? '' : ` (${counters.note})`}`);
  for (const [name, value] of Object.entries({ ...counters.perRequest, ...counters.derived }))
    lines.push(row(name, value >= 100 ? String(Math.round(value)) : value.toPrecision(3)));
  if (insideOutside !== undefined) lines.push('', ...bothAccounts(insideOutside));
  if (report.sizes !== undefined) lines.push('', ...sizeLines(report.sizes));
  for (const note of report.notes) lines.push('', note);
  return `${lines.join('\n')}\n`;
}

/** Both accounts, and how far apart they are. */
function bothAccounts({ rows, total, largestDeviation }: InsideOutside): string[] {
  const line = ({ title, inside, outside, deviation, share }: ComparedRow): string => {
    const apart = deviation === null ? '–' : signedPercent(deviation);
    return row(title, us(inside), us(outside), share < LARGE_SHARE ? `${apart} (small)` : apart);
  };
  return [
    row('Inside and outside', 'inside', 'outside', 'inside to outside, µs/request'),
    ...[...rows, total].map(line),
    `  Largest deviation of the rows from ${percent(LARGE_SHARE)} of the whole on: ${percent(largestDeviation)}`,
  ];
}

function sizeLines({ bytes, rows, largestBend }: SizeShares): string[] {
  const bend = largestBend === null ? '' : `; sizes in between lie at most ${percent(largestBend)} off the line`;
  return [
    row('By message size', 'µs/message', 'µs/KiB', 'by difference'),
    ...rows.map(({ title, fixedUs, usPerKib }) => row(title, us(fixedUs), usPerKib.toFixed(3), 'by difference')),
    `  Bodies of ${bytes.join(', ')} bytes${bend}`,
  ];
}

function signedPercent(share: number): string {
  return `${share < 0 ? '−' : '+'}${percent(Math.abs(share))}`;
}

function papers(sums: Readonly<Record<string, number>>, total: number): string[] {
  return Object.entries(sums).map(([name, value]) => row(name, us(value), percent(value / total)));
}

function row(name: string, ...values: string[]): string {
  const [first = '', second = '', third = ''] = values;
  return `  ${name.padEnd(30)}${first.padStart(12)}${second.padStart(15)}  ${third}`.trimEnd();
}

function us(value: number): string {
  return value.toFixed(Math.abs(value) >= 100 ? 0 : 2);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
