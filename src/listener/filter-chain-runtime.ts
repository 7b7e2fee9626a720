import type { Socket } from 'node:net';
import { DOWNSTREAM_TLS, HTTP_CONNECTION_MANAGER, TCP_PROXY } from '../config/extensions.ts';
import type { HttpConnectionManager } from '../config/schema/http-connection-manager.ts';
import type { FilterChain, NetworkFilter } from '../config/schema/listener.ts';
import type { TcpProxy as TcpProxyConfig } from '../config/schema/tcp-proxy.ts';
import type { DownstreamTlsContext } from '../config/schema/tls.ts';
import type { FilterRegistry } from '../filter/registry.ts';
import type { ConnectionManager } from '../http/connection-manager.ts';
import type { Connection, ConnectionHandler } from '../network/connection.ts';
import type { ConnectionRecord } from '../network/connection-record.ts';
import type { EarlyUpstream } from '../network/early-upstream.ts';
import { HandleConnection } from '../network/handle-connection.ts';
import { NetworkFilterChain, unwrap } from '../network/network-filter-chain.ts';
import { StreamConnection } from '../network/stream-connection.ts';
import type { TcpProxy } from '../network/tcp-proxy.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';
import type { DownstreamTls } from '../tls/downstream-tls.ts';
import type { PendingHandshake } from '../tls/handshake.ts';
import type { TlsFailure } from '../tls/tls-failure.ts';
import { NetworkFilters } from './network-filters.ts';

/** What a filter chain needs of its listener. */
export interface ChainContext {
  readonly runtime: Runtime;
  readonly registry: FilterRegistry;
  readonly listenerName: string;
  readonly stats: StatsScope;
  readonly bufferLimitBytes: number;
  readonly drainsUnhealthy: boolean;
  readonly isEgress: boolean;
}

type Terminal = ConnectionManager | TcpProxy;

/** A connection that is open, and the chain that agreed to it: a later version of its filters never sees it. */
interface Served {
  readonly record: ConnectionRecord;
  readonly chain: NetworkFilterChain;
}

/** One filter chain of a listener, ready to serve: network filters, then the connection manager or the TCP proxy. */
export class FilterChainRuntime {
  readonly name: string;
  readonly filterNames: readonly string[];
  private readonly context: ChainContext;
  private readonly filters: NetworkFilters;
  private readonly terminal: Terminal;
  private readonly tls: DownstreamTls | undefined;
  private readonly handshakes = new Set<PendingHandshake>();
  private readonly served = new Map<Connection, Served>();
  private chain: NetworkFilterChain;

  private constructor(
    config: FilterChain,
    context: ChainContext,
    filters: NetworkFilters,
    terminal: Terminal,
    tls: DownstreamTls | undefined,
  ) {
    this.name = config.name;
    this.context = context;
    this.filters = filters;
    this.terminal = terminal;
    this.tls = tls;
    const terminalName = config.filters.at(-1)?.name ?? '';
    const httpNames = terminal.kind === 'http' ? terminal.filterNames : [];
    this.filterNames = [...filters.configured.map((filter) => filter.name), terminalName, ...httpNames];
    this.chain = this.createChain();
  }

  /** @throws what loading modules, creating filters, compiling routes or opening logs throws */
  static async create(config: FilterChain, context: ChainContext): Promise<FilterChainRuntime> {
    const tls = await createTls(config, context);
    try {
      const filters = await NetworkFilters.create(config.filters.slice(0, -1), context);
      const self: { runtime: FilterChainRuntime | undefined } = { runtime: undefined };
      const onClose = (connection: Connection): void => self.runtime?.onClosed(connection);
      const terminal = await createTerminal(config.filters.at(-1) as NetworkFilter, context, onClose);
      self.runtime = new FilterChainRuntime(config, context, filters, terminal, tls);
      return self.runtime;
    } catch (error) {
      tls?.close();
      throw error;
    }
  }

  private createChain(): NetworkFilterChain {
    const { runtime, listenerName } = this.context;
    const log = runtime.log.component('listener');
    return new NetworkFilterChain(
      this.filters.configured,
      (connection, record) => this.serveTerminal(connection, record),
      (record, filter) => runtime.denials.record(record, listenerName, filter),
      (filter, error) => log.error(`network filter ${filter} failed`, { error: String(error) }),
    );
  }

  get kind(): 'http' | 'tcp' {
    return this.terminal.kind;
  }

  get activeConnections(): number {
    return this.served.size + this.handshakes.size;
  }

  /**
   * Connects ahead to where the connection would go. Undefined where a server cannot be the first to speak: over HTTP and
   * TLS. So it is behind network filters: what they might refuse must not reach the app.
   */
  connectEarly(record: ConnectionRecord, onSpoke: () => void): EarlyUpstream | undefined {
    const isGuarded = this.filters.configured.some(({ hooks }) => hooks.onConnection !== undefined);
    if (this.terminal.kind !== 'tcp' || this.tls !== undefined || isGuarded) return undefined;
    return this.terminal.connectEarly(record, onSpoke);
  }

  /** Takes a socket from which nobody reads; with TLS, its handshake comes before any filter. */
  accept(socket: Socket, record: ConnectionRecord): void {
    if (this.tls === undefined) this.serve(openConnection(socket, this.context.bufferLimitBytes), record);
    else this.secure(this.tls, socket, record);
  }

  private secure(tls: DownstreamTls, socket: Socket, record: ConnectionRecord): void {
    const handshake = tls.accept(socket, {
      onSecure: (secured, info, serverName) => {
        this.handshakes.delete(handshake);
        record.secured(info, serverName);
        this.serve(tls.open(secured, socket, info, UNOWNED), record);
      },
      onHandshakeFailure: (failure) => {
        this.handshakes.delete(handshake);
        this.refuse(failure, record);
      },
    });
    this.handshakes.add(handshake);
  }

  private refuse(failure: TlsFailure, record: ConnectionRecord): void {
    const { runtime, listenerName, stats } = this.context;
    if (failure.kind === 'timeout') {
      stats.counter('downstream_cx_transport_socket_connect_timeout').inc();
      record.connectionTerminationDetails = failure.reason;
    } else {
      record.downstreamTransportFailureReason = failure.reason;
    }
    const log = runtime.log.component('listener');
    // A peer that goes away in the middle of a handshake is nothing to tell of.
    if (failure.kind === 'closed') return;
    const { remoteAddress, remotePort } = record.connection;
    log.info('TLS handshake failed', {
      listener: listenerName,
      peer: `${remoteAddress}:${remotePort}`,
      reason: failure.reason,
    });
  }

  private serve(connection: Connection, record: ConnectionRecord): void {
    const { chain } = this;
    this.served.set(connection, { record, chain });
    connection.handler = { onData() {}, onEnd() {}, onDrain() {}, onClose: () => this.onClosed(connection) };
    chain.serve(connection, record);
  }

  private serveTerminal(connection: Connection, record: ConnectionRecord): void {
    if (this.terminal.kind === 'tcp') this.terminal.serve(connection, record);
    else this.terminal.serve(connection, record.connection);
  }

  private onClosed(connection: Connection): void {
    const inner = unwrap(connection);
    const served = this.served.get(inner);
    if (served === undefined) return;
    // Refused before it was taken over.
    served.record.earlyUpstream?.release();
    this.served.delete(inner);
    served.chain.closed(served.record);
    this.context.runtime.clusters.onClientGone(served.record.connection);
  }

  /** Custom filters follow their files from now on; a changed one takes effect for new connections and requests. */
  async watchFilters(): Promise<void> {
    await this.filters.watch(() => {
      this.chain = this.createChain();
    });
    if (this.terminal.kind === 'http') await this.terminal.watchFilters();
  }

  /** No new requests, idle connections end after `idleGraceMs`; TCP sessions go on until `closeConnections`. */
  drain(idleGraceMs: number, overMs: number): void {
    if (this.terminal.kind === 'http') this.terminal.drain(idleGraceMs, overMs);
  }

  closeConnections(): void {
    for (const handshake of this.handshakes) handshake.cancel();
    this.handshakes.clear();
    this.terminal.closeConnections();
    for (const connection of [...this.served.keys()]) connection.destroy();
  }

  dispose(): void {
    this.tls?.close();
    this.terminal.dispose();
    this.filters.dispose();
  }
}

const UNOWNED: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

function openConnection(socket: Socket, limitBytes: number): Connection {
  return HandleConnection.from(socket, UNOWNED, limitBytes) ?? new StreamConnection(socket, UNOWNED);
}

/** Loads TLS on first use: it costs milliseconds and megabytes. */
async function createTls(config: FilterChain, context: ChainContext): Promise<DownstreamTls | undefined> {
  const { transport_socket: socket, transport_socket_connect_timeout: timeoutMs } = config;
  if (socket?.typed_config.type !== DOWNSTREAM_TLS) return undefined;
  const { DownstreamTls } = await import('../tls/downstream-tls.ts');
  const { runtime, stats: scope, listenerName } = context;
  return new DownstreamTls(socket.typed_config.value as DownstreamTlsContext, {
    owner: `listener ${listenerName}`,
    scope,
    log: runtime.log.component('tls'),
    shared: runtime.shared.get,
    timeoutMs,
  });
}

/** Loads the terminal's code on first use: a proxy that only does TCP never loads HTTP. */
async function createTerminal(
  filter: NetworkFilter,
  context: ChainContext,
  onClose: (connection: Connection) => void,
): Promise<Terminal> {
  const { runtime, registry, listenerName, bufferLimitBytes, drainsUnhealthy, isEgress } = context;
  const { type, value } = filter.typed_config;
  switch (type) {
    case TCP_PROXY: {
      const { TcpProxy } = await import('../network/tcp-proxy.ts');
      await runtime.splicing?.load();
      return new TcpProxy(value as TcpProxyConfig, runtime, onClose);
    }
    case HTTP_CONNECTION_MANAGER: {
      const { ConnectionManager } = await import('../http/connection-manager.ts');
      return ConnectionManager.create({
        config: value as HttpConnectionManager,
        definitions: registry.http,
        runtime,
        listenerName,
        bufferLimitBytes,
        drainsUnhealthy,
        isEgress,
        onClose,
      });
    }
    default:
      throw new Error(`${type} cannot end a filter chain`);
  }
}
