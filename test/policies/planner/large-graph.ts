import { generator } from '../../../policies/planner/smallest.ts';

/**
 * A call graph in which few services are called by many, as in a company: databases, identity, queues. Run by itself, this
 * file prints the one of docs/planner.md.
 */
export function largeGraph(services: number, calls: number): string {
  const random = generator(11);
  const lines = ['cluster: { network_policies: enforced }', 'services:'];
  for (let index = 0; index < services; index++)
    lines.push(`  s${index}: { replicas: ${1 + Math.floor(random() * 4)} }`);
  lines.push('calls:');
  const seen = new Set<number>();
  while (seen.size < calls) {
    const [from, to] = [Math.floor(services * random()), Math.floor(services * random() ** 3)];
    const key = from * services + to;
    if (from === to || seen.has(key)) continue;
    seen.add(key);
    lines.push(`  - { from: s${from}, to: s${to}, rate: ${1 + Math.floor(random() * 100)} }`);
  }
  lines.push('policies:');
  for (let index = 0; index < services; index++) {
    if (random() < 0.5) lines.push(`  - { name: limit-${index}, kind: RateLimit, to: s${index} }`);
    if (random() < 0.3) lines.push(`  - { name: rules-${index}, kind: AuthorizationPolicy, to: s${index} }`);
    if (random() < 0.02) lines.push(`  - { name: tries-${index}, kind: RetryPolicy, from: s${index} }`);
  }
  return `${lines.join('\n')}\n`;
}

if (import.meta.main) process.stdout.write(largeGraph(2000, 20_000));
