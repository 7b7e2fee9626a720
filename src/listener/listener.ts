import type { Socket } from 'node:net';
import { racesServers } from '../config/listener-options.ts';
import type { Listener as ListenerConfig } from '../config/schema/listener.ts';
import type { FilterRegistry } from '../filter/registry.ts';
import { FLAG } from '../http/response-flags.ts';
import { peerCredentials } from '../kernel/peer-credentials.ts';
import { ConnectionRecord, connectionInfo, unmapped } from '../network/connection-record.ts';
import { compileAccessLogs } from '../observe/access-log/index.ts';
import type { Counter, Gauge, StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';
import { FilterChainMatcher } from './filter-chain-match.ts';
import { FilterChainRuntime } from './filter-chain-runtime.ts';
import { ListenerDirectory } from './listener-directory.ts';
import { IncomingConnection, type ListenerFilterEvents, ListenerFilters } from './listener-filters.ts';
import type { ListenAddress } from './listener-socket.ts';
import { ServerFirst } from './server-first.ts';

/** Where a connection's metadata says who is at the other end of a Unix socket: `peer_pid`, `peer_uid`, `peer_gid`. */
const PEER_NAMESPACE = 'outrigger.v1';

/** One configuration of a listener: chains that serve the connections which its socket accepts. */
export class ListenerRuntime implements ListenerFilterEvents {
  readonly name: string;
  readonly config: ListenerConfig;
  readonly chains: readonly FilterChainRuntime[];
  private readonly matcher: FilterChainMatcher<FilterChainRuntime>;
  private readonly filters: ListenerFilters | undefined;
  /** Where connections that wanted to go to another listener find it; undefined for `use_original_dst: false`. */
  private readonly directory: ListenerDirectory | undefined;
  private readonly stats: ListenerStats;
  private readonly overload: Runtime['overload'];
  /** Undefined where servers are not expected to speak first. */
  private readonly serverFirst: ServerFirst | undefined;
  private readonly accessLog: ReturnType<typeof compileAccessLogs> | undefined;

  private constructor(
    name: string,
    config: ListenerConfig,
    runtime: Runtime,
    scope: StatsScope,
    chains: readonly FilterChainRuntime[],
    fallback: FilterChainRuntime | undefined,
    filters: ListenerFilters | undefined,
    directory: ListenerDirectory,
  ) {
    this.name = name;
    this.config = config;
    this.filters = filters;
    this.directory = config.use_original_dst ? directory : undefined;
    this.stats = new ListenerStats(scope);
    this.overload = runtime.overload;
    this.serverFirst = racesServers(config) ? new ServerFirst(scope) : undefined;
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
  static async create(
    config: ListenerConfig,
    runtime: Runtime,
    registry: FilterRegistry,
    directory = new ListenerDirectory(),
  ): Promise<ListenerRuntime> {
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
      const filters = await ListenerFilters.create(config, scope, runtime.stats, directory);
      return new ListenerRuntime(name, config, runtime, scope, chains, fallback, filters, directory);
    } catch (error) {
      for (const chain of made) chain.dispose();
      throw error;
    }
  }

  /** Serves a connection that the socket accepted. */
  accept(socket: Socket): void {
    if (this.isRefused(socket)) {
      socket.destroy();
      return;
    }
    const incoming = new IncomingConnection(socket);
    const { pipe } = this.config.address;
    if (pipe !== undefined) describePeer(incoming, pipe.path);
    this.look(incoming);
  }

  /** Whether the proxy has no room for another connection; else it is counted. */
  private isRefused(socket: Socket): boolean {
    const { rejectedShare, connections, maxConnections } = this.overload;
    if (rejectedShare > 0 && Math.random() < rejectedShare) {
      this.stats.overloadReject.inc();
      return true;
    }
    if (connections === undefined) return false;
    if (connections.add() >= maxConnections) {
      connections.remove();
      this.stats.globalCxOverflow.inc();
      return true;
    }
    socket.once('close', () => connections.remove());
    return false;
  }

  private look(incoming: IncomingConnection): void {
    if (this.filters === undefined) this.onAccepted(incoming);
    else this.filters.run(incoming, this);
  }

  /** Serves a connection that came to another listener's socket, and wanted to come to this one. */
  private takeOver(incoming: IncomingConnection): void {
    incoming.wasHandedOver = true;
    this.look(incoming);
  }

  /** The listener that the client wanted to reach, if that is another one. Nobody hands over what was handed over. */
  private wantedListener(incoming: IncomingConnection): ListenerRuntime | undefined {
    if (this.directory === undefined || !incoming.isRestored || incoming.wasHandedOver) return undefined;
    const wanted = this.directory.find(unmapped(incoming.localAddress), incoming.localPort)?.current;
    return wanted === this ? undefined : wanted;
  }

  /** The listener filters have let a connection pass. */
  onAccepted(incoming: IncomingConnection): void {
    const wanted = this.wantedListener(incoming);
    if (wanted !== undefined) {
      wanted.takeOver(incoming);
      return;
    }
    const { socket, first } = incoming;
    const record = recordOf(incoming);
    const chain = this.matcher.find(record.connection, first);
    this.serverFirst?.settle(incoming, chain, record);
    if (chain === undefined) {
      this.stats.noFilterChainMatch.inc();
      this.refuse(record, FLAG.NR, 'filter_chain_not_found');
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

  /** Nobody has spoken yet. */
  onSilence(incoming: IncomingConnection, proceed: () => void): void {
    if (this.serverFirst === undefined || this.wantedListener(incoming) !== undefined) return;
    const record = recordOf(incoming);
    const chain = this.matcher.find(record.connection, incoming.first);
    if (chain !== undefined) this.serverFirst.begin(incoming, chain, record, proceed);
  }

  /** The connection has ended before a chain was chosen. */
  onRefused(incoming: IncomingConnection): void {
    this.serverFirst?.settle(incoming, undefined, undefined);
    if (this.accessLog === undefined) return;
    const { refusal } = incoming;
    const record = new ConnectionRecord(connectionInfo(incoming, incoming.first.serverName));
    this.refuse(record, refusal?.flag ?? 0, refusal?.details ?? '');
  }

  private refuse(record: ConnectionRecord, flag: number, details: string): void {
    record.responseFlags = flag;
    record.connectionTerminationDetails = details;
    record.endMs = performance.now();
    this.accessLog?.log(record);
  }

  get activeConnections(): number {
    return this.chains.reduce((sum, chain) => sum + chain.activeConnections, 0);
  }

  watchFilters(): Promise<unknown> {
    return Promise.all(this.chains.map((chain) => chain.watchFilters()));
  }

  /** @param overMs - asks connections one after the other, evenly over this time; 0 asks all at once */
  drain(idleGraceMs: number, overMs = 0): void {
    for (const chain of this.chains) chain.drain(idleGraceMs, overMs);
  }

  closeConnections(): void {
    this.filters?.closeConnections();
    for (const chain of this.chains) chain.closeConnections();
  }

  dispose(): void {
    for (const chain of this.chains) chain.dispose();
    this.accessLog?.dispose();
  }
}

/** A Unix socket has no addresses, but the kernel knows who connected. */
function describePeer(incoming: IncomingConnection, path: string): void {
  incoming.pipe = path;
  const peer = peerCredentials(incoming.socket);
  if (peer === undefined) return;
  for (const [key, value] of Object.entries(peer)) incoming.setMetadata(PEER_NAMESPACE, `peer_${key}`, value);
}

/** The facts of a connection as they are known by now. */
function recordOf(incoming: IncomingConnection): ConnectionRecord {
  const record = new ConnectionRecord(connectionInfo(incoming, incoming.first.serverName));
  for (const [namespace, key, value] of incoming.metadata ?? []) record.setMetadata(namespace, key, value);
  return record;
}

/** The `listener.<address>.*` statistics. */
class ListenerStats {
  readonly noFilterChainMatch: Counter;
  readonly overloadReject: Counter;
  readonly globalCxOverflow: Counter;
  private readonly cxTotal: Counter;
  private readonly cxActive: Gauge;
  private readonly cxDestroy: Counter;
  private readonly cxLengthMs: ReturnType<StatsScope['histogram']>;

  constructor(scope: StatsScope) {
    this.noFilterChainMatch = scope.counter('no_filter_chain_match');
    this.overloadReject = scope.counter('downstream_cx_overload_reject');
    this.globalCxOverflow = scope.counter('downstream_global_cx_overflow');
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

/** The address that a listener's configuration names. */
export function listenAddress(config: ListenerConfig): ListenAddress {
  const { socket_address: socket, pipe } = config.address;
  if (socket !== undefined) return { host: socket.address, port: socket.port_value ?? 0 };
  const path = pipe?.path ?? '';
  return { host: path.startsWith('@') ? `\0${path.substring(1)}` : path, port: undefined };
}

/** Whether a listener has a socket; else it gets what other listeners hand over. */
export function bindsToPort(config: ListenerConfig): boolean {
  return config.bind_to_port && config.deprecated_v1?.bind_to_port !== false;
}

/** The configured name, or the address. */
export function listenerName(config: ListenerConfig): string {
  if (config.name !== '') return config.name;
  const { host, port } = listenAddress(config);
  return port === undefined ? host.replace(/^\0/, '@') : `${host}:${port}`;
}

/** `127.0.0.1_8080`, as Envoy names a listener's statistics. */
function statAddress(config: ListenerConfig): string {
  const { host, port } = listenAddress(config);
  if (port === undefined) return host.replace(/^\0/, '@');
  return host.includes(':') ? `[${host.replaceAll(':', '_')}]_${port}` : `${host}_${port}`;
}
