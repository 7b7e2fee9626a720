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
  const { systemCalls, counters, inside } = report;
  if (systemCalls.calls.length === 0) lines.push(`System calls: ${systemCalls.note}`);
  else {
    lines.push(row('System call', 'µs/request', 'calls/request', `mean µs (${systemCalls.tool}, waiting included)`));
    for (const { name, perRequest, meanUs, usPerRequest } of systemCalls.calls)
      lines.push(row(name, us(usPerRequest), perRequest.toFixed(2), us(meanUs)));
  }
  lines.push('', `Counters: ${counters.kind}${counters.note === '' ? '' : ` (${counters.note})`}`);
  for (const [name, value] of Object.entries({ ...counters.perRequest, ...counters.derived }))
    lines.push(row(name, value >= 100 ? String(Math.round(value)) : value.toPrecision(3)));
  if (inside !== undefined) {
    lines.push('', row('Inside and outside', 'inside', 'outside', 'µs/request'));
    for (const { title, inside: within, outside } of comparison(report))
      lines.push(row(title, us(within), us(outside)));
  }
  for (const note of report.notes) lines.push('', note);
  return `${lines.join('\n')}\n`;
}

/** Rows that the proxy's own probes and the profile from outside can both tell, microseconds per request. */
export function comparison({ inside, parts }: ProfileReport): { title: string; inside: number; outside: number }[] {
  const within = inside?.usPerRequest ?? {};
  const outside = (names: readonly string[]): number =>
    parts
      .filter(({ part }) => names.includes(part) || names.includes(part.split('/')[0] as string))
      .reduce((sum, part) => sum + part.usPerRequest, 0);
  const inner = (names: readonly string[]): number =>
    Object.entries(within)
      .filter(([part]) => names.includes(part) || names.includes(part.split('/')[0] as string))
      .reduce((sum, [, value]) => sum + value, 0);
  return COMPARED.map(([title, ...names]) => ({ title, inside: inner(names), outside: outside(names) }));
}

/** What the probes cannot tell apart is compared as one. */
const COMPARED: readonly (readonly [title: string, ...parts: string[]])[] = [
  ['Write, both sides', 'os_write', 'os_ipc', 'sidecar_write'],
  ['Read and poll, both sides', 'os_read', 'sidecar_read', 'event_poll'],
  ['Parsing and headers', 'http_parse', 'header_codec'],
  ['Packets and routing', 'packet_processing', 'routing'],
  ['Filters', 'filter'],
];

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
