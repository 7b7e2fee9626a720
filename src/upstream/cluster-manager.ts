import type { Cluster as ClusterConfig } from '../config/schema/cluster.ts';
import { transportLayers } from '../config/upstream-transport.ts';
import type { Logger } from '../filter/env.ts';
import { Hash64, hash64 } from '../matching/hash64.ts';
import { toWireText } from '../matching/wire-text.ts';
import type { Counter, Gauge, StatsScope } from '../observe/stats.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import { ledgerKey } from '../shared-memory.ts';
import { localityKey } from './balancer/zone-aware.ts';
import { Cluster } from './cluster.ts';
import { type DnsResolver, SystemResolver } from './dns.ts';
import { EndpointSlots, slotBytes } from './endpoint-slots.ts';
import { LIMIT_BYTES } from './limits.ts';
import { assignedEndpoints } from './load-assignment.ts';
import { loadPools, releaseClient } from './pools.ts';
import { CounterRandom, type Random } from './random.ts';

/** Milliseconds that an update waits for the first DNS answers, and the first checks of endpoints, of its new clusters. */
const WARM_UP_LIMIT_MS = 15_000;

export interface ClusterManagerOptions {
  /** The root of all statistics of this thread. */
  readonly stats: StatsScope;
  readonly log: Logger;
  /** The system's resolver by default. */
  readonly resolver?: DnsResolver;
  readonly random?: Random;
  /**
   * Memory that all threads of the process share, by key, zeroed when first made. Without it, limits count this thread
   * alone, which is right for one thread and cheaper.
   */
  readonly shared?: (key: string, bytes: number) => SharedArrayBuffer;
}

/** Addresses that the names of a cluster are expected to have: more are looked after by each thread for itself. */
const MIN_DNS_SLOTS = 128;
const SLOTS_PER_NAME = 16;

/** What the bootstrap says to all clusters. */
export interface CommonSettings {
  /** Name of the cluster whose endpoints are this proxy and its like; '' for none. */
  readonly localCluster?: string;
  /** Where this proxy is. */
  readonly locality?: { readonly region: string; readonly zone: string; readonly sub_zone: string } | undefined;
  /** File for what outlier detection does; '' for none. */
  readonly outlierLogPath?: string;
}

interface Entry {
  readonly cluster: Cluster;
  /** The configuration in a form in which equal ones are equal strings. */
  readonly fingerprint: string;
}

/** The clusters of one thread, by name. */
export class ClusterManager {
  /** Called with each cluster that was removed or replaced, after `get` stopped answering it: its pools are to be drained. */
  onRemove: ((cluster: Cluster) => void) | undefined = undefined;

  private readonly options: ClusterManagerOptions;
  private readonly resolver: DnsResolver;
  private readonly random: Random;
  private readonly activeClusters: Gauge;
  private readonly clusterAdded: Counter;
  private readonly clusterModified: Counter;
  private readonly clusterRemoved: Counter;
  private entries: ReadonlyMap<string, Entry> = new Map();

  constructor(options: ClusterManagerOptions) {
    this.options = options;
    this.resolver = options.resolver ?? new SystemResolver();
    this.random = options.random ?? new CounterRandom();
    const scope = options.stats.scope('cluster_manager');
    this.activeClusters = scope.gauge('active_clusters');
    this.clusterAdded = scope.counter('cluster_added');
    this.clusterModified = scope.counter('cluster_modified');
    this.clusterRemoved = scope.counter('cluster_removed');
  }

  get(name: string): Cluster | undefined {
    return this.entries.get(name)?.cluster;
  }

  /** All clusters in the order of the configuration. */
  get clusters(): readonly Cluster[] {
    return Array.from(this.entries.values(), (entry) => entry.cluster);
  }

  /**
   * Makes the clusters of a new configuration ready beside the present ones. A cluster whose configuration is unchanged
   * stays the same object, with its endpoints, pools and limits; the others are new, and have resolved their names when
   * the promise fulfils (or could not, or not in time: they go on trying).
   * @throws TlsLoadError for certificates and keys that are not as they must be
   */
  async prepare(configs: readonly ClusterConfig[], common: CommonSettings = {}): Promise<ClusterUpdate> {
    const before = this.entries;
    const next = new Map<string, Entry>();
    const fresh: Cluster[] = [];
    for (const config of configs) {
      const fingerprint = canonicalJson([config, config.outlier_detection && common.outlierLogPath]);
      let entry = before.get(config.name);
      if (entry === undefined || entry.fingerprint !== fingerprint) {
        entry = { cluster: this.createCluster(config), fingerprint };
        entry.cluster.slots = this.createSlots(config, fingerprint);
        fresh.push(entry.cluster);
      }
      next.set(config.name, entry);
    }
    try {
      await loadPools(configs);
      for (const cluster of fresh) await addTransport(cluster, this.options.log);
      for (const cluster of fresh) {
        await this.addHealthChecks(cluster);
        await this.addOutlierDetection(cluster, common.outlierLogPath ?? '');
      }
    } catch (error) {
      // Those whose certificates were fine follow files by now.
      for (const cluster of fresh) cluster.stop();
      throw error;
    }
    const started = fresh.map((cluster) => ({ cluster, done: cluster.start() }));
    const awaited = started.filter(({ cluster }) => cluster.config.wait_for_warm_on_init).map(({ done }) => done);
    await withTimeLimit(Promise.all(awaited), WARM_UP_LIMIT_MS);
    return new ClusterUpdate(
      next,
      () => {
        this.replace(before, next);
        this.place(common);
      },
      () => {
        for (const cluster of fresh) cluster.stop();
      },
    );
  }

  /** Prepares and commits at once. */
  async update(configs: readonly ClusterConfig[]): Promise<void> {
    const update = await this.prepare(configs);
    update.commit();
  }

  /** Brings gauges over shared memory up to date; called before statistics are read, on one thread. */
  publishStats(): void {
    for (const { cluster } of this.entries.values()) {
      cluster.limits.DEFAULT.publish();
      cluster.limits.HIGH.publish();
      cluster.adoptShared();
    }
  }

  /** Called with each client connection that has ended. */
  onClientGone(client: ConnectionInfo): void {
    releaseClient(client);
  }

  /** Stops following DNS and removes all clusters. */
  close(): void {
    this.replace(this.entries, new Map());
    this.resolver.cancel();
  }

  private createCluster(config: ClusterConfig): Cluster {
    const { stats, log, shared } = this.options;
    const key = `cluster.${config.name}.limits`;
    const buffer = shared?.(key, LIMIT_BYTES) ?? new ArrayBuffer(LIMIT_BYTES);
    const ledger =
      shared === undefined ? undefined : new Int32Array(shared(ledgerKey(currentThreadId(), key), LIMIT_BYTES));
    return new Cluster(config, {
      stats,
      log,
      random: this.random,
      resolver: this.resolver,
      limitCells: new Int32Array(buffer),
      ...(ledger === undefined ? {} : { limitLedger: ledger }),
    });
  }

  /** Tells clusters that balance by zone where this proxy is. */
  private place({ localCluster, locality }: CommonSettings): void {
    const local = this.get(localCluster ?? '');
    const key = locality === undefined ? undefined : localityKey({ ...locality, subZone: locality.sub_zone });
    const others = this.clusters.filter((cluster) => cluster !== local);
    for (const cluster of this.clusters) cluster.followers = cluster === local ? others : [];
    for (const cluster of others) {
      const knewPlace = cluster.localZone !== undefined;
      cluster.localZone =
        local === undefined || key === undefined ? undefined : () => ({ key, endpoints: local.endpoints });
      if (knewPlace || cluster.localZone !== undefined) cluster.rebalance();
    }
  }

  /** Where what is found out of endpoints is kept; undefined for one thread that nothing but itself asks. */
  private createSlots(config: ClusterConfig, fingerprint: string): EndpointSlots | undefined {
    if (config.outlier_detection === undefined && config.health_checks.length === 0) return undefined;
    const { shared } = this.options;
    if (shared === undefined) return config.outlier_detection === undefined ? undefined : new EndpointSlots();
    const names = assignedEndpoints(config).length;
    const bytes = slotBytes(config.type === 'STATIC' ? names : Math.max(MIN_DNS_SLOTS, names * SLOTS_PER_NAME));
    const key = `cluster.${config.name}.endpoints`;
    return new EndpointSlots({
      block: shared(key, bytes),
      ledger: new Int32Array(shared(ledgerKey(currentThreadId(), key), bytes)),
      threadId: currentThreadId(),
      generation: hash64(toWireText(fingerprint), new Hash64()).toString(),
    });
  }

  /** Outlier detection is loaded on first use. */
  private async addOutlierDetection(cluster: Cluster, logPath: string): Promise<void> {
    const { slots, config } = cluster;
    if (config.outlier_detection === undefined || slots === undefined) return;
    const { OutlierDetector } = await import('./outlier/outlier-detector.ts');
    const eventLog =
      logPath === ''
        ? undefined
        : new (await import('./outlier/outlier-event-log.ts')).OutlierEventLog(logPath, cluster.name, this.options.log);
    cluster.outliers = new OutlierDetector(cluster, config.outlier_detection, { slots, random: this.random, eventLog });
  }

  /** Health checks are loaded on first use. */
  private async addHealthChecks(cluster: Cluster): Promise<void> {
    const [config] = cluster.config.health_checks;
    if (config === undefined) return;
    const { ClusterHealth, TRAFFIC_BYTES } = await import('./health/cluster-health.ts');
    const { shared, log } = this.options;
    const traffic = shared?.(`cluster.${cluster.name}.traffic`, TRAFFIC_BYTES) ?? new ArrayBuffer(TRAFFIC_BYTES);
    cluster.health = await ClusterHealth.create(cluster, config, {
      log,
      random: this.random,
      traffic: new Int32Array(traffic),
    });
  }

  private replace(before: ReadonlyMap<string, Entry>, next: ReadonlyMap<string, Entry>): void {
    if (this.entries !== before) throw new Error('the clusters have been updated since this update was prepared');
    this.entries = next;
    this.activeClusters.set(next.size);
    for (const [name, { cluster }] of next) {
      const old = before.get(name)?.cluster;
      if (old === undefined) this.clusterAdded.inc();
      else if (old !== cluster) this.clusterModified.inc();
    }
    for (const [name, { cluster }] of before) {
      if (next.get(name)?.cluster === cluster) continue;
      if (!next.has(name)) this.clusterRemoved.inc();
      cluster.stop();
      this.onRemove?.(cluster);
    }
  }
}

/** Clusters that are ready to take over. Either `commit` or `cancel` is called, once. */
export class ClusterUpdate {
  private readonly entries: ReadonlyMap<string, Entry>;
  /** Takes the clusters into service. Throws when another update was committed since this one was prepared. */
  readonly commit: () => void;
  /** Drops the new clusters; the present ones stay. */
  readonly cancel: () => void;

  constructor(entries: ReadonlyMap<string, Entry>, commit: () => void, cancel: () => void) {
    this.entries = entries;
    this.commit = commit;
    this.cancel = cancel;
  }

  /** The cluster that will have this name. */
  get(name: string): Cluster | undefined {
    return this.entries.get(name)?.cluster;
  }
}

/** JSON with sorted keys. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Gives a cluster what lies between its codec and its sockets, loaded on first use: TLS costs milliseconds and megabytes. */
async function addTransport(cluster: Cluster, log: Logger): Promise<void> {
  const { tls, proxyProtocol } = transportLayers(cluster.config.transport_socket?.typed_config);
  if (proxyProtocol !== undefined) {
    const { UpstreamProxyProtocol } = await import('./upstream-proxy-protocol.ts');
    cluster.proxyProtocol = new UpstreamProxyProtocol(proxyProtocol, cluster.stats.scope);
  }
  if (tls === undefined) return;
  const { UpstreamTls } = await import('../tls/upstream-tls.ts');
  cluster.tls = UpstreamTls.create(tls, {
    owner: `cluster ${cluster.name}`,
    scope: cluster.stats.scope,
    log,
  });
}

async function withTimeLimit(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  try {
    await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asked only where threads share memory: one thread alone need not load the module. */
function currentThreadId(): number {
  return process.getBuiltinModule('node:worker_threads').threadId;
}
