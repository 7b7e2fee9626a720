import { dirname, resolve } from 'node:path';
import { builtinRegistry } from '../filters/index.ts';
import type { LoadedConfig } from './config/load.ts';
import type { Listener as ListenerConfig } from './config/schema/listener.ts';
import type { OverloadManager as OverloadConfig } from './config/schema/overload.ts';
import { drainAsAsked, drainInOrder, untilIdle } from './drain.ts';
import type { FilterRegistry } from './filter/registry.ts';
import { BALANCE_BYTES, balanceKey, ConnectionBalance } from './listener/connection-balance.ts';
import { bindsToPort, ListenerRuntime, listenAddress, listenerName } from './listener/listener.ts';
import { ListenerDirectory } from './listener/listener-directory.ts';
import { type ListenAddress, ListenerSocket } from './listener/listener-socket.ts';
import { settleHandles } from './network/handle-self-test.ts';
import { Splicing } from './network/splicing.ts';
import { flushAll, reopenAll } from './observe/access-log/index.ts';
import type { AdminServer, DrainOptions, ServerState } from './observe/admin/index.ts';
import { DenialLog } from './observe/denials.ts';
import { StatsStore } from './observe/stats.ts';
import { type StatsSnapshot, snapshotOf } from './observe/stats-snapshot.ts';
import { TapRegistry } from './observe/tap/tap-registry.ts';
import type { OverloadManager } from './overload/overload-manager.ts';
import { OverloadState } from './overload/overload-state.ts';
import type {
  InheritedSockets,
  ListeningSockets,
  ProxyOptions,
  RetirementTerms,
  RunningProxy,
  ThreadOptions,
} from './proxy.ts';
import type { ViewSource } from './proxy-view.ts';
import type { Runtime } from './runtime.ts';
import { SharedMemory } from './shared-memory.ts';
import { ClusterCalls } from './upstream/calls.ts';
import type { Cluster } from './upstream/cluster.ts';
import { ClusterManager } from './upstream/cluster-manager.ts';
import { drainPools } from './upstream/pools.ts';

/** Longest wait for destroyed connections to report their end. */
const CLOSE_WAIT_MS = 500;

/** After so long, the admin server does not wait for the listeners. */
const EARLY_ADMIN_MS = 100;

/** One thread's whole proxy. */
export class SidecarProxy implements RunningProxy, ViewSource {
  readonly runtime: Runtime;
  state: ServerState = 'PRE_INITIALIZING';
  loadedAtEpochMs = Date.now();
  readonly quitRequested: Promise<void>;
  quit: () => void = () => {};
  private admin: AdminServer | undefined = undefined;
  private adminOpening: Promise<void> | undefined = undefined;
  private healthChecksFail = false;
  private overload: OverloadManager | undefined = undefined;
  private overloadConfig = '';
  private started = false;
  private readonly options: ProxyOptions;
  private readonly registry: FilterRegistry;
  private readonly byAddress = new Map<string, ListenerSocket>();
  private readonly directory = new ListenerDirectory();
  private reloading: Promise<unknown> = Promise.resolve();
  private readonly drainingRuntimes = new Set<ListenerRuntime>();
  /** Sockets of another process that are to be accepted from once `open` is called. */
  private inherited: InheritedSockets | undefined;
  config: LoadedConfig;

  constructor(options: ProxyOptions) {
    this.options = options;
    this.config = options.config;
    this.registry = options.registry ?? builtinRegistry();
    this.inherited = options.takeover?.sockets[0];
    this.quitRequested = new Promise((resolve) => {
      this.quit = resolve;
    });
    const { log, config, filterDir } = options;
    const stats = new StatsStore();
    const { thread } = options;
    const clusters = new ClusterManager({
      stats,
      log: log.component('upstream'),
      ...(thread === undefined ? {} : { shared: thread.shared.get }),
    });
    clusters.onRemove = (cluster) => retire(cluster);
    this.runtime = {
      stats,
      log,
      clusters,
      shared: options.thread?.shared ?? new SharedMemory(),
      overload: new OverloadState(),
      probe: undefined,
      denials: new DenialLog(),
      taps: new TapRegistry(),
      facts: {
        healthy: () => this.state === 'LIVE' && !this.healthChecksFail,
        healthyPercent: (name) => clusters.get(name)?.healthyPercent,
        clusterStats: (name) => clusters.get(name)?.stats.scope,
        node: {
          id: config.bootstrap.node.id,
          cluster: config.bootstrap.node.cluster,
          zone: config.bootstrap.node.locality?.zone ?? '',
        },
      },
      calls: new ClusterCalls(clusters),
      ...(options.splice === undefined ? {} : { splicing: new Splicing(options.splice, log.component('tcp')) }),
      atClose: new Set(),
      baseDir: dirname(resolve(config.file)),
      filterDir,
      onCustomFilter: once(() => options.onCustomFilter?.(stats)),
    };
  }

  async start(): Promise<void> {
    this.state = 'INITIALIZING';
    const { probe } = this.options;
    if (probe !== undefined) this.runtime.probe = await (await import('./probe/index.ts')).startProbe(probe);
    await settleHandles(this.options.log.component('network'));
    await this.load();
    this.started = true;
    if (this.inherited !== undefined) return;
    this.state = 'LIVE';
    await this.openAdmin().catch((error: Error) => this.close().then(() => Promise.reject(error)));
  }

  /** A start that has to wait for others, such as for DNS, is one that people want to ask about. */
  private async load(): Promise<void> {
    const opensEarly = this.inherited === undefined;
    const early = setTimeout(() => void (opensEarly && this.openAdmin().catch(() => {})), EARLY_ADMIN_MS);
    try {
      await this.apply(this.config);
    } catch (error) {
      await this.adminOpening?.catch(() => {});
      await this.admin?.close();
      throw error;
    } finally {
      clearTimeout(early);
    }
  }

  async open(): Promise<void> {
    if (this.inherited === undefined) return;
    // First what can fail: a connection that this process has accepted is nobody else's any more.
    await this.openAdmin();
    this.inherited = undefined;
    this.state = 'LIVE';
    for (const socket of this.byAddress.values()) socket.open();
  }

  private openAdmin(): Promise<void> {
    this.adminOpening ??= this.startAdmin();
    return this.adminOpening;
  }

  private async startAdmin(): Promise<void> {
    // Of several threads, the main one has the admin server.
    if (this.options.thread !== undefined) return;
    const address = this.options.adminAddress ?? adminAddress(this.config);
    if (address === undefined) return;
    const { host, port } = address;
    const [{ startAdminServer }, { createProxyView }] = await Promise.all([
      import('./observe/admin/index.ts'),
      import('./proxy-view.ts'),
    ]);
    const { log, takeover, extendView = (view) => view } = this.options;
    const inherited = takeover?.admin;
    this.admin = await startAdminServer({ host, port, inherited, view: extendView(createProxyView(this)), log });
  }

  get adminAddress(): { host: string; port: number } | undefined {
    return this.admin === undefined ? undefined : { host: this.admin.address, port: this.admin.port };
  }

  get concurrency(): number {
    return this.options.concurrency;
  }

  sockets(): Iterable<ListenerSocket> {
    return this.byAddress.values();
  }

  healthy(): boolean {
    return !this.healthChecksFail;
  }

  failHealthChecks(fail: boolean): void {
    this.healthChecksFail = fail;
  }

  drainListeners(options: DrainOptions): void {
    drainAsAsked([...this.byAddress.values()], options, this.options.drainTimeMs);
  }

  listeners(): { name: string; address: string; port: number }[] {
    return [...this.byAddress.values()].map((socket) => ({ name: socket.current.name, ...socket.bound() }));
  }

  /** One after the other: a reload that comes while another one loads waits for it. */
  reload(config: LoadedConfig): Promise<'unchanged' | 'updated'> {
    const result = this.reloading.then(() => this.takeOver(config));
    this.reloading = result.catch(() => undefined);
    return result;
  }

  private async takeOver(config: LoadedConfig): Promise<'unchanged' | 'updated'> {
    if (config.hash === this.config.hash) return 'unchanged';
    await this.apply(config);
    this.config = config;
    this.loadedAtEpochMs = Date.now();
    return 'updated';
  }

  /** Prepares everything that can fail, then switches over. */
  private async apply(config: LoadedConfig): Promise<void> {
    const { bootstrap } = config;
    const listeners = bootstrap.static_resources.listeners.filter((listener) => this.serves(listener));
    const clusters = await this.runtime.clusters.prepare(bootstrap.static_resources.clusters, {
      localCluster: bootstrap.cluster_manager?.local_cluster_name ?? '',
      locality: bootstrap.node.locality,
      outlierLogPath: bootstrap.cluster_manager?.outlier_detection?.event_log_path ?? '',
    });
    const prepared: { key: string; runtime: ListenerRuntime; socket: ListenerSocket | undefined }[] = [];
    const bound: ListenerSocket[] = [];
    try {
      for (const listener of listeners) {
        const key = addressKey(listener);
        const existing = this.byAddress.get(key);
        if (existing !== undefined && sameConfig(existing.current.config, listener)) continue;
        const runtime = await ListenerRuntime.create(listener, this.runtime, this.registry, this.directory);
        prepared.push({ key, runtime, socket: existing });
        if (existing === undefined) bound.push(await this.bind(key, listenAddress(listener), runtime));
      }
      await this.manageOverload(bootstrap.overload_manager);
    } catch (error) {
      clusters.cancel();
      for (const socket of bound) socket.close();
      for (const { runtime } of prepared) runtime.dispose();
      throw error;
    }
    clusters.commit();
    for (const cluster of this.runtime.clusters.clusters) watchEndpoints(cluster);
    const fresh = [...bound];
    for (const { key, runtime, socket } of prepared) {
      if (socket === undefined) {
        this.byAddress.set(key, bound.shift() as ListenerSocket);
      } else {
        this.drainRuntime(socket.current);
        socket.current = runtime;
      }
    }
    const wanted = new Set(listeners.map(addressKey));
    this.directory.replace([...this.byAddress].filter(([key]) => wanted.has(key)).map(([, socket]) => socket));
    if (this.inherited === undefined) for (const socket of fresh) socket.open();
    if (this.runtime.overload.stopsConnections) for (const socket of fresh) socket.holdBack();
    for (const { runtime } of prepared) await runtime.watchFilters();
    for (const [key, socket] of [...this.byAddress]) {
      if (wanted.has(key)) continue;
      this.byAddress.delete(key);
      socket.close();
      this.drainRuntime(socket.current);
    }
  }

  /** A worker thread: a connection that another thread has accepted for this one. False where it listens there no more. */
  adopt(address: string, fd: number): boolean {
    const socket = this.byAddress.get(address);
    socket?.adopt(fd);
    return socket !== undefined;
  }

  /** @throws Error where a resource monitor cannot work here */
  private async manageOverload(config: OverloadConfig | undefined): Promise<void> {
    const text = JSON.stringify(config) ?? '';
    if (text === this.overloadConfig) return;
    const { overload: state, stats, shared, log } = this.runtime;
    const onStopConnections = (stop: boolean): void => {
      for (const socket of this.byAddress.values()) stop ? socket.holdBack() : socket.acceptAgain();
    };
    const next =
      config === undefined
        ? undefined
        : new (await import('./overload/overload-manager.ts')).OverloadManager(config, {
            state,
            stats: stats.root,
            shared,
            log: log.component('overload'),
            onStopConnections,
          });
    this.overload?.close();
    this.overload = next;
    this.overloadConfig = text;
    next?.start();
  }

  private serves(listener: ListenerConfig): boolean {
    const isPipe = listenAddress(listener).port === undefined;
    return isPipe || isShared(listener) || !bindsToPort(listener) || this.options.thread?.servesPipes !== false;
  }

  private async bind(key: string, address: ListenAddress, runtime: ListenerRuntime): Promise<ListenerSocket> {
    const { thread } = this.options;
    const inherited = this.inherited?.[key];
    const chosen = inherited?.port ?? thread?.ports[runtime.name] ?? 0;
    const port = address.port === 0 ? chosen : address.port;
    const left = this.started ? undefined : thread?.left.get(key);
    try {
      const accepts = port !== undefined || thread?.servesPipes !== false;
      const socket = new ListenerSocket({ ...address, port }, runtime, accepts);
      if (thread !== undefined) joinThreads(socket, key, thread);
      await socket.listen(
        thread !== undefined,
        inherited ?? (left && { port: port ?? 0, descriptors: left, isBorrowed: true }),
      );
      return socket;
    } catch (error) {
      throw bindError(error as NodeJS.ErrnoException, listenerName(runtime.config), address);
    }
  }

  /** The old configuration of a listener: what runs may finish within the drain time. */
  private drainRuntime(runtime: ListenerRuntime): void {
    this.drainingRuntimes.add(runtime);
    // Clients of the old configuration learn from their next response that they should connect anew.
    runtime.drain(this.options.drainTimeMs);
    const deadline = performance.now() + this.options.drainTimeMs;
    const timer = setInterval(() => {
      const over = !this.drainingRuntimes.has(runtime);
      if (!over && runtime.activeConnections > 0 && performance.now() < deadline) return;
      clearInterval(timer);
      if (over) return;
      runtime.closeConnections();
      runtime.dispose();
      this.drainingRuntimes.delete(runtime);
    }, 50);
    timer.unref();
  }

  reopenLogs(): void {
    void reopenAll();
  }

  async listeningSockets(): Promise<readonly ListeningSockets[]> {
    const sockets = Array.from(this.byAddress, ([key, socket]) => ({
      key,
      port: socket.bound().port,
      descriptors: socket.descriptors(),
    })).filter(({ descriptors }) => descriptors.length > 0);
    const { admin } = this;
    return admin === undefined
      ? sockets
      : [...sockets, { key: admin.key, port: admin.port, descriptors: [admin.descriptor()] }];
  }

  async stats(): Promise<StatsSnapshot> {
    return snapshotOf(this.runtime.stats);
  }

  async retire({ handedOver, drainTimeMs, isGradual, deadlineMs }: RetirementTerms): Promise<void> {
    this.state = 'DRAINING';
    await this.admin?.close();
    const deadline = performance.now() + deadlineMs;
    const runtimes = [...[...this.byAddress.values()].map((socket) => socket.current), ...this.drainingRuntimes];
    for (const [key, socket] of this.byAddress) socket.close(handedOver.includes(key));
    for (const runtime of runtimes) runtime.drain(drainTimeMs, isGradual ? drainTimeMs : 0);
    await untilIdle(runtimes, deadline);
  }

  drain(): Promise<void> {
    this.state = 'DRAINING';
    return drainInOrder([...this.byAddress.values()], [...this.drainingRuntimes], this.options.drainTimeMs);
  }

  async close(): Promise<void> {
    this.state = 'DRAINING';
    this.overload?.close();
    await this.admin?.close();
    const runtimes = [...[...this.byAddress.values()].map((socket) => socket.current), ...this.drainingRuntimes];
    for (const socket of this.byAddress.values()) socket.close();
    this.byAddress.clear();
    this.drainingRuntimes.clear();
    for (const runtime of runtimes) runtime.closeConnections();
    // What a connection logs at its end is written before its log is let go.
    const deadline = performance.now() + CLOSE_WAIT_MS;
    while (performance.now() < deadline && runtimes.some((runtime) => runtime.activeConnections > 0)) {
      await new Promise((done) => setImmediate(done));
    }
    for (const runtime of runtimes) runtime.dispose();
    await Promise.all([...this.runtime.atClose].map((wait) => wait()));
    for (const cluster of this.runtime.clusters.clusters) {
      for (const endpoint of cluster.endpoints) drainPools(endpoint, true);
    }
    this.runtime.clusters.close();
    this.runtime.splicing?.close();
    this.runtime.probe?.stop();
    await flushAll();
  }
}

/** Where the configuration wants the admin server; undefined when it wants none. */
function adminAddress(config: LoadedConfig): { host: string; port: number } | undefined {
  const socket = config.bootstrap.admin?.address?.socket_address;
  return socket === undefined ? undefined : { host: socket.address, port: socket.port_value ?? 0 };
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (!done) run();
    done = true;
  };
}

/** The socket is one of several at its address, each of which has a thread. */
function joinThreads(socket: ListenerSocket, address: string, thread: ThreadOptions): void {
  const { shared, slot, threads } = thread;
  socket.onKept = (descriptors) => thread.keep(address, descriptors);
  socket.balance = new ConnectionBalance(shared.get(balanceKey(address), BALANCE_BYTES), slot, threads, (to, fd) =>
    thread.handOver(address, to, fd),
  );
}

/** Whether several threads may listen at its address, each with a socket of its own. */
export function isShared(listener: ListenerConfig): boolean {
  return listenAddress(listener).port !== undefined && listener.enable_reuse_port !== false;
}

/** What a listener keeps its socket by over reloads: its address, and its name where the system chooses the port. */
export function addressKey(listener: ListenerConfig): string {
  const { host, port } = listenAddress(listener);
  const { transparent, freebind } = listener;
  // What a socket was bound with stays.
  const kind = `${bindsToPort(listener) ? '' : ' unbound'}${transparent ? ' transparent' : ''}${freebind ? ' free' : ''}`;
  return `${port === 0 ? `${host} 0 ${listener.name}` : `${host} ${port ?? 'pipe'}`}${kind}`;
}

function sameConfig(a: ListenerConfig, b: ListenerConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A cluster that is gone: its connections end when their exchange does. */
function retire(cluster: Cluster): void {
  for (const endpoint of cluster.endpoints) drainPools(endpoint);
}

function watchEndpoints(cluster: Cluster): void {
  cluster.onEndpointRemoved = (endpoint) => drainPools(endpoint);
  cluster.onEndpointDrained = (endpoint) => drainPools(endpoint);
}

function bindFailure({ code, syscall, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'is in use by another process';
  if (code === 'EPERM' && syscall === 'setsockopt') return 'cannot be transparent without CAP_NET_ADMIN';
  return message;
}

function bindError(error: NodeJS.ErrnoException, name: string, { host, port }: ListenAddress): Error {
  const where = port === undefined ? host : `${host}:${port}`;
  const why = bindFailure(error);
  return Object.assign(new Error(`listener ${name}: ${where} ${why}`), {
    code: error.code,
    address: where,
    cause: error,
  });
}
