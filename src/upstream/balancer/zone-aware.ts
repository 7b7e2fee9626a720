import type { Counter, StatsScope } from '../../observe/stats.ts';
import type { Endpoint, Locality } from '../endpoint.ts';
import { below, type Random } from '../random.ts';
import type { Balancer } from './balancer.ts';

/** Where this proxy is: its own zone, and the cluster that it and its like are the endpoints of. */
export interface LocalZone {
  /** As `localityKey` has it. */
  readonly key: string;
  readonly endpoints: readonly Endpoint[];
}

/** `zone_aware_lb_config`. */
export interface ZoneAware {
  /** Percent of the picks that look at zones. */
  readonly routingEnabled: number;
  /** Fewer healthy endpoints are not told apart by zone. */
  readonly minClusterSize: number;
  /** In panic nobody gets anything, rather than everybody. */
  readonly failTrafficOnPanic: boolean;
  /** Undefined where it is not configured or not known. */
  readonly local: () => LocalZone | undefined;
  /** Made when zones are first looked at. */
  readonly stats: () => ZoneStats;
}

/** Statistics of zone-aware balancing under Envoy's names, `cluster.<name>.lb_…`. */
export class ZoneStats {
  readonly allDirectly: Counter;
  readonly sampled: Counter;
  readonly crossZone: Counter;
  readonly noCapacityLeft: Counter;
  readonly clusterTooSmall: Counter;
  readonly localClusterNotOk: Counter;
  readonly recalculated: Counter;

  /** @param scope the cluster's */
  constructor(scope: StatsScope) {
    this.allDirectly = scope.counter('lb_zone_routing_all_directly');
    this.sampled = scope.counter('lb_zone_routing_sampled');
    this.crossZone = scope.counter('lb_zone_routing_cross_zone');
    this.noCapacityLeft = scope.counter('lb_zone_no_capacity_left');
    this.clusterTooSmall = scope.counter('lb_zone_cluster_too_small');
    this.localClusterNotOk = scope.counter('lb_local_cluster_not_ok');
    this.recalculated = scope.counter('lb_recalculate_zone_structures');
  }
}

export function localityKey({ region, zone, subZone }: Pick<Locality, 'region' | 'zone' | 'subZone'>): string {
  return JSON.stringify([region, zone, subZone]);
}

/** Shares are counted in hundredths of a percent, as whole numbers. */
const WHOLE = 10_000;

/** How requests are spread over zones. */
export interface ZoneRoute {
  /** Requests of `WHOLE` that stay in this proxy's zone. */
  readonly stay: number;
  /** The others go to the zone of the first of these that is above a number drawn below the last one. */
  readonly residual: readonly number[];
}

/** What zones have of the healthy endpoints of this proxy's own cluster and of the upstream, by zone of the upstream. */
export interface ZoneShares {
  readonly own: number;
  readonly upstream: number;
}

/**
 * Keeps requests in their zone as far as the upstream has its share there, and sends the rest to zones that have more
 * than theirs (intro/arch_overview/upstream/load_balancing/zone_aware).
 * @param localIndex the zone of this proxy, −1 when the upstream has nothing there
 */
export function routeZones(shares: readonly ZoneShares[], localIndex: number): ZoneRoute {
  const local = shares[localIndex];
  if (local !== undefined && local.upstream > 0 && local.upstream >= local.own) return { stay: WHOLE, residual: [] };
  const stay = local === undefined || local.own === 0 ? 0 : Math.floor((local.upstream * WHOLE) / local.own);
  let sum = 0;
  const residual = shares.map(({ own, upstream }, index) => {
    if (index !== localIndex) sum += Math.max(0, upstream - own);
    return sum;
  });
  return { stay, residual };
}

/** Healthy endpoints of one zone. */
export interface Zone {
  readonly key: string;
  readonly endpoints: readonly Endpoint[];
}

/** @returns shares of the upstream's zones, in hundredths of a percent rounded down */
export function zoneShares(zones: readonly Zone[], own: readonly Endpoint[]): ZoneShares[] {
  const healthy = own.filter((endpoint) => endpoint.healthy);
  const total = zones.reduce((sum, { endpoints }) => sum + endpoints.length, 0);
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : Math.floor((WHOLE * part) / whole));
  return zones.map(({ key, endpoints }) => ({
    own: share(healthy.filter(({ locality }) => localityKey(locality) === key).length, healthy.length),
    upstream: share(endpoints.length, total),
  }));
}

/** Why zones are not looked at, or undefined where they are. */
export function zoneObstacle(
  zones: readonly Zone[],
  local: LocalZone,
  minClusterSize: number,
): 'one_zone' | 'local_cluster_not_ok' | 'cluster_too_small' | undefined {
  if (zones.length < 2) return 'one_zone';
  const ownKeys = new Set(local.endpoints.map(({ locality }) => localityKey(locality)));
  if (ownKeys.size < 2) return 'one_zone';
  if (!ownKeys.has(local.key)) return 'local_cluster_not_ok';
  const healthy = zones.reduce((sum, { endpoints }) => sum + endpoints.length, 0);
  return healthy < minClusterSize ? 'cluster_too_small' : undefined;
}

/** Chooses a zone, then lets the zone's own balancer choose. */
export class ZoneAwareBalancer implements Balancer {
  private readonly zones: readonly Balancer[];
  private readonly localIndex: number;
  private readonly route: ZoneRoute;
  private readonly everywhere: Balancer;
  private readonly routingEnabled: number;
  private readonly stats: ZoneStats;
  private readonly random: Random;

  /**
   * @param zones balancers of the upstream's zones
   * @param everywhere chooses for the picks that do not look at zones
   */
  constructor(
    zones: readonly Balancer[],
    localIndex: number,
    route: ZoneRoute,
    everywhere: Balancer,
    options: ZoneAware,
    random: Random,
  ) {
    this.zones = zones;
    this.localIndex = localIndex;
    this.route = route;
    this.everywhere = everywhere;
    this.routingEnabled = options.routingEnabled;
    this.stats = options.stats();
    this.random = random;
  }

  pick(): Endpoint | undefined {
    const { routingEnabled } = this;
    if (routingEnabled < 100 && below(this.random, WHOLE) >= routingEnabled * 100)
      return this.everywhere.pick(undefined);
    return this.zones[this.chooseZone()]?.pick(undefined);
  }

  private chooseZone(): number {
    const { stats } = this;
    const { stay, residual } = this.route;
    if (stay === WHOLE) {
      stats.allDirectly.inc();
      return this.localIndex;
    }
    if (below(this.random, WHOLE) < stay) {
      stats.sampled.inc();
      return this.localIndex;
    }
    stats.crossZone.inc();
    const capacity = residual.at(-1) ?? 0;
    if (capacity === 0) {
      // Only rounding leads here.
      stats.noCapacityLeft.inc();
      return below(this.random, this.zones.length);
    }
    const drawn = below(this.random, capacity);
    let index = 0;
    while (drawn >= (residual[index] as number)) index++;
    return index;
  }
}
