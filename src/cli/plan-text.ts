import { styleText } from 'node:util';
import type { AdmPolicy, Comparison, Plan } from '../../policies/planner/plan.ts';

/** A plan in words and tables. Long lists are cut: `--json` has all of them. */
const MAX_LINES = 40;

export function planText(plan: Plan): string {
  const { proof, adms } = plan;
  const lines = [
    `${adms.length} ${adms.length === 1 ? 'ADM' : 'ADMs'}${proofText(plan)}${plan.survive ? ', and any one of them may be lost' : ''}`,
    ...section(
      '',
      adms.map(({ service, policies }) => `${service}${' '.repeat(pad(adms, service))}  ${policiesText(policies)}`),
    ),
    ...section(
      'Why',
      plan.placements.map(({ receiver, why }) => `${receiver}: ${why}`),
    ),
  ];
  const plain = plan.skips.filter(({ past }) => past.length > 0);
  if (plain.length > 0) {
    lines.push('', 'Goes past ADMs, since no policy there is about it');
    lines.push(...cut(plain.map(({ from, to, past }) => `  ${from} → ${to}  (past ${past.join(' and ')})`)));
  }
  if (plan.networkPolicies.length > 0) {
    lines.push('', 'Apply these network policies before the sidecars go: they close what was guarded at the receiver');
    lines.push(...cut(plan.networkPolicies.map(({ metadata }) => `  ${metadata.namespace}/${metadata.name}`)));
  }
  if (plan.changes !== undefined) {
    lines.push('', plan.changes.length === 0 ? 'Nothing moves' : `Moves (${plan.changes.length})`);
    lines.push(...cut(plan.changes.map((change) => `  ${change}`)));
  }
  lines.push('', ...comparisonTable(plan.comparison), '', `Costs: ${plan.costs.source}`);
  if (proof.moves !== undefined && !proof.moves.isOptimal)
    lines.push(`Moves: ${proof.moves.value}, no plan of this size has fewer than ${Math.ceil(proof.moves.bound)}`);
  for (const warning of plan.warnings) lines.push(`${styleText('yellow', 'warning:')} ${warning}`);
  return `${lines.join('\n')}\n`;
}

/** Lines below a title, after an empty line; none where there is nothing to say. */
function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  return ['', ...(title === '' ? [] : [title]), ...cut(lines.map((line) => `  ${line}`))];
}

/** What is proved, and the gap where it is not. */
function proofText({ adms: { length }, proof: { adms, moves, cost, elapsedMs }, objective }: Plan): string {
  const time = `${(elapsedMs / 1000).toFixed(1)} s`;
  const size = adms.isOptimal
    ? length > adms.value
      ? `${adms.value} would do, with more moves`
      : 'no plan has fewer'
    : `no plan has fewer than ${adms.bound}: gap ${percent(adms.value - adms.bound, adms.value)}`;
  const words = { cpu: 'the least CPU', balance: 'the most even load', latency: 'the lowest latency' }[objective];
  const rest = cost.isOptimal
    ? `${words} among those ${moves === undefined ? 'of this size' : 'with as few moves'}`
    : `${objective} within ${percent(cost.value - cost.bound, cost.value)} of the bound`;
  return ` (${size}; ${rest}; ${time})`;
}

function percent(part: number, whole: number): string {
  return Number.isFinite(part) && whole !== 0 ? `${((part / whole) * 100).toFixed(1)} %` : 'unknown';
}

function pad(adms: Plan['adms'], service: string): number {
  return Math.max(...adms.map((one) => one.service.length)) - service.length;
}

function policiesText(policies: readonly AdmPolicy[]): string {
  const text = (direction: AdmPolicy['direction']): string[] => {
    const names = policies.filter((one) => one.direction === direction);
    const byName = Map.groupBy(names, ({ policy, standby }) => `${policy}${standby ? ' (standby)' : ''}`);
    return Array.from(byName, ([name, entries]) => {
      const peers = [...new Set(entries.flatMap((entry) => entry.peers))];
      const arrow = direction === 'egress' ? '→' : '←';
      return peers.length === 0
        ? name
        : `${name} ${arrow} ${peers.length > 4 ? `${peers.length} services` : peers.join(', ')}`;
    });
  };
  const parts = [
    ['in', text('ingress')],
    ['out', text('egress')],
  ] as const;
  return parts
    .filter(([, names]) => names.length > 0)
    .map(([label, names]) => `${label}: ${names.join('; ')}`)
    .join('  |  ');
}

function comparisonTable(rows: readonly Comparison[]): string[] {
  const cells = rows.map((row) => [
    row.name,
    String(row.adms),
    String(row.processes),
    row.cpuCores.toFixed(row.cpuCores < 1 ? 4 : 2),
    row.busiestCores.toFixed(4),
    row.memoryMiB.toFixed(0),
    row.latencyMicros.toFixed(1),
  ]);
  const table = [
    ['', 'ADMs', 'processes', 'CPU, cores', 'busiest, cores', 'memory, MiB', 'added latency, µs'],
    ...cells,
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  );
}

function cut(lines: readonly string[]): string[] {
  if (lines.length <= MAX_LINES) return [...lines];
  return [...lines.slice(0, MAX_LINES), `  … and ${lines.length - MAX_LINES} more (--json has all)`];
}

/** Why there is no plan: for each conflict the constraints of which none can be left out. */
export function conflictText(conflicts: readonly (readonly string[])[]): string {
  const parts = conflicts.map(
    (texts) =>
      `outrigger: no plan is possible: ${texts.length === 1 ? 'this cannot be' : 'these contradict each other'}\n${texts
        .map((text) => `  - ${text}\n`)
        .join('')}`,
  );
  return parts.join('');
}
