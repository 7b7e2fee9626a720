import type { Cluster as ClusterConfig } from '../config/schema/cluster.ts';
import type { Logger } from '../filter/env.ts';
import type { Hash64 } from '../matching/hash64.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { UpstreamTls } from '../tls/upstream-tls.ts';
import { type Balancer, type BalancerOptions, createBalancer, createDetour } from './balancer/index.ts';
import { balancerPolicy } from './balancer/policy.ts';
import { type LocalZone, type ZoneAware, ZoneStats } from './balancer/zone-aware.ts';
import { ClusterStats } from './cluster-stats.ts';
import type { DnsResolver } from './dns.ts';
import { DnsTarget } from './dns-target.ts';
import { Endpoint, type EndpointAddress, type EndpointHealth, type EndpointTraits, formatAddress } from './endpoint.ts';
import type { EndpointSlots } from './endpoint-slots.ts';
import type { ClusterHealth } from './health/cluster-health.ts';
import { HEALTH_FLAG } from './health-flags.ts';
import { createLimits, type ResourceLimits, type RoutingPriority } from './limits.ts';
import { type AssignedEndpoint, assignedEndpoints } from './load-assignment.ts';
import { type Errand, OriginalDestinations } from './original-destinations.ts';
import type { OutlierDetector } from './outlier/outlier-detector.ts';
import type { Random } from './random.ts';
import type { UpstreamProxyProtocol } from './upstream-proxy-protocol.ts';

/** What a cluster gets from around it. */
export interface ClusterEnv {
  /** The root of all statistics. */
  readonly stats: StatsScope;
  readonly log: Logger;
  readonly resolver: DnsResolver;
  readonly random: Random;
  /** Counters of the cluster's limits, `LIMIT_BYTES` long. */
  readonly limitCells: Int32Array;
  /** What this thread added to shared counters. */
  readonly limitLedger?: Int32Array;
}

/** Envoy's default of `zone_aware_lb_config.min_cluster_size` (config/cluster/v3/cluster.proto). */
const DEFAULT_MIN_ZONE_AWARE_SIZE = 6;

/** An endpoint that there should be. */
interface Member {
  readonly address: EndpointAddress;
  readonly traits: EndpointTraits;
}

/**
 * A group of endpoints that do the same. It keeps the endpoints up to date (from the configuration, or from DNS) and
 * chooses one for each request.
 */
export class Cluster {
  readonly name: string;
  readonly config: ClusterConfig;
  readonly connectTimeoutMs: number;
  readonly stats: ClusterStats;
  /** Circuit breakers by the route's priority. */
  readonly limits: Readonly<Record<RoutingPriority, ResourceLimits>>;
  /** TLS towards the endpoints; undefined for clear text. Set before the first connection. */
  tls: UpstreamTls | undefined = undefined;
  /** The header that its connections begin with; undefined without. Set before the first connection. */
  proxyProtocol: UpstreamProxyProtocol | undefined = undefined;
  /** Active health checks; undefined without. Set before `start`. */
  health: ClusterHealth | undefined = undefined;
  /** Outlier detection; undefined without. Set before `start`. */
  outliers: OutlierDetector | undefined = undefined;
  /** What is found out of endpoints, where it is shared by threads or belongs to outlier detection. Set before `start`. */
  slots: EndpointSlots | undefined = undefined;
  /** Where this proxy is, for zone-aware balancing; undefined where nobody knows. */
  localZone: (() => LocalZone | undefined) | undefined = undefined;
  /** Clusters that balance by where the endpoints of this one are. */
  followers: readonly Cluster[] = [];
  /** Called with each endpoint that leaves while the cluster stays; `endpoint.removed` is true then. */
  onEndpointRemoved: ((endpoint: Endpoint) => void) | undefined = undefined;

  /** Called with each endpoint that stays but whose connections are to end, for `close_connections_on_host_set_change`. */
  onEndpointDrained: ((endpoint: Endpoint) => void) | undefined = undefined;

  private readonly env: ClusterEnv;
  private readonly balancing: BalancerOptions;
  /** The slots where other threads change them too. */
  private followed: EndpointSlots | undefined = undefined;
  private seenVersion = 0;
  private readonly targets: DnsTarget[] = [];
  /** The endpoints of an ORIGINAL_DST cluster. */
  private readonly originals: OriginalDestinations | undefined = undefined;
  private members: readonly Endpoint[] = [];
  private balancer: Balancer;
  /** Balancers over some of the priorities, by those that they leave out, and the one over all that they belong to. */
  private readonly detours = new Map<string, Balancer | undefined>();
  private detoursOf: Balancer | undefined = undefined;
  /** Takes the balancer's place when healths have changed: however many did, one pick builds the next one. */
  private readonly outdated: Balancer = {
    pick: (hash, attempt) => {
      this.balancer = createBalancer(this.members, this.balancing);
      return this.balancer.pick(hash, attempt);
    },
  };

  constructor(config: ClusterConfig, env: ClusterEnv) {
    const scope = env.stats.scope(`cluster.${statName(config)}`);
    this.name = config.name;
    this.config = config;
    this.connectTimeoutMs = config.connect_timeout;
    this.env = env;
    this.stats = new ClusterStats(scope);
    this.limits = createLimits(env.limitCells, config.circuit_breakers.thresholds, scope, env.limitLedger);
    this.balancing = {
      policy: balancerPolicy(config),
      weightedPriorityHealth: config.load_assignment?.policy.weighted_priority_health ?? false,
      overprovisioningFactor: config.load_assignment?.policy.overprovisioning_factor ?? 140,
      panicThreshold: config.common_lb_config.healthy_panic_threshold.value,
      zoneAware: this.zoneAware(),
      localityWeighted: config.common_lb_config.locality_weighted_lb_config !== undefined,
      consistentHashing: config.common_lb_config.consistent_hashing_lb_config,
      random: env.random,
      activeRequests: this.stats.upstreamRqActive,
      panics: this.stats.lbHealthyPanic,
    };
    this.balancer = createBalancer([], this.balancing);
    if (config.type === 'ORIGINAL_DST') this.originals = this.followClients(scope);
    this.countMembers();
  }

  /** All endpoints, whatever their health. A new array after each change. */
  get endpoints(): readonly Endpoint[] {
    return this.originals?.endpoints ?? this.members;
  }

  /** Whether clients say where they are to go, so that there is nothing to choose. */
  get followsClients(): boolean {
    return this.originals !== undefined;
  }

  /** Share of healthy endpoints, 0…100; 0 when there is none. */
  get healthyPercent(): number {
    const { membershipHealthy, membershipTotal } = this.stats;
    return membershipTotal.value === 0 ? 0 : (100 * membershipHealthy.value) / membershipTotal.value;
  }

  /**
   * The endpoint for a request or connection, undefined when there is none (`no healthy upstream`, flag UH).
   * @param hash of the request under the route's hash policy.
   * @param attempt how many endpoints were turned down for this request just now.
   * @param errand what the client wants: an ORIGINAL_DST cluster asks where it is to go.
   */
  pick(hash: Hash64 | undefined, attempt = 0, errand?: Errand): Endpoint | undefined {
    if (this.originals !== undefined) return this.originals.pick(errand) ?? this.none();
    if (this.followed !== undefined && this.followed.version !== this.seenVersion) this.adoptShared();
    return this.balancer.pick(hash, attempt) ?? this.none();
  }

  private none(): undefined {
    this.stats.upstreamCxNoneHealthy.inc();
    return undefined;
  }

  /** As `pick`, from other priorities than these. */
  pickWithout(priorities: ReadonlySet<number>, hash: Hash64 | undefined, attempt = 0): Endpoint | undefined {
    return this.balancerWithout(priorities)?.pick(hash, attempt) ?? this.none();
  }

  /** Whether other priorities than these have endpoints that may be picked. */
  canPickWithout(priorities: ReadonlySet<number>): boolean {
    return this.balancerWithout(priorities) !== undefined;
  }

  /** Only retries ask for it: built when one does, and kept until healths or endpoints change. */
  private balancerWithout(priorities: ReadonlySet<number>): Balancer | undefined {
    this.adoptShared();
    if (this.balancer === this.outdated) this.balancer = createBalancer(this.members, this.balancing);
    if (this.detoursOf !== this.balancer) this.detours.clear();
    this.detoursOf = this.balancer;
    const key = [...priorities].sort().join();
    if (!this.detours.has(key)) this.detours.set(key, createDetour(this.members, this.balancing, priorities));
    return this.detours.get(key);
  }

  /** Takes over what other threads have found out of the endpoints. */
  adoptShared(): void {
    if (this.followed === undefined) return;
    const { version } = this.followed;
    if (version === this.seenVersion) return;
    this.seenVersion = version;
    let changed = false;
    for (const endpoint of this.endpoints) if (endpoint.adoptShared()) changed = true;
    if (changed) this.onHealthChanged();
    this.health?.recount();
    this.outliers?.publish();
  }

  /** Some endpoint's health has changed. */
  onHealthChanged(): void {
    this.countMembers();
    this.rebalance();
  }

  /** The next pick builds its balancer anew. Clusters that balance by where this one's endpoints are do, too. */
  rebalance(): void {
    this.balancer = this.outdated;
    for (const cluster of this.followers) cluster.rebalance();
  }

  /** On by default, as in Envoy, where the proxy knows its place. */
  private zoneAware(): ZoneAware | undefined {
    const { zone_aware_lb_config: config, locality_weighted_lb_config: byLocality } = this.config.common_lb_config;
    if (byLocality !== undefined) return undefined;
    let stats: ZoneStats | undefined;
    return {
      routingEnabled: config?.routing_enabled?.value ?? 100,
      minClusterSize: config?.min_cluster_size ?? DEFAULT_MIN_ZONE_AWARE_SIZE,
      failTrafficOnPanic: config?.fail_traffic_on_panic ?? false,
      local: () => this.localZone?.(),
      stats: () => {
        stats ??= new ZoneStats(this.stats.scope);
        return stats;
      },
    };
  }

  /** Finds the endpoints, and keeps finding them. Fulfils once each name was tried, and each endpoint checked, for the first time. */
  async start(): Promise<void> {
    if (this.slots?.shared === true) this.followed = this.slots;
    await this.findEndpoints();
    await this.health?.firstRound();
  }

  private async findEndpoints(): Promise<void> {
    const assigned = assignedEndpoints(this.config);
    switch (this.config.type) {
      case 'STATIC':
        this.setMembers(assigned);
        return;
      case 'STRICT_DNS':
        await this.startStrictDns(assigned);
        return;
      case 'LOGICAL_DNS':
        await this.startLogicalDns(assigned);
        return;
      case 'ORIGINAL_DST':
        return;
      default:
        throw new Error(`cluster ${this.name}: type ${this.config.type} is not available`);
    }
  }

  /** Stops following DNS and checking. Endpoints stay for what is still under way. */
  stop(): void {
    this.tls?.close();
    this.health?.stop();
    this.outliers?.stop();
    this.followed = undefined;
    for (const endpoint of this.endpoints) this.releaseSlot(endpoint);
    this.slots = undefined;
    for (const target of this.targets) target.stop();
    this.originals?.stop();
  }

  /** Endpoints come and go as clients ask for them. */
  private followClients(scope: StatsScope): OriginalDestinations {
    return new OriginalDestinations(this.config, {
      invalidHosts: scope.counter('original_dst_host_invalid'),
      onJoin: (endpoint) => {
        endpoint.slot = this.slots?.claim(endpoint.address);
        endpoint.adoptShared();
        this.outliers?.follow([endpoint], []);
        this.stats.membershipChange.inc();
        this.stats.membershipTotal.inc();
        this.stats.membershipHealthy.inc();
      },
      onLeave: (endpoints) => {
        for (const endpoint of endpoints) {
          endpoint.removed = true;
          this.onEndpointRemoved?.(endpoint);
        }
        this.outliers?.follow([], [...endpoints]);
        for (const endpoint of endpoints) this.releaseSlot(endpoint);
        this.stats.membershipChange.inc();
        this.countMembers();
      },
    });
  }

  /** Every address of every name is an endpoint. A name that resolves to nothing loses its endpoints; one that cannot be resolved keeps them. */
  private async startStrictDns(assigned: readonly AssignedEndpoint[]): Promise<void> {
    const members: (readonly Member[])[] = assigned.map(() => []);
    await Promise.all(
      assigned.map(({ address, traits }, index) =>
        this.follow(address.host, (addresses) => {
          const hostname = traits.hostname === '' ? address.host : traits.hostname;
          members[index] = addresses.map((host) => ({
            address: { ...address, host },
            traits: { ...traits, hostname },
          }));
          this.noteUpdate(this.setMembers(uniqueMembers(members.flat())));
          return true;
        }),
      ),
    );
  }

  /** The name is one endpoint, and new connections go to the first of its addresses. An empty answer counts as a failure, as in Envoy. */
  private async startLogicalDns([assigned]: readonly AssignedEndpoint[]): Promise<void> {
    if (assigned === undefined) return;
    const { address, traits } = assigned;
    await this.follow(address.host, ([host]) => {
      if (host === undefined) {
        this.stats.updateFailure.inc();
        return false;
      }
      const [endpoint] = this.members;
      if (endpoint === undefined) {
        const hostname = traits.hostname === '' ? address.host : traits.hostname;
        this.noteUpdate(this.setMembers([{ address: { ...address, host }, traits: { ...traits, hostname } }]));
      } else {
        this.noteUpdate(endpoint.host !== host);
        endpoint.moveTo({ ...address, host });
      }
      return true;
    });
  }

  private follow(name: string, onAnswer: (addresses: readonly string[]) => boolean): Promise<void> {
    const { config, stats, env } = this;
    const failureRate = config.dns_failure_refresh_rate;
    const target = new DnsTarget({
      name,
      family: config.dns_lookup_family,
      resolver: env.resolver,
      refreshRateMs: config.dns_refresh_rate,
      jitterMs: config.dns_jitter,
      respectTtl: config.respect_dns_ttl,
      failureBackOff:
        failureRate === undefined
          ? undefined
          : {
              baseMs: failureRate.base_interval,
              maximumMs: failureRate.max_interval ?? 10 * failureRate.base_interval,
            },
      random: env.random,
      onAttempt: () => stats.updateAttempt.inc(),
      onAnswer,
      onFailure: (error) => {
        stats.updateFailure.inc();
        env.log.warn(`cluster ${this.name}: cannot resolve ${name}, the endpoints stay as they are`, {
          error: String(error),
        });
      },
    });
    this.targets.push(target);
    return target.start();
  }

  private noteUpdate(changed: boolean): void {
    this.stats.updateSuccess.inc();
    if (!changed) this.stats.updateNoRebuild.inc();
  }

  /** Makes the wanted members the cluster's, keeping the endpoints whose address stays. Answers whether anything changed. */
  private setMembers(wanted: readonly Member[]): boolean {
    const leaving = new Map(withKeys(this.members, (endpoint) => endpoint.address));
    const joined: Endpoint[] = [];
    let changed = 0;
    const members: Endpoint[] = [];
    for (const [key, { address, traits }] of withKeys(wanted, (member) => formatAddress(member.address))) {
      let endpoint = leaving.get(key);
      if (endpoint === undefined) {
        endpoint = new Endpoint(address, traits);
        // The one endpoint of LOGICAL_DNS keeps its name, whichever address threads have for it.
        endpoint.slot = this.slots?.claim(this.config.type === 'LOGICAL_DNS' ? traits.hostname : endpoint.address);
        endpoint.adoptShared();
        this.health?.admit(endpoint);
        joined.push(endpoint);
      } else {
        leaving.delete(key);
        endpoint.markHealth(0, HEALTH_FLAG.PENDING_DYNAMIC_REMOVAL);
        if (endpoint.update(traits)) changed++;
      }
      members.push(endpoint);
    }
    for (const [key, endpoint] of leaving) {
      if (this.health?.keeps(endpoint) !== true) continue;
      leaving.delete(key);
      endpoint.markHealth(HEALTH_FLAG.PENDING_DYNAMIC_REMOVAL, 0);
      members.push(endpoint);
    }
    // The order alone is no change: name servers rotate it in each answer.
    if (joined.length + changed + leaving.size === 0) return false;
    this.members = members;
    this.balancer = createBalancer(members, this.balancing);
    this.countMembers();
    for (const cluster of this.followers) cluster.rebalance();
    for (const endpoint of leaving.values()) {
      endpoint.removed = true;
      this.onEndpointRemoved?.(endpoint);
    }
    this.health?.follow(joined, [...leaving.values()]);
    this.outliers?.follow(joined, [...leaving.values()]);
    for (const endpoint of leaving.values()) this.releaseSlot(endpoint);
    if (joined.length + leaving.size === 0) return true;
    this.stats.membershipChange.inc();
    if (this.config.common_lb_config.close_connections_on_host_set_change) {
      for (const endpoint of members) this.onEndpointDrained?.(endpoint);
    }
    return true;
  }

  private releaseSlot(endpoint: Endpoint): void {
    if (endpoint.slot !== undefined) this.slots?.release(endpoint.slot);
    endpoint.slot = undefined;
  }

  private countMembers(): void {
    const { stats, endpoints: members } = this;
    stats.membershipTotal.set(members.length);
    const count = (health: EndpointHealth) => members.filter((endpoint) => endpoint.health === health).length;
    stats.membershipHealthy.set(count('healthy'));
    stats.membershipDegraded.set(count('degraded'));
    stats.membershipExcluded.set(count('draining'));
    stats.maxHostWeight.set(members.reduce((max, endpoint) => Math.max(max, endpoint.weight), 0));
  }
}

/** Colons would end the name in a statistic's full name; Envoy writes them as underscores too. */
function statName(config: ClusterConfig): string {
  return (config.alt_stat_name === '' ? config.name : config.alt_stat_name).replaceAll(':', '_');
}

/** Items under their address; one that is listed again gets a key of its own, since a list may weigh by repeating. */
function withKeys<T>(items: readonly T[], addressOf: (item: T) => string): [string, T][] {
  const seen = new Map<string, number>();
  return items.map((item) => {
    const address = addressOf(item);
    const times = seen.get(address) ?? 0;
    seen.set(address, times + 1);
    return [`${times} ${address}`, item];
  });
}

/** Two names of a DNS cluster may lead to the same address; the first one counts. */
function uniqueMembers(members: readonly Member[]): Member[] {
  const seen = new Set<string>();
  return members.filter(({ address }) => {
    const key = formatAddress(address);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
