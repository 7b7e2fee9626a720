import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedConfig } from '../config/load.ts';
import { closeDescriptor } from '../kernel/close-descriptor.ts';
import {
  type AdminServer,
  type ClusterView,
  type EndpointView,
  type ProxyView,
  type ServerState,
  startAdminServer,
} from '../observe/admin/index.ts';
import type { StatsSnapshot } from '../observe/stats-snapshot.ts';
import { mergeBatches } from '../observe/tap/tap-registry.ts';
import { packageInfo } from '../package-info.ts';
import type { ListeningSockets, ProxyOptions, RetirementTerms, RunningProxy } from '../proxy.ts';
import { SharedMemory } from '../shared-memory.ts';
import { CrashThrottle } from './crash-throttle.ts';
import { isDescriptorShortage } from './descriptor-shortage.ts';
import { HandOvers } from './hand-overs.ts';
import type { CommandName, WorkerCommands } from './messages.ts';
import { answersOf, WorkerGone, WorkerHandle } from './worker-handle.ts';
import { WorkerStatistics } from './worker-statistics.ts';

/** What kept a worker from starting, such as a lack of descriptors, does not pass at once. */
const START_AGAIN_MS = 1000;

/**
 * A proxy of several worker threads. Each one is a whole proxy with listening sockets of its own on the same addresses
 * (SO_REUSEPORT); this thread owns the configuration, the admin server and the memory in which limits are counted. A
 * worker that crashes is replaced, and only its own connections are lost: its successor has its listening descriptors,
 * with all that waits there, and what it held of shared counts is given back.
 */
export class ThreadedProxy implements RunningProxy {
  readonly quitRequested: Promise<void>;
  private quit: () => void = () => {};
  private readonly options: ProxyOptions;
  private readonly memory = new SharedMemory();
  private readonly workers: WorkerHandle[] = [];
  private readonly handOvers = new HandOvers(this.workers, this.memory);
  private readonly statistics = new WorkerStatistics(this.workers);
  private readonly throttle = new CrashThrottle();
  private reloading: Promise<unknown> = Promise.resolve();
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
      // Whoever asks learns then what the start waits for. The process before still has the one that is taken over.
      if (options.takeover === undefined) await proxy.startAdmin();
      // The first one tells which ports the system chose where the configuration says 0.
      const first = await proxy.startWorker(0);
      proxy.ports = Object.fromEntries(first.listeners.map(({ name, port }) => [name, port]));
      await Promise.all(Array.from({ length: options.concurrency - 1 }, (_, index) => proxy.startFurther(index + 1)));
      if (options.takeover !== undefined) return proxy;
      proxy.state = 'LIVE';
      proxy.statistics.start();
    } catch (error) {
      await proxy.close();
      throw error;
    }
    return proxy;
  }

  async open(): Promise<void> {
    await this.startAdmin();
    this.state = 'LIVE';
    this.statistics.start();
    await this.all('open');
  }

  /**
   * A worker beside the first one, which serves already: its clients may have taken the descriptors that another thread
   * needs to start. That is no reason to end what is served.
   */
  private async startFurther(slot: number): Promise<void> {
    try {
      await this.startWorker(slot);
    } catch (error) {
      if (this.options.takeover !== undefined || !isDescriptorShortage(error)) throw error;
      void this.startSuccessor({ slot, kept: new Map() }, 'could not start', (error as Error).message);
    }
  }

  /** @param left - listening descriptors of the one that crashed in its slot, of which it takes copies */
  private async startWorker(slot: number, left?: WorkerHandle['kept']): Promise<WorkerHandle> {
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
        servesPipes: slot === 0,
        slot,
        threads: options.concurrency,
        left: left ?? new Map(),
        inherited: left === undefined ? options.takeover?.sockets[slot] : undefined,
        configHash: this.config.hash,
        heapLimitMiB: options.workerHeapMiB,
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
    worker.onHandOver = (connection) => this.handOvers.pass(connection);
    // Others have taken a configuration that came while it started.
    if (worker.configHash !== this.config.hash) await this.update(worker);
    return worker;
  }

  private async update(worker: WorkerHandle): Promise<void> {
    const { canonical, hash } = this.config;
    await worker.ask('reload', JSON.stringify(canonical));
    worker.configHash = hash;
  }

  private async replace(worker: WorkerHandle, error: Error): Promise<void> {
    this.workers.splice(this.workers.indexOf(worker), 1);
    this.statistics.retire(worker);
    this.memory.settleLedgers(worker.threadId);
    this.handOvers.onCrash(worker);
    const log = this.options.log.component('main');
    const why = error.stack ?? error.message;
    if (this.state === 'DRAINING') {
      closeAll(worker.kept);
      log.error('a worker thread crashed; no new one takes its place, since the proxy ends', { error: why });
      return;
    }
    await this.startSuccessor(worker, 'crashed', why);
  }

  /** At once, unless its kind crashes again and again; what comes for it meanwhile waits in its queues. */
  private async startSuccessor(
    worker: Pick<WorkerHandle, 'slot' | 'kept'>,
    event: 'crashed' | 'could not start',
    why: string,
  ): Promise<void> {
    const log = this.options.log.component('main');
    const throttledMs = this.throttle.delayMs(performance.now());
    const delayMs = event === 'crashed' ? throttledMs : Math.max(throttledMs, START_AGAIN_MS);
    log.error(
      delayMs === 0
        ? `a worker thread ${event}; a new one takes its place`
        : `a worker thread ${event}, one of ${this.throttle.recent} in a short time; a new one takes its place in ${delayMs / 1000} s`,
      { error: why },
    );
    await sleep(delayMs, undefined, { ref: false });
    // A new worker would begin with the old configuration while the others take the new one.
    await this.reloading;
    if (this.isEnding) {
      closeAll(worker.kept);
      return;
    }
    try {
      // It takes copies: should it end before it serves, the next one has the same queues.
      await this.startWorker(worker.slot, worker.kept);
      closeAll(worker.kept);
    } catch (reason) {
      await this.startSuccessor(worker, 'could not start', (reason as Error).message);
    }
  }

  private get isEnding(): boolean {
    return this.state === 'DRAINING';
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

  /** Open downstream connections of each worker, by slot. */
  async connectionsPerThread(): Promise<number[]> {
    const inOrder = [...this.workers].sort((a, b) => a.slot - b.slot);
    const views = await answersOf(inOrder.map((worker) => worker.ask('listeners')));
    return views.map((listeners) => listeners.reduce((sum, { activeConnections }) => sum + activeConnections, 0));
  }

  private all<Name extends CommandName>(
    name: Name,
    ...argument: WorkerCommands[Name]['argument'] extends undefined ? [] : [WorkerCommands[Name]['argument']]
  ): Promise<WorkerCommands[Name]['result'][]> {
    return answersOf(this.workers.map((worker) => worker.ask(name, ...argument)));
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
      stats: () => this.statistics.read(),
      resetCounters: () => this.statistics.reset(),
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
      drainListeners: (drain) => void this.all('drainListeners', drain),
      reopenLogs: () => this.reopenLogs(),
      quit: () => this.quit(),
    };
  }

  /** Every worker takes the new configuration; when one refuses it, those that took it go back. */
  reload(config: LoadedConfig): Promise<'unchanged' | 'updated'> {
    const result = this.reloading.then(() => this.takeOver(config));
    this.reloading = result.catch(() => undefined);
    return result;
  }

  private async takeOver(config: LoadedConfig): Promise<'unchanged' | 'updated'> {
    if (config.hash === this.config.hash) return 'unchanged';
    const text = JSON.stringify(config.canonical);
    const asked = [...this.workers];
    const outcomes = await Promise.allSettled(asked.map((worker) => worker.ask('reload', text)));
    // A worker that crashed meanwhile has a successor, which begins with what the others took.
    const failed = outcomes.find((outcome) => outcome.status === 'rejected' && !(outcome.reason instanceof WorkerGone));
    if (failed?.status === 'rejected') {
      await Promise.allSettled(
        this.workers.map((worker) => worker.ask('reload', JSON.stringify(this.config.canonical))),
      );
      throw failed.reason;
    }
    this.config = config;
    this.loadedAtEpochMs = Date.now();
    for (const worker of asked) worker.configHash = config.hash;
    await answersOf(this.workers.filter(({ configHash }) => configHash !== config.hash).map((one) => this.update(one)));
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

  stats(): Promise<StatsSnapshot> {
    return this.statistics.read();
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
    this.statistics.stop();
    await this.admin?.close();
    await Promise.all(this.workers.splice(0).map((worker) => worker.close()));
  }
}

function closeAll(kept: WorkerHandle['kept']): void {
  for (const descriptors of kept.values()) for (const fd of descriptors) closeDescriptor(fd);
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
