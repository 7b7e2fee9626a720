/** How many endpoints of one priority there are, by health. */
export interface PriorityHealth {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
  /** What counts for how much load it can carry: weights in place of numbers. Without those that drain. */
  readonly weights?: { readonly total: number; readonly healthy: number; readonly degraded: number } | undefined;
  /** Those that drain: they do not count as a part of the priority that fails. */
  readonly excluded: number;
}

/** Shares of the load, in percent by priority; healthy and degraded together add up to 100. */
export interface PriorityLoad {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** Priorities in panic: their load goes to all their endpoints, whatever their health. */
  readonly panic: readonly boolean[];
}

/**
 * Spreads the load over priorities as Envoy documents it (intro/arch_overview/upstream/load_balancing, "Priority
 * levels", "Degraded endpoints" and "Panic threshold"), in whole percents.
 *
 * A priority can carry 100 % while it has `overprovisioningFactor` percent of what it needs: 1.4 lets 72 % of its
 * endpoints do all its work. What healthy endpoints of all priorities cannot carry goes to degraded ones. Only when the
 * sum stays below 100 % can a priority panic: if less than `panicThreshold` percent of it is available.
 */
export function spreadLoad(
  priorities: readonly PriorityHealth[],
  overprovisioningFactor: number,
  panicThreshold: number,
): PriorityLoad {
  const healthyCapacity = capacities(priorities, 'healthy', overprovisioningFactor);
  const degradedCapacity = capacities(priorities, 'degraded', overprovisioningFactor);
  const available = Math.min(sum(healthyCapacity) + sum(degradedCapacity), 100);
  const calm = priorities.map(() => false);
  if (available === 0 && panicThreshold === 0) {
    return { healthy: allToFirst(priorities.length), degraded: priorities.map(() => 0), panic: calm };
  }
  const panic = available === 100 ? calm : priorities.map((p) => percentAvailable(p) < panicThreshold);
  if (panic.every(Boolean)) {
    return { healthy: byEndpoints(priorities), degraded: priorities.map(() => 0), panic };
  }
  const healthy = share(healthyCapacity, 100, available);
  const degraded = share(degradedCapacity, 100 - sum(healthy), available);
  const rest = 100 - sum(healthy) - sum(degraded);
  giveTo(healthyCapacity.some((c) => c > 0) ? healthy : degraded, rest);
  return { healthy, degraded, panic };
}

/**
 * Spreads the load over the other priorities than these (Envoy's previous_priorities). Undefined when they can carry
 * nothing.
 */
export function spreadLoadWithout(
  priorities: readonly PriorityHealth[],
  overprovisioningFactor: number,
  panicThreshold: number,
  excluded: ReadonlySet<number>,
): PriorityLoad | undefined {
  const { panic } = spreadLoad(priorities, overprovisioningFactor, panicThreshold);
  const left = (health: 'healthy' | 'degraded'): number[] =>
    capacities(priorities, health, overprovisioningFactor).map((c, priority) => (excluded.has(priority) ? 0 : c));
  const healthyCapacity = left('healthy');
  const degradedCapacity = left('degraded');
  const available = Math.min(sum(healthyCapacity) + sum(degradedCapacity), 100);
  if (available === 0) return undefined;
  const healthy = share(healthyCapacity, 100, available);
  const degraded = share(degradedCapacity, 100 - sum(healthy), available);
  giveTo(healthyCapacity.some((c) => c > 0) ? healthy : degraded, 100 - sum(healthy) - sum(degraded));
  return { healthy, degraded, panic };
}

function capacities(
  priorities: readonly PriorityHealth[],
  health: 'healthy' | 'degraded',
  overprovisioningFactor: number,
): number[] {
  return priorities.map((p) =>
    p.weights === undefined
      ? capacity(p[health], p.total - p.excluded, overprovisioningFactor)
      : capacity(p.weights[health], p.weights.total, overprovisioningFactor),
  );
}

function percentAvailable({ total, healthy, degraded, excluded }: PriorityHealth): number {
  return total === excluded ? 0 : (100 * (healthy + degraded)) / (total - excluded);
}

function capacity(endpoints: number, total: number, overprovisioningFactor: number): number {
  return total === 0 ? 0 : Math.min(Math.floor((overprovisioningFactor * endpoints) / total), 100);
}

/** Lets each priority in turn take what it can carry, scaled up where all together cannot carry everything. */
function share(capacities: readonly number[], load: number, available: number): number[] {
  let left = load;
  return capacities.map((c) => {
    const taken = Math.min(left, Math.floor((c * 100) / available));
    left -= taken;
    return taken;
  });
}

/** Total panic: by the number of endpoints, whatever their health. */
function byEndpoints(priorities: readonly PriorityHealth[]): number[] {
  const total = priorities.reduce((count, p) => count + p.total, 0);
  if (total === 0) return allToFirst(priorities.length);
  const loads = priorities.map((p) => Math.floor((100 * p.total) / total));
  giveTo(loads, 100 - sum(loads));
  return loads;
}

/** Gives what rounding left over to the first priority that has a load. */
function giveTo(loads: number[], rest: number): void {
  const first = Math.max(
    loads.findIndex((load) => load > 0),
    0,
  );
  loads[first] = (loads[first] ?? 0) + rest;
}

function allToFirst(count: number): number[] {
  return Array.from({ length: count }, (_, i) => (i === 0 ? 100 : 0));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
