import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import type { Listener as ListenerConfig } from '../config/schema/listener.ts';
import type { FilterRegistry } from '../filter/registry.ts';
import { FLAG } from '../http/response-flags.ts';
import { acceptWaiting } from '../kernel/accept-queue.ts';
import { ConnectionRecord, connectionInfo } from '../network/connection-record.ts';
import { compileAccessLogs } from '../observe/access-log/index.ts';
import type { Counter, Gauge, StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';
import { asksFirstBytes, FilterChainMatcher, type FirstBytes, UNSEEN } from './filter-chain-match.ts';
import { FilterChainRuntime } from './filter-chain-runtime.ts';
import type { TlsInspector } from './tls-inspector.ts';

/** Where a listener listens. */
export interface ListenAddress {
  /** IP address, or the path of a pipe. */
  readonly host: string;
  /** 0 lets the system choose; undefined for a pipe. */
  readonly port: number | undefined;
}

/** From so many open connections on, a turn of the event loop may be long enough for others to queue up. */
const BUSY_CONNECTIONS = 16;
/** Connections taken at once, so that those which are open are not kept waiting either. */
const MAX_ACCEPTED_AT_ONCE = 64;
/** Enough to empty a queue for good, unless somebody fills it faster than it is emptied. */
const MAX_ACCEPTED_AT_CLOSE = 8192;

/** One configuration of a listener: chains that serve the connections which its socket accepts. */
export class ListenerRuntime {
  readonly name: string;
  readonly config: ListenerConfig;
  readonly chains: readonly FilterChainRuntime[];
  private readonly matcher: FilterChainMatcher<FilterChainRuntime>;
  private readonly inspector: TlsInspector | undefined;
  private readonly stats: ListenerStats;
  private readonly accessLog: ReturnType<typeof compileAccessLogs> | undefined;

  private constructor(
    name: string,
    config: ListenerConfig,
    runtime: Runtime,
    scope: StatsScope,
    chains: readonly FilterChainRuntime[],
    fallback: FilterChainRuntime | undefined,
    inspector: TlsInspector | undefined,
  ) {
    this.name = name;
    this.config = config;
    this.inspector = inspector;
    this.stats = new ListenerStats(scope);
    this.chains = fallback === undefined ? chains : [...chains, fallback];
    this.matcher = new FilterChainMatcher(
      chains.map((chain, index) => ({ match: config.filter_chains[index]?.filter_chain_match, chain })),
      fallback,
    );
    this.accessLog =
      config.access_log.length === 0
        ? undefined
        : compileAccessLogs(config.access_log, { log: runtime.log.component('listener') });
  }

  /** Compiles all chains. @throws what a chain throws */
  static async create(config: ListenerConfig, runtime: Runtime, registry: FilterRegistry): Promise<ListenerRuntime> {
    const name = listenerName(config);
    const scope = runtime.stats.scope(`listener.${config.stat_prefix || statAddress(config)}`);
    const context = {
      runtime,
      registry,
      listenerName: name,
      stats: scope,
      bufferLimitBytes: config.per_connection_buffer_limit_bytes,
      drainsUnhealthy: config.drain_type === 'DEFAULT',
      isEgress: config.traffic_direction === 'OUTBOUND',
    };
    const made: FilterChainRuntime[] = [];
    try {
      for (const chain of config.filter_chains) made.push(await FilterChainRuntime.create(chain, context));
      const chains = [...made];
      const fallback =
        config.default_filter_chain === undefined
          ? undefined
          : await FilterChainRuntime.create(config.default_filter_chain, context);
      if (fallback !== undefined) made.push(fallback);
      const inspector = await createInspector(config, scope);
      return new ListenerRuntime(name, config, runtime, scope, chains, fallback, inspector);
    } catch (error) {
      for (const chain of made) chain.dispose();
      throw error;
    }
  }

  /** Serves a connection that the socket accepted. */
  accept(socket: Socket): void {
    if (this.inspector === undefined) this.choose(socket, UNSEEN);
    else this.inspector.inspect(socket, (first) => this.choose(socket, first));
  }

  private choose(socket: Socket, first: FirstBytes): void {
    const info = connectionInfo(addressesOf(socket), first.serverName);
    const record = new ConnectionRecord(info);
    const chain = this.matcher.find(info, first);
    if (chain === undefined) {
      this.stats.noFilterChainMatch.inc();
      record.responseFlags = FLAG.NR;
      record.connectionTerminationDetails = 'filter_chain_not_found';
      record.endMs = performance.now();
      this.accessLog?.log(record);
      socket.destroy();
      return;
    }
    this.stats.onOpen();
    socket.once('close', () => {
      this.stats.onClose(performance.now() - record.startMs);
      record.endMs ||= performance.now();
      this.accessLog?.log(record);
    });
    chain.accept(socket, record);
  }

  get activeConnections(): number {
    return this.chains.reduce((sum, chain) => sum + chain.activeConnections, 0);
  }

  watchFilters(): Promise<unknown> {
    return Promise.all(this.chains.map((chain) => chain.watchFilters()));
  }

  drain(idleGraceMs: number): void {
    for (const chain of this.chains) chain.drain(idleGraceMs);
  }

  closeConnections(): void {
    this.inspector?.closeConnections();
    for (const chain of this.chains) chain.closeConnections();
  }

  dispose(): void {
    for (const chain of this.chains) chain.dispose();
    this.accessLog?.dispose();
  }
}

/** The `listener.<address>.*` statistics. */
class ListenerStats {
  readonly noFilterChainMatch: Counter;
  private readonly cxTotal: Counter;
  private readonly cxActive: Gauge;
  private readonly cxDestroy: Counter;
  private readonly cxLengthMs: ReturnType<StatsScope['histogram']>;

  constructor(scope: StatsScope) {
    this.noFilterChainMatch = scope.counter('no_filter_chain_match');
    this.cxTotal = scope.counter('downstream_cx_total');
    this.cxActive = scope.gauge('downstream_cx_active');
    this.cxDestroy = scope.counter('downstream_cx_destroy');
    this.cxLengthMs = scope.histogram('downstream_cx_length_ms');
  }

  onOpen(): void {
    this.cxTotal.inc();
    this.cxActive.inc();
  }

  onClose(durationMs: number): void {
    this.cxActive.dec();
    this.cxDestroy.inc();
    this.cxLengthMs.record(durationMs);
  }
}

/** A listening socket. It outlives the configurations of its listener: a new one takes over new connections. */
export class ListenerSocket {
  readonly address: ListenAddress;
  current: ListenerRuntime;
  private readonly server: Server;
  /** Connections that came before `open`. */
  private early: Socket[] | undefined = [];

  constructor(address: ListenAddress, runtime: ListenerRuntime) {
    this.address = address;
    this.current = runtime;
    this.server = net.createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (socket) => {
      this.take(socket);
      if (this.current.activeConnections >= BUSY_CONNECTIONS) this.takeWaiting(MAX_ACCEPTED_AT_ONCE);
    });
  }

  private readonly take = (socket: Socket): void => {
    if (this.early === undefined) this.current.accept(socket);
    else this.early.push(socket);
  };

  private takeWaiting(limit: number): void {
    acceptWaiting(this.server, limit, this.take);
  }

  /** Serves from here on: everything that the listener's configuration speaks of is there. */
  open(): void {
    const early = this.early ?? [];
    this.early = undefined;
    for (const socket of early) this.current.accept(socket);
  }

  /** Binds. @throws the system's error, with the address in its text */
  listen(threaded: boolean): Promise<void> {
    const { host, port } = this.address;
    const { config } = this.current;
    const backlog = config.tcp_backlog_size ?? 4096;
    const { enable_reuse_port: wanted = config.reuse_port } = config;
    // Alone, a proxy leaves its ports to nobody else unless it is told to: two of them would share clients unawares.
    const reusePort = wanted ?? threaded;
    // Not net.isIPv6: compiling its regular expression takes 3 ms of the start.
    const ipv6Only = host.includes(':') && config.address.socket_address?.ipv4_compat !== true;
    const mode = config.address.pipe?.mode ?? 0;
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => reject(error);
      const onListening = (): void => {
        this.server.off('error', onError);
        // Running out of descriptors, for one, is no reason to die: the connection waits in the kernel's queue.
        this.server.on('error', () => {});
        if (mode !== 0 && port === undefined && !host.startsWith('\0')) chmodSync(host, mode);
        resolve();
      };
      this.server.once('error', onError);
      if (port === undefined) {
        removeStaleSocket(host);
        this.server.listen({ path: host, backlog }, onListening);
      } else if (net.BoundSocket === undefined || net.isIP(host) === 0) {
        this.server.listen({ host, port, backlog, ipv6Only, ...(reusePort ? { reusePort } : {}) }, onListening);
      } else {
        // `listen` would look the address up as if it were a name, which costs the start 10 ms and a thread.
        this.server.listen(new net.BoundSocket({ host, port, reusePort, ipv6Only }), backlog, onListening);
      }
    });
  }

  /** Where it really listens. */
  bound(): { readonly address: string; readonly port: number } {
    const bound = this.server.address();
    if (bound === null) return { address: this.address.host, port: this.address.port ?? 0 };
    return typeof bound === 'string' ? { address: bound, port: 0 } : { address: bound.address, port: bound.port };
  }

  /** Accepts no more; connections that were accepted go on, and so do those in the queue: the kernel would reset them. */
  close(): void {
    if (this.early === undefined) this.takeWaiting(MAX_ACCEPTED_AT_CLOSE);
    for (const socket of this.early ?? []) socket.destroy();
    this.server.close();
  }
}

/** A Unix socket that a process left behind keeps nobody from listening, as in Envoy. */
function removeStaleSocket(path: string): void {
  if (path.startsWith('\0')) return;
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
}

/** The address that a listener's configuration names. */
export function listenAddress(config: ListenerConfig): ListenAddress {
  const { socket_address: socket, pipe } = config.address;
  if (socket !== undefined) return { host: socket.address, port: socket.port_value ?? 0 };
  const path = pipe?.path ?? '';
  return { host: path.startsWith('@') ? `\0${path.substring(1)}` : path, port: undefined };
}

/** The configured name, or the address. */
export function listenerName(config: ListenerConfig): string {
  if (config.name !== '') return config.name;
  const { host, port } = listenAddress(config);
  return port === undefined ? host : `${host}:${port}`;
}

/** `127.0.0.1_8080`, as Envoy names a listener's statistics. */
function statAddress(config: ListenerConfig): string {
  const { host, port } = listenAddress(config);
  if (port === undefined) return host;
  return host.includes(':') ? `[${host.replaceAll(':', '_')}]_${port}` : `${host}_${port}`;
}

/** Loads the TLS inspector where a listener names it, or where its chains cannot be chosen without (as Envoy does). */
async function createInspector(config: ListenerConfig, scope: StatsScope): Promise<TlsInspector | undefined> {
  const isAsked = config.filter_chains.some((chain) => asksFirstBytes(chain.filter_chain_match));
  if (config.listener_filters.length === 0 && !isAsked) return undefined;
  const { TlsInspector } = await import('./tls-inspector.ts');
  return new TlsInspector({
    scope,
    timeoutMs: config.listener_filters_timeout,
    continuesOnTimeout: config.continue_on_listener_filters_timeout,
  });
}

/** A Unix socket has no addresses. */
function addressesOf(socket: Socket) {
  return {
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
  };
}
