import type { LoadedConfig } from '../config/load.ts';
import {
  type AdminServer,
  type ClusterView,
  type EndpointView,
  type ProxyView,
  type ServerState,
  startAdminServer,
} from '../observe/admin/index.ts';
import { mergeSnapshots, type StatsSnapshot } from '../observe/stats-snapshot.ts';
import { mergeBatches } from '../observe/tap/tap-registry.ts';
import { packageInfo } from '../package-info.ts';
import type { ListeningSockets, ProxyOptions, RetirementTerms, RunningProxy } from '../proxy.ts';
import { SharedMemory } from '../shared-memory.ts';
import type { CommandName, WorkerCommands } from './messages.ts';
import { WorkerHandle } from './worker-handle.ts';

/**
 * A proxy of several worker threads. Each one is a whole proxy with listening sockets of its own on the same addresses
 * (SO_REUSEPORT); this thread owns the configuration, the admin server and the memory in which limits are counted. A
 * worker that crashes is replaced, and only its own connections are lost.
 */
export class ThreadedProxy implements RunningProxy {
  readonly quitRequested: Promise<void>;
  private quit: () => void = () => {};
  private readonly options: ProxyOptions;
  private readonly memory = new SharedMemory();
  private readonly workers: WorkerHandle[] = [];
  private admin: AdminServer | undefined = undefined;
  private config: LoadedConfig;
  private loadedAtEpochMs = Date.now();
  private state: ServerState = 'INITIALIZING';
  private healthChecksFail = false;
  private ports: Record<string, number> = {};

  private constructor(options: ProxyOptions) {
    this.options = options;
    this.config = options.config;
    this.quitRequested = new Promise((resolve) => {
      this.quit = resolve;
    });
  }

  static async start(options: ProxyOptions): Promise<ThreadedProxy> {
    const proxy = new ThreadedProxy(options);
    try {
      // The first one tells which ports the system chose where the configuration says 0.
      const first = await proxy.startWorker(0);
      proxy.ports = Object.fromEntries(first.listeners.map(({ name, port }) => [name, port]));
      await Promise.all(Array.from({ length: options.concurrency - 1 }, (_, index) => proxy.startWorker(index + 1)));
      if (options.takeover !== undefined) return proxy;
      proxy.state = 'LIVE';
      await proxy.startAdmin();
    } catch (error) {
      await proxy.close();
      throw error;
    }
    return proxy;
  }

  async open(): Promise<void> {
    await this.startAdmin();
    this.state = 'LIVE';
    await this.all('open');
  }

  /** @param index - of a worker that starts with the proxy: sockets that were taken over are shared out by it */
  private async startWorker(index?: number): Promise<WorkerHandle> {
    const { options } = this;
    const worker = await WorkerHandle.start(
      {
        file: this.config.file,
        config: JSON.stringify(this.config.canonical),
        filterDir: options.filterDir,
        splice: options.splice === undefined ? undefined : { ...options.splice, isQuiet: this.workers.length > 0 },
        probe: options.probe,
        drainTimeMs: options.drainTimeMs,
        logLevel: options.log.levels().values().next().value ?? 'info',
        ports: this.ports,
        servesPipes: !this.workers.some((other) => other.servesPipes),
        inherited: index === undefined ? undefined : options.takeover?.sockets[index],
      },
      this.memory,
      options.log.component('main'),
    );
    if (this.state === 'DRAINING') {
      await worker.close();
      return worker;
    }
    this.workers.push(worker);
    worker.onCrash = (error) => void this.replace(worker, error);
    return worker;
  }

  private async replace(worker: WorkerHandle, error: Error): Promise<void> {
    this.workers.splice(this.workers.indexOf(worker), 1);
    this.memory.settleLedgers(worker.threadId);
    const log = this.options.log.component('main');
    log.error('a worker thread crashed; a new one takes its place', { error: error.stack ?? error.message });
    if (this.state !== 'LIVE') return;
    await this.startWorker().catch((reason: Error) =>
      log.error('no new worker could be started', { error: reason.message }),
    );
  }

  private async startAdmin(): Promise<void> {
    const configured = this.config.bootstrap.admin?.address?.socket_address;
    const address =
      this.options.adminAddress ??
      (configured === undefined ? undefined : { host: configured.address, port: configured.port_value ?? 0 });
    if (address === undefined) return;
    const { log, takeover, extendView = (view) => view } = this.options;
    const inherited = takeover?.admin;
    this.admin = await startAdminServer({ ...address, inherited, view: extendView(this.view()), log });
  }

  get adminAddress(): { host: string; port: number } | undefined {
    return this.admin === undefined ? undefined : { host: this.admin.address, port: this.admin.port };
  }

  listeners(): { name: string; address: string; port: number }[] {
    return [...(this.workers[0]?.listeners ?? [])];
  }

  private all<Name extends CommandName>(
    name: Name,
    ...argument: WorkerCommands[Name]['argument'] extends undefined ? [] : [WorkerCommands[Name]['argument']]
  ): Promise<WorkerCommands[Name]['result'][]> {
    return Promise.all(this.workers.map((worker) => worker.ask(name, ...argument)));
  }

  private view(): ProxyView {
    const { options } = this;
    const { node } = this.config.bootstrap;
    return {
      version: packageInfo().version,
      startedAtEpochMs: Math.round(performance.timeOrigin),
      node: { id: node.id, cluster: node.cluster },
      options: { concurrency: options.concurrency, config_path: this.config.file },
      state: () => (this.state === 'LIVE' && this.healthChecksFail ? 'DRAINING' : this.state),
      stats: async () => mergeSnapshots(await this.all('stats')),
      resetCounters: async () => void (await this.all('resetCounters')),
      listeners: async () => {
        const [first, ...others] = await this.all('listeners');
        return (first ?? []).map((listener, index) => ({
          ...listener,
          activeConnections: others.reduce(
            (sum, list) => sum + (list[index]?.activeConnections ?? 0),
            listener.activeConnections,
          ),
        }));
      },
      clusters: async () => mergeClusters(await this.all('clusters')),
      threadTimes: async () => (await this.all('threadTimes')).flat(),
      denials: async () =>
        (await this.all('denials'))
          .flat()
          .sort((a, b) => b.timeEpochMs - a.timeEpochMs)
          .slice(0, 128),
      tapConfigIds: async () => [...new Set((await this.all('tapConfigIds')).flat())].sort(),
      pollTap: async (poll) => mergeBatches(await this.all('pollTap', poll)),
      detachTap: async (reader) => void (await this.all('detachTap', reader)),
      config: () => ({
        bootstrap: this.config.canonical,
        hash: this.config.hash,
        loadedAtEpochMs: this.loadedAtEpochMs,
      }),
      // Every worker has the same.
      certificates: async () => (await this.workers[0]?.ask('certificates')) ?? [],
      pendingInit: () => (this.state === 'INITIALIZING' ? ['workers'] : []),
      failHealthChecks: (fail) => {
        this.healthChecksFail = fail;
        void this.all('failHealthChecks', fail);
      },
      drainListeners: ({ inboundOnly }) => void this.all('drainListeners', inboundOnly),
      reopenLogs: () => this.reopenLogs(),
      quit: () => this.quit(),
    };
  }

  /** Every worker takes the new configuration; when one refuses it, those that took it go back. */
  async reload(config: LoadedConfig): Promise<'unchanged' | 'updated'> {
    if (config.hash === this.config.hash) return 'unchanged';
    const text = JSON.stringify(config.canonical);
    const outcomes = await Promise.allSettled(this.workers.map((worker) => worker.ask('reload', text)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) {
      await Promise.allSettled(
        this.workers.map((worker) => worker.ask('reload', JSON.stringify(this.config.canonical))),
      );
      throw failed.reason;
    }
    this.config = config;
    this.loadedAtEpochMs = Date.now();
    return 'updated';
  }

  reopenLogs(): void {
    void this.all('reopenLogs');
  }

  /** Of all threads, by address. */
  async listeningSockets(): Promise<readonly ListeningSockets[]> {
    const byKey = new Map<string, ListeningSockets>();
    for (const found of (await this.all('listeningSockets')).flat()) {
      const descriptors = [...(byKey.get(found.key)?.descriptors ?? []), ...found.descriptors];
      byKey.set(found.key, { ...found, descriptors });
    }
    const { admin } = this;
    if (admin !== undefined)
      byKey.set(admin.key, { key: admin.key, port: admin.port, descriptors: [admin.descriptor()] });
    return [...byKey.values()];
  }

  async stats(): Promise<StatsSnapshot> {
    return mergeSnapshots(await this.all('stats'));
  }

  async retire(terms: RetirementTerms): Promise<void> {
    this.state = 'DRAINING';
    await this.admin?.close();
    await this.all('retire', terms);
  }

  async drain(): Promise<void> {
    this.state = 'DRAINING';
    await this.all('drain');
  }

  async close(): Promise<void> {
    this.state = 'DRAINING';
    await this.admin?.close();
    await Promise.all(this.workers.splice(0).map((worker) => worker.close()));
  }
}

/** Endpoints of the same cluster and address are one, with the threads' counts added up. */
function mergeClusters(lists: readonly (readonly ClusterView[])[]): ClusterView[] {
  const [first, ...others] = lists;
  return (first ?? []).map((cluster) => ({
    ...cluster,
    endpoints: cluster.endpoints.map((endpoint) => {
      const same = others.flatMap((list) =>
        (list.find(({ name }) => name === cluster.name)?.endpoints ?? []).filter(
          ({ address }) => address === endpoint.address,
        ),
      );
      return { ...endpoint, stats: sumStats([endpoint, ...same]) };
    }),
  }));
}

function sumStats(endpoints: readonly EndpointView[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { stats } of endpoints) {
    for (const [name, value] of Object.entries(stats)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
