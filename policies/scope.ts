import type { Canonical } from './policy.ts';

/**
 * Takes virtual hosts out of a connection manager that no host in scope can reach: a sidecar gets what its workload may
 * call, and not the state of the whole mesh (the serverless paper, §4.2).
 *
 * @returns what was taken out
 */
export function narrowHosts(virtualHosts: Canonical[], scope: readonly string[]): Canonical[] {
  const isInScope = ({ domains }: Canonical): boolean =>
    (domains as string[]).some((domain) => scope.some((host) => overlap(plainDomain(domain), host.toLowerCase())));
  const removed = virtualHosts.filter((host) => !isInScope(host));
  virtualHosts.splice(0, virtualHosts.length, ...virtualHosts.filter(isInScope));
  return removed;
}

/** Takes out the clusters that only those virtual hosts named. */
export function dropUnused(bootstrap: Canonical, clusters: Canonical[], removed: readonly Canonical[]): void {
  const before = textsOf(removed);
  const resources = { ...(bootstrap.static_resources as Canonical), clusters: [] };
  const still = textsOf({ ...bootstrap, static_resources: resources });
  for (const cluster of clusters) {
    const others = clusters.filter((one) => one !== cluster);
    const name = String(cluster.name);
    if (!before.has(name) || still.has(name) || textsOf(others).has(name)) continue;
    clusters.splice(clusters.indexOf(cluster), 1);
  }
}

/** In lower case, without a port. */
function plainDomain(domain: string): string {
  return domain.toLowerCase().replace(/:(\d+|\*)$/, '');
}

/** Whether a name can match both; each may begin with a star. A domain may also end in one, which matches anything. */
function overlap(domain: string, host: string): boolean {
  if (domain.endsWith('*') || host === '*') return true;
  const [one, other] = [domain, host].map((name) => name.replace(/^\*/, '')) as [string, string];
  if (domain === one && host === other) return one === other;
  if (domain === one) return one.endsWith(other);
  if (host === other) return other.endsWith(one);
  return one.endsWith(other) || other.endsWith(one);
}

/** Every text in plain data. */
function textsOf(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value === 'string') found.add(value);
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) textsOf(part, found);
  return found;
}
