import type { CallGraph } from '../../../policies/planner/call-graph.ts';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { generator } from '../../../policies/planner/smallest.ts';

/** A call graph as YAML: few services, with every kind of policy and everything that binds them. The same for one seed. */
export function randomGraphText(seed: number): string {
  const random = generator(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const chance = (share: number): boolean => random() < share;
  const services = Array.from({ length: 2 + below(6) }, (_, index) => `s${index}`);
  const lines = ['cluster:', `  network_policies: ${chance(0.6) ? 'enforced' : 'absent'}`];
  lines.push(`  undeclared_callers: ${chance(0.3) ? 'none' : 'possible'}`, 'services:');
  for (const [index, name] of services.entries()) {
    const fields = [`replicas: ${1 + below(3)}`];
    if (index === 0 && chance(0.5)) fields.push('external: true');
    else if (chance(0.1)) fields.push('sidecar: false');
    if (chance(0.08)) fields.push('labels: { app: s1 }');
    lines.push(`  ${name}: { ${fields.join(', ')} }`);
  }
  const calls: string[] = [];
  for (const from of services) {
    for (const to of services) {
      if (from !== to && to !== 's0' && chance(0.35))
        calls.push(`  - { from: ${from}, to: ${to}, rate: ${1 + below(50)} }`);
    }
  }
  if (calls.length > 0) lines.push('calls:', ...calls);
  lines.push('policies:');
  for (let index = 0; index <= below(6); index++) lines.push(...policyLines(index, services, below, chance));
  return `${lines.join('\n')}\n`;
}

const KINDS = [
  'RequestAuthentication',
  'AuthorizationPolicy',
  'RateLimit',
  'AccessLog',
  'CircuitBreaker',
  'RetryPolicy',
  'PeerAuthentication',
  'Custom',
];

function policyLines(
  index: number,
  services: readonly string[],
  below: (count: number) => number,
  chance: (share: number) => boolean,
): string[] {
  const kind = KINDS[below(KINDS.length - (chance(0.7) ? 2 : 0))]!;
  const lines = [`  - name: p${index}`, `    kind: ${kind}`];
  const some = services.filter(() => chance(0.4));
  if (some.length > 0 && chance(0.8)) lines.push(`    to: [${some.join(', ')}]`);
  if (chance(0.2)) lines.push(`    from: [${services.filter((_, at) => at === 0 || chance(0.5)).join(', ')}]`);
  if (index > 0 && chance(0.2)) lines.push(`    after: [p${below(index)}]`);
  if (index > 0 && chance(0.1)) lines.push(`    beside: [p${below(index)}]`);
  if (chance(0.1)) lines.push('    unordered: true');
  if (kind === 'CircuitBreaker' && chance(0.4)) lines.push('    shared: true');
  if (kind === 'Custom') {
    const of = (...values: string[]): string => values[below(values.length)]!;
    const semantics = [`state: ${of('none', 'process', 'mesh')}`, `protects: ${of('nothing', 'load', 'security')}`];
    semantics.push(
      `stage: ${of('other', 'limit', 'authorization')}`,
      `sides: ${of('either', 'either', 'sender', 'receiver')}`,
    );
    lines.push(`    semantics: { ${semantics.join(', ')} }`);
    lines.push(`    cost: { sender: { cpu_us: ${below(30)} }, receiver: { cpu_us: ${below(30)} } }`);
  }
  return lines;
}

export function randomGraph(seed: number): CallGraph {
  return parseCallGraph([{ file: `random-${seed}.yaml`, text: randomGraphText(seed) }]);
}
