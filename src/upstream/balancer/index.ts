import { toWireText } from '../../matching/wire-text.ts';
import type { Counter, Gauge } from '../../observe/stats.ts';
import type { Endpoint, EndpointHealth, Locality } from '../endpoint.ts';
import type { Random } from '../random.ts';
import { type Balancer, FixedBalancer } from './balancer.ts';
import { BoundedLoadBalancer } from './bounded-load.ts';
import { LeastRequestBalancer, WeightedLeastRequestBalancer } from './least-request.ts';
import { LocalityBalancer } from './locality.ts';
import { MaglevBalancer } from './maglev.ts';
import { type LoadShare, PriorityBalancer } from './priority.ts';
import { type PriorityHealth, type PriorityLoad, spreadLoad, spreadLoadWithout } from './priority-load.ts';
import { RandomBalancer } from './random.ts';
import { RingHashBalancer } from './ring-hash.ts';
import { RoundRobinBalancer, WeightedRoundRobinBalancer } from './round-robin.ts';
import { type SlowStart, SlowStartBalancer, slowStartEndMs } from './slow-start.ts';
import {
  localityKey,
  routeZones,
  type Zone,
  type ZoneAware,
  ZoneAwareBalancer,
  zoneObstacle,
  zoneShares,
} from './zone-aware.ts';

export type { Balancer } from './balancer.ts';

/** How a cluster chooses endpoints: its `lb_policy` with what belongs to it. */
export type BalancerPolicy =
  | { readonly kind: 'ROUND_ROBIN'; readonly slowStart?: SlowStart | undefined }
  | {
      readonly kind: 'LEAST_REQUEST';
      readonly choiceCount: number;
      readonly activeRequestBias: number;
      readonly slowStart?: SlowStart | undefined;
    }
  | { readonly kind: 'RANDOM' }
  | { readonly kind: 'RING_HASH'; readonly minimumRingSize: number; readonly maximumRingSize: number }
  | { readonly kind: 'MAGLEV'; readonly tableSize: number };

/** `consistent_hashing_lb_config`. */
export interface ConsistentHashing {
  /** Whether endpoints are placed by their host name, so that one keeps its keys when its address changes. */
  readonly use_hostname_for_hashing: boolean;
  /** Percent of the average load that an endpoint takes before its keys go to others; undefined sets no bound. */
  readonly hash_balance_factor?: number | undefined;
}

export interface BalancerOptions {
  readonly policy: BalancerPolicy;
  /** Whether weights of endpoints, and not their number, tell how much load a priority can carry. */
  readonly weightedPriorityHealth: boolean;
  /** Percent; 140 lets a priority carry its whole load on 72 % of its endpoints. */
  readonly overprovisioningFactor: number;
  /** Percent of available endpoints below which health is ignored; 0 never ignores it. */
  readonly panicThreshold: number;
  /** Whether localities share the load by their own weights. */
  readonly localityWeighted: boolean;
  /** Undefined where zones do not matter. */
  readonly zoneAware?: ZoneAware | undefined;
  /** For RING_HASH and MAGLEV. */
  readonly consistentHashing: ConsistentHashing | undefined;
  readonly random: Random;
  /** The cluster's requests in flight. */
  readonly activeRequests: Gauge;
  /** Counts picks in panic. */
  readonly panics: Counter;
}

/** Builds the balancer of a cluster for its present endpoints of all priorities. */
export function createBalancer(endpoints: readonly Endpoint[], options: BalancerOptions): Balancer {
  const priorities = groupByPriority(endpoints);
  const healths = priorities.map((members) => healthOfPriority(members, options.weightedPriorityHealth));
  const load = spreadLoad(healths, options.overprovisioningFactor, options.panicThreshold);
  return balancePriorities(priorities, load, options);
}

/** Builds a balancer that passes over some priorities; undefined when the others have nothing to offer. */
export function createDetour(
  endpoints: readonly Endpoint[],
  options: BalancerOptions,
  excluded: ReadonlySet<number>,
): Balancer | undefined {
  const priorities = groupByPriority(endpoints);
  const healths = priorities.map((members) => healthOfPriority(members, options.weightedPriorityHealth));
  const load = spreadLoadWithout(healths, options.overprovisioningFactor, options.panicThreshold, excluded);
  return load === undefined ? undefined : balancePriorities(priorities, load, options);
}

function healthOfPriority(members: readonly Endpoint[], weighted: boolean): PriorityHealth {
  const of = (health: EndpointHealth) => members.filter((endpoint) => endpoint.health === health);
  const weightOf = (endpoints: readonly Endpoint[]) => endpoints.reduce((sum, { weight }) => sum + weight, 0);
  const [healthy, degraded, excluded] = [of('healthy'), of('degraded'), of('draining')];
  return {
    total: members.length,
    healthy: healthy.length,
    degraded: degraded.length,
    excluded: excluded.length,
    weights: weighted
      ? { total: weightOf(members) - weightOf(excluded), healthy: weightOf(healthy), degraded: weightOf(degraded) }
      : undefined,
  };
}

function balancePriorities(
  priorities: readonly (readonly Endpoint[])[],
  load: PriorityLoad,
  options: BalancerOptions,
): Balancer {
  const shares: LoadShare[] = [];
  // Healthy ones first, in all priorities: a hash finds its share by this order, which is Envoy's.
  for (const health of ['healthy', 'degraded'] as const) {
    for (const [priority, members] of priorities.entries()) {
      const panic = load.panic[priority] ?? false;
      const percent = load[health][priority] ?? 0;
      if (percent === 0) continue;
      const chosen = panic ? members : members.filter((endpoint) => endpoint.health === health);
      const looksAtZones = priority === 0 && health === 'healthy' && !panic;
      const balancer =
        panic && options.zoneAware?.failTrafficOnPanic === true
          ? new FixedBalancer(undefined)
          : ((looksAtZones ? balanceZones(chosen, options) : undefined) ?? balanceLocalities(chosen, members, options));
      shares.push({ percent, panic, balancer });
    }
  }
  const [first] = shares;
  if (first !== undefined && shares.length === 1 && !first.panic) return first.balancer;
  const byHash = options.policy.kind === 'RING_HASH' || options.policy.kind === 'MAGLEV';
  return new PriorityBalancer(shares, byHash, options.random, options.panics);
}

/** Endpoints by priority, from 0 on without gaps. */
function groupByPriority(endpoints: readonly Endpoint[]): Endpoint[][] {
  const highest = endpoints.reduce((max, endpoint) => Math.max(max, endpoint.priority), 0);
  const groups: Endpoint[][] = Array.from({ length: highest + 1 }, () => []);
  for (const endpoint of endpoints) groups[endpoint.priority]?.push(endpoint);
  return groups;
}

/** A balancer that prefers this proxy's zone; undefined where zones are not to be looked at. */
function balanceZones(chosen: readonly Endpoint[], options: BalancerOptions): Balancer | undefined {
  const { zoneAware, policy, random, panicThreshold } = options;
  const local = zoneAware?.local();
  if (zoneAware === undefined || local === undefined || policy.kind === 'RING_HASH' || policy.kind === 'MAGLEV')
    return undefined;
  const stats = zoneAware.stats();
  stats.recalculated.inc();
  const byKey = Map.groupBy(chosen, ({ locality }) => localityKey(locality));
  const zones: Zone[] = Array.from(byKey, ([key, endpoints]) => ({ key, endpoints }));
  const obstacle = zoneObstacle(zones, local, zoneAware.minClusterSize);
  if (obstacle === 'local_cluster_not_ok' || isInPanic(local.endpoints, panicThreshold)) stats.localClusterNotOk.inc();
  else if (obstacle === 'cluster_too_small') stats.clusterTooSmall.inc();
  if (obstacle !== undefined || isInPanic(local.endpoints, panicThreshold)) return undefined;
  const localIndex = zones.findIndex(({ key }) => key === local.key);
  const balancers = zones.map(({ endpoints }) => balance(endpoints, weightsOf(endpoints), options));
  const route = routeZones(zoneShares(zones, local.endpoints), localIndex);
  const everywhere = balance(chosen, weightsOf(chosen), options);
  return new ZoneAwareBalancer(balancers, localIndex, route, everywhere, zoneAware, random);
}

/** Whether too few of them can be used for their health to be believed. */
function isInPanic(endpoints: readonly Endpoint[], panicThreshold: number): boolean {
  const { total, healthy, degraded, excluded } = healthOfPriority(endpoints, false);
  return total === excluded || (100 * (healthy + degraded)) / (total - excluded) < panicThreshold;
}

/**
 * @param chosen endpoints to balance over, those of one priority that take part.
 * @param members all endpoints of the priority, which tell how much of each locality takes part.
 */
function balanceLocalities(
  chosen: readonly Endpoint[],
  members: readonly Endpoint[],
  options: BalancerOptions,
): Balancer {
  const localities = options.localityWeighted
    ? groupByLocality(chosen).filter((group) => group.locality.weight > 0)
    : [];
  const { kind } = options.policy;
  if (kind === 'RING_HASH' || kind === 'MAGLEV') return balanceByHash(chosen, members, localities, options);
  if (localities.length === 0) return balance(chosen, weightsOf(chosen), options);
  const weights = localities.map(({ locality, endpoints }) => {
    const total = members.filter((endpoint) => endpoint.locality === locality).length;
    return locality.weight * Math.min((options.overprovisioningFactor / 100) * (endpoints.length / total), 1);
  });
  const balancers = localities.map((group) => balance(group.endpoints, weightsOf(group.endpoints), options));
  return balancers.length === 1 ? (balancers[0] as Balancer) : new LocalityBalancer(balancers, weights);
}

/**
 * One table over all localities, or a key would not stay with its endpoint. A locality's weight counts among all of its
 * priority, however many of its endpoints take part, as in Envoy.
 */
function balanceByHash(
  chosen: readonly Endpoint[],
  members: readonly Endpoint[],
  localities: readonly LocalityGroup[],
  options: BalancerOptions,
): Balancer {
  if (localities.length === 0) return balance(chosen, scaledWeights(chosen, 1), options);
  const total = groupByLocality(members).reduce((sum, { locality }) => sum + locality.weight, 0);
  return balance(
    localities.flatMap((group) => group.endpoints),
    localities.flatMap((group) => scaledWeights(group.endpoints, group.locality.weight / total)),
    options,
  );
}

interface LocalityGroup {
  readonly locality: Locality;
  readonly endpoints: Endpoint[];
}

function groupByLocality(endpoints: readonly Endpoint[]): LocalityGroup[] {
  const groups = new Map<Locality, Endpoint[]>();
  for (const endpoint of endpoints) {
    const group = groups.get(endpoint.locality);
    if (group === undefined) groups.set(endpoint.locality, [endpoint]);
    else group.push(endpoint);
  }
  return Array.from(groups, ([locality, members]) => ({ locality, endpoints: members }));
}

function weightsOf(endpoints: readonly Endpoint[]): number[] {
  return endpoints.map((endpoint) => endpoint.weight);
}

/** The endpoints' weights, scaled so that they add up to `total`. */
function scaledWeights(endpoints: readonly Endpoint[], total: number): number[] {
  const sum = endpoints.reduce((weight, endpoint) => weight + endpoint.weight, 0);
  // In this order, or rounding would make other tables than Envoy's.
  return endpoints.map((endpoint) => (endpoint.weight * total) / sum);
}

/** The policy's own balancer over endpoints that all take part. */
function balance(endpoints: readonly Endpoint[], weights: readonly number[], options: BalancerOptions): Balancer {
  if (endpoints.length < 2) return new FixedBalancer(endpoints[0]);
  const { policy, random } = options;
  const slowStart = 'slowStart' in policy ? policy.slowStart : undefined;
  if (slowStart !== undefined && slowStartEndMs(endpoints, slowStart) > performance.now()) {
    const settle = (): Balancer => balanceSettled(endpoints, weights, options);
    const bias = policy.kind === 'LEAST_REQUEST' ? policy.activeRequestBias : 0;
    const weightOf = (index: number): number =>
      (weights[index] as number) / ((endpoints[index] as Endpoint).activeRequests + 1) ** bias;
    return new SlowStartBalancer(endpoints, weightOf, slowStart, random, settle);
  }
  return balanceSettled(endpoints, weights, options);
}

/** The same once no endpoint is at its slow start. */
function balanceSettled(
  endpoints: readonly Endpoint[],
  weights: readonly number[],
  options: BalancerOptions,
): Balancer {
  const { policy, random } = options;
  const equal = weights.every((weight) => weight === weights[0]);
  switch (policy.kind) {
    case 'ROUND_ROBIN':
      return equal
        ? new RoundRobinBalancer(endpoints, random)
        : new WeightedRoundRobinBalancer(endpoints, weights, random);
    case 'LEAST_REQUEST':
      return equal
        ? new LeastRequestBalancer(endpoints, policy.choiceCount, random)
        : new WeightedLeastRequestBalancer(endpoints, weights, policy.activeRequestBias, random);
    case 'RANDOM':
      return new RandomBalancer(endpoints, random);
    case 'RING_HASH': {
      const { minimumRingSize, maximumRingSize } = policy;
      const names = hashedNames(endpoints, options);
      const ring = new RingHashBalancer(endpoints, weights, names, minimumRingSize, maximumRingSize, random);
      return boundLoad(ring, endpoints, weights, options);
    }
    case 'MAGLEV': {
      const names = hashedNames(endpoints, options);
      const maglev = new MaglevBalancer(endpoints, weights, names, policy.tableSize, random);
      return boundLoad(maglev, endpoints, weights, options);
    }
  }
}

/** What places each endpoint: the key that its metadata gives it, or its host name if that is asked for, or its address. */
function hashedNames(endpoints: readonly Endpoint[], options: BalancerOptions): string[] {
  const byHostname = options.consistentHashing?.use_hostname_for_hashing === true;
  return endpoints.map(({ hashKey, hostname, address }) => toWireText(hashKey || (byHostname && hostname) || address));
}

function boundLoad(
  hashing: Balancer,
  endpoints: readonly Endpoint[],
  weights: readonly number[],
  { consistentHashing, random, activeRequests }: BalancerOptions,
): Balancer {
  const factor = consistentHashing?.hash_balance_factor;
  if (factor === undefined) return hashing;
  return new BoundedLoadBalancer(hashing, endpoints, weights, factor, activeRequests, random);
}
