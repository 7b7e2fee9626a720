import { ROUTER } from '../config/extensions.ts';
import type { HttpConnectionManager, UuidRequestIdConfig } from '../config/schema/http-connection-manager.ts';
import type { Router as RouterConfig } from '../config/schema/router.ts';
import type { Logger, ProxyFacts } from '../filter/env.ts';
import type { AnyHttpFilter } from '../filter/registry.ts';
import type { Connection, ConnectionHandler } from '../network/connection.ts';
import { CidrSet } from '../network/ip.ts';
import { type AccessLogger, compileAccessLogs } from '../observe/access-log/index.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { HttpTracing, ManagerTracing } from '../observe/tracing/index.ts';
import type { Runtime } from '../runtime.ts';
import { compileAuthorityNormalizer } from './authority.ts';
import type { DownstreamCodec } from './codec.ts';
import { type HttpSettings, resolveSettings } from './connection-manager-settings.ts';
import type { ConfiguredFilter, FilterChain } from './filter-chain.ts';
import { FilterChains } from './filter-chains.ts';
import { drainGradually } from './gradual-drain.ts';
import { HttpStats } from './http-stats.ts';
import { HeadParser } from './http1/head-parser.ts';
import { Http1ServerConnection } from './http1/server-connection.ts';
import type { Http2Side } from './http2/server-side.ts';
import { compileLocalReplies, type LocalReplyRewriter } from './local-reply-config.ts';
import { compilePathNormalizer } from './path.ts';
import { ProtocolSniffer } from './protocol-sniffer.ts';
import { compileRouteConfiguration, type RouteTable } from './route/index.ts';
import { HttpStream } from './stream.ts';
import type { StreamCore } from './stream-core.ts';

/** Streams of HTTP/1 that are kept for further requests: more are rarely under way at once, and a new one is soon made. */
const MAX_SPARE_STREAMS = 256;

const NO_CONNECTION: ConnectionInfo = {
  id: 0,
  remoteAddress: '',
  remotePort: 0,
  localAddress: '',
  localPort: 0,
  serverName: '',
  tls: undefined,
};

/** A downstream connection, whatever version of the protocol it speaks. */
export interface ServerConnection {
  readonly connection: Connection;
  /** UNDECIDED while the first bytes have not shown it. */
  readonly protocol: 'HTTP/1' | 'HTTP/2' | 'UNDECIDED';
  /** The client ended the connection, not this side; and whether that was in the middle of a request or response. */
  readonly endedByPeer: boolean;
  readonly cutShort: boolean;
  /** Ends with its exchanges, and after `idleGraceMs` where there are none. */
  drain(idleGraceMs: number): void;
}

/** What a connection manager needs besides its own configuration. */
export interface ConnectionManagerOptions {
  readonly config: HttpConnectionManager;
  readonly definitions: ReadonlyMap<string, AnyHttpFilter>;
  readonly runtime: Runtime;
  readonly listenerName: string;
  readonly bufferLimitBytes: number;
  /** Whether connections end while health checks are failed from outside: the listener's `drain_type: DEFAULT`. */
  readonly drainsUnhealthy: boolean;
  /** The listener is for what the app sends (`traffic_direction: OUTBOUND`). */
  readonly isEgress: boolean;
  /** The connection's close, after the codec has let go of it. */
  readonly onClose: (connection: Connection) => void;
}

/**
 * The HTTP connection manager of one filter chain: everything that its streams look up, computed at load. Configuration
 * is never changed in place; a new one makes a new manager, and this one drains.
 */
export class ConnectionManager {
  readonly kind = 'http';
  private readonly config: HttpConnectionManager;
  readonly settings: HttpSettings;
  readonly stats: HttpStats;
  readonly routes: RouteTable;
  readonly clusters: Runtime['clusters'];
  readonly log: Logger;
  readonly accessLog: AccessLogger | undefined = undefined;
  readonly internalAddresses: CidrSet | undefined;
  readonly normalizePath: ReturnType<typeof compilePathNormalizer>;
  readonly normalizeAuthority: ((authority: string, localPort: number) => string) | undefined;
  readonly rewriteLocalReply: LocalReplyRewriter | undefined;
  readonly node: ProxyFacts['node'];
  readonly overload: Runtime['overload'];
  /** Undefined without tracing. */
  readonly tracing: HttpTracing | undefined;
  private readonly managerTracing: ManagerTracing | undefined;
  readonly router: { readonly suppressEnvoyHeaders: boolean };
  private readonly chains: FilterChains;
  private readonly runtime: Runtime;
  private readonly listenerName: string;
  private readonly onClose: (connection: Connection) => void;
  private readonly connections = new Set<ServerConnection>();
  /** Streams of HTTP/1 whose request is over, the last one on top: it is the likeliest to lie in the cache. */
  private readonly spareStreams: HttpStream[] = [];
  /** Stands where an idle connection has no stream; nothing is ever asked of it. */
  readonly noStream: HttpStream;
  /** Reads the heads of all connections of HTTP/1: none outlives the event in which it came. */
  readonly headParser: HeadParser;
  /** Undefined until the first connection speaks HTTP/2. */
  http2: Http2Side | undefined = undefined;
  /** Set once the manager drains. */
  private drainIdleMs: number | undefined = undefined;
  private readonly drainsUnhealthy: boolean;

  private constructor(options: ConnectionManagerOptions, chains: FilterChains, tracing: ManagerTracing | undefined) {
    const { config, runtime } = options;
    this.chains = chains;
    this.config = config;
    this.runtime = runtime;
    this.settings = resolveSettings(config, options.bufferLimitBytes);
    this.headParser = new HeadParser(this.settings.headLimits);
    this.stats = new HttpStats(runtime.stats.scope(`http.${config.stat_prefix}`));
    this.clusters = runtime.clusters;
    this.node = runtime.facts.node;
    this.overload = runtime.overload;
    this.managerTracing = tracing;
    this.tracing = tracing?.http;
    this.log = runtime.log.component('http');
    this.listenerName = options.listenerName;
    this.drainsUnhealthy = options.drainsUnhealthy;
    this.onClose = options.onClose;
    if (config.access_log.length > 0) {
      const logger = compileAccessLogs(config.access_log, { log: this.log, stats: runtime.stats });
      this.accessLog = runtime.probe === undefined ? logger : runtime.probe.accessLog(logger);
    }
    const ranges = config.internal_address_config?.cidr_ranges ?? [];
    this.internalAddresses = ranges.length === 0 ? undefined : new CidrSet(ranges);
    this.normalizePath = compilePathNormalizer(config);
    this.normalizeAuthority = compileAuthorityNormalizer(config);
    this.rewriteLocalReply = compileLocalReplies(config.local_reply_config);
    const router = config.http_filters.find((filter) => filter.typed_config.type === ROUTER)?.typed_config.value;
    this.router = { suppressEnvoyHeaders: (router as RouterConfig | undefined)?.suppress_envoy_headers ?? false };
    this.routes = compileRouteConfiguration(config.route_config as NonNullable<typeof config.route_config>, {
      suppressEnvoyHeaders: this.router.suppressEnvoyHeaders,
    });
    for (const entry of this.routes.entries) {
      entry.traceRules = this.tracing?.compileRoute(entry.tracing, entry.decorator);
      chains.override(entry.perFilterConfigs, (chain) => {
        entry.chain = chain;
      });
    }
    this.noStream = new HttpStream(this, NO_CONNECTION);
  }

  /** @throws what loading filters, compiling routes or opening logs throws */
  static async create(options: ConnectionManagerOptions): Promise<ConnectionManager> {
    const { config, definitions, runtime } = options;
    const stats = runtime.stats.scope(`http.${config.stat_prefix}`);
    const chains = await FilterChains.create(config.http_filters, definitions, runtime, stats);
    const tracing = config.tracing === undefined ? undefined : await createManagerTracing(options, stats);
    const manager = new ConnectionManager(options, chains, tracing);
    if (config.codec_type === 'HTTP2') await manager.loadHttp2();
    return manager;
  }

  get baseChain(): FilterChain {
    return this.chains.base;
  }

  /** Names of the HTTP filters in order, for the admin server. */
  get filterNames(): readonly string[] {
    return this.chains.base.filters.map((filter) => filter.name);
  }

  /** The next response on each connection is its last one. */
  get endsConnections(): boolean {
    return this.overload.endsKeepAlive || this.drains;
  }

  private get drains(): boolean {
    return this.drainIdleMs !== undefined || (this.drainsUnhealthy && !this.runtime.facts.healthy());
  }

  /** A response of HTTP/1 ends its connection for that reason. */
  countEnding(): void {
    if (this.drains) this.stats.downstreamCxDrainClose.inc();
    else this.stats.downstreamCxOverloadDisableKeepalive.inc();
  }

  get activeConnections(): number {
    return this.connections.size;
  }

  /** Custom filters follow their files from now on. */
  watchFilters(): Promise<void> {
    return this.chains.watch();
  }

  /** Serves an accepted connection, whose network filters agreed. */
  serve(connection: Connection, info: ConnectionInfo): void {
    const { stats } = this;
    stats.downstreamCxTotal.inc();
    stats.downstreamCxActive.inc();
    const { codec_type: codec } = this.config;
    const alpn = info.tls?.alpn ?? '';
    if (codec === 'HTTP1' || alpn === 'http/1.1') {
      this.serveHttp1(connection, info);
    } else {
      const sniffer = new ProtocolSniffer(connection, info, this);
      this.adopt(sniffer, sniffer);
      if (codec === 'HTTP2' || alpn === 'h2') sniffer.serveHttp2(undefined);
    }
    connection.resume();
  }

  async loadHttp2(): Promise<void> {
    const { Http2Side } = await import('./http2/server-side.ts');
    this.http2 ??= new Http2Side(this.config, this.runtime.stats.root);
  }

  /** The connection speaks HTTP/1. */
  serveHttp1(connection: Connection, info: ConnectionInfo): void {
    this.stats.downstreamCxHttp1Total.inc();
    this.stats.downstreamCxHttp1Active.inc();
    const server = new Http1ServerConnection(connection, this, info);
    this.adopt(server, server);
  }

  /** `server` takes the connection over from whom it had before. */
  adopt(server: ServerConnection, handler: ConnectionHandler): void {
    this.connections.add(server);
    server.connection.handler = handler;
    if (this.drainIdleMs !== undefined) server.drain(this.drainIdleMs);
  }

  /** The connection showed what it speaks: another one has taken it over. */
  release(server: ServerConnection): void {
    this.connections.delete(server);
  }

  /** A stream for a request of HTTP/1: one that served another connection before, while that one idles. */
  takeStream(codec: DownstreamCodec, info: ConnectionInfo): HttpStream {
    const spare = this.spareStreams.pop();
    const stream = spare ?? new HttpStream(this, info);
    if (spare !== undefined) stream.serveConnection(info);
    stream.codec = codec;
    return stream;
  }

  /** Its request is over. */
  returnStream(stream: HttpStream): void {
    if (!stream.isReusable || this.spareStreams.length >= MAX_SPARE_STREAMS) return;
    stream.reset();
    this.spareStreams.push(stream);
  }

  /** The stream for the connection's next request, in HTTP/2. */
  nextStream(previous: HttpStream): HttpStream {
    if (previous.isReusable) {
      previous.reset();
      return previous;
    }
    const stream = new HttpStream(this, previous.connection);
    stream.codec = previous.codec;
    return stream;
  }

  onConnectionClosed(server: ServerConnection, durationMs: number): void {
    const { stats } = this;
    this.connections.delete(server);
    stats.downstreamCxActive.dec();
    if (server.protocol === 'HTTP/2') stats.downstreamCxHttp2Active.dec();
    else if (server.protocol === 'HTTP/1') stats.downstreamCxHttp1Active.dec();
    stats.countDestroyed(server.endedByPeer, server.cutShort);
    stats.downstreamCxLengthMs.record(durationMs);
    stats.downstreamCxTxBytesTotal.add(server.connection.bytesWritten);
    this.onClose(server.connection);
  }

  /** A filter refused the request. */
  onDenied(stream: StreamCore, filter: string): void {
    this.runtime.denials.record(stream, this.listenerName, filter);
  }

  onFilterError(filter: ConfiguredFilter, error: unknown, stream: StreamCore): void {
    this.stats.filterErrors.inc();
    this.log.error(`filter ${filter.name} failed`, {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      path: stream.request.path,
      outcome: filter.onError === 'open' ? 'the request went on without it' : 'the request was answered with 500',
    });
  }

  /**
   * The next response on each connection is its last one; idle ones end after `idleGraceMs`. Clients that all connect
   * anew at once are a burst: `overMs` spreads them evenly over a time.
   */
  drain(idleGraceMs: number, overMs = 0): void {
    if (overMs > 0) {
      drainGradually(this.connections, overMs, (server) => {
        if (server === undefined) this.drain(idleGraceMs);
        else server.drain(idleGraceMs);
      });
      return;
    }
    this.drainIdleMs = idleGraceMs;
    for (const server of [...this.connections]) server.drain(idleGraceMs);
  }

  /** Ends what is left. */
  closeConnections(): void {
    for (const server of [...this.connections]) server.connection.destroy();
  }

  dispose(): void {
    this.chains.dispose();
    this.accessLog?.dispose();
    this.managerTracing?.release();
  }
}

/** Loaded when a configuration names it. */
async function createManagerTracing(options: ConnectionManagerOptions, stats: StatsScope): Promise<ManagerTracing> {
  const { createTracing } = await import('../observe/tracing/index.ts');
  const { config, runtime, isEgress } = options;
  const ids = config.request_id_extension?.typed_config.value as UuidRequestIdConfig | undefined;
  return createTracing(
    {
      config: config.tracing as NonNullable<typeof config.tracing>,
      isEgress,
      requestIds: ids ?? { pack_trace_reason: true, use_request_id_for_trace_sampling: true },
      stats,
    },
    { stats: runtime.stats, calls: runtime.calls, node: runtime.facts.node },
    runtime.atClose,
  );
}
