import type { TcpProxy as TcpProxyConfig } from '../config/schema/tcp-proxy.ts';
import { FLAG } from '../http/response-flags.ts';
import { Hash64, hash64 } from '../matching/hash64.ts';
import { type AccessLogger, compileAccessLogs } from '../observe/access-log/index.ts';
import type { Counter, Gauge, StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';
import type { Connection } from './connection.ts';
import type { ConnectionRecord } from './connection-record.ts';
import { EarlyUpstream } from './early-upstream.ts';
import type { Splicer } from './splicer.ts';
import { TcpSession } from './tcp-session.ts';

/** The `tcp.<stat_prefix>.*` statistics. */
export class TcpStats {
  readonly downstreamCxTotal: Counter;
  readonly downstreamCxNoRoute: Counter;
  readonly downstreamCxRxBytesTotal: Counter;
  readonly downstreamCxTxBytesTotal: Counter;
  readonly idleTimeout: Counter;
  readonly maxDownstreamConnectionDuration: Counter;
  readonly downstreamFlowControlPausedReadingTotal: Counter;
  readonly downstreamFlowControlResumedReadingTotal: Counter;
  readonly splicedCxTotal: Counter;
  readonly splicedCxActive: Gauge;
  readonly splicedBytesTotal: Counter;

  constructor(scope: StatsScope) {
    this.downstreamCxTotal = scope.counter('downstream_cx_total');
    this.downstreamCxNoRoute = scope.counter('downstream_cx_no_route');
    this.downstreamCxRxBytesTotal = scope.counter('downstream_cx_rx_bytes_total');
    this.downstreamCxTxBytesTotal = scope.counter('downstream_cx_tx_bytes_total');
    this.idleTimeout = scope.counter('idle_timeout');
    this.maxDownstreamConnectionDuration = scope.counter('max_downstream_connection_duration');
    this.downstreamFlowControlPausedReadingTotal = scope.counter('downstream_flow_control_paused_reading_total');
    this.downstreamFlowControlResumedReadingTotal = scope.counter('downstream_flow_control_resumed_reading_total');
    this.splicedCxTotal = scope.counter('spliced_cx_total');
    this.splicedCxActive = scope.gauge('spliced_cx_active');
    this.splicedBytesTotal = scope.counter('spliced_bytes_total');
  }
}

/** After so many short sessions in a row, the next ones are not spliced. */
const MANY_SHORT_SESSIONS = 8;
/** A session is short when it ended sooner, and carried less. */
const SHORT_MS = 100;
const SHORT_BYTES = 64 * 1024;

function isShort({ startMs, endMs, bytesReceived, bytesSent }: ConnectionRecord): boolean {
  return endMs - startMs < SHORT_MS && bytesReceived + bytesSent < SHORT_BYTES;
}

/** The terminal filter of TCP mode: joins each accepted connection with one to an endpoint of its cluster. */
export class TcpProxy {
  readonly kind = 'tcp';
  readonly stats: TcpStats;
  readonly clusters: Runtime['clusters'];
  readonly idleTimeoutMs: number;
  private readonly maxDurationMs: number;
  readonly maxConnectAttempts: number;
  /** Waits between connection attempts; undefined tries again at once. */
  readonly backOff: { readonly baseMs: number; readonly maxMs: number } | undefined;
  private readonly maxDurationJitter: number;
  readonly accessLog: AccessLogger | undefined;
  private readonly pickName: () => string;
  private readonly hashesSource: boolean;
  private readonly splicing: Runtime['splicing'];
  /** Short sessions that ended one after the other, with no other between them. */
  private shortSessions = 0;
  private readonly sessions = new Set<TcpSession>();
  private readonly onClose: (connection: Connection) => void;

  constructor(config: TcpProxyConfig, runtime: Runtime, onClose: (connection: Connection) => void) {
    this.stats = new TcpStats(runtime.stats.scope(`tcp.${config.stat_prefix}`));
    this.clusters = runtime.clusters;
    this.idleTimeoutMs = config.idle_timeout;
    this.maxDurationMs = config.max_downstream_connection_duration ?? 0;
    this.maxDurationJitter = (config.max_downstream_connection_duration_jitter_percentage?.value ?? 0) / 100;
    this.maxConnectAttempts = config.max_connect_attempts;
    const backOff = config.backoff_options;
    this.backOff =
      backOff === undefined
        ? undefined
        : { baseMs: backOff.base_interval, maxMs: backOff.max_interval ?? 10 * backOff.base_interval };
    const log = runtime.log.component('tcp');
    this.accessLog =
      config.access_log.length === 0 ? undefined : compileAccessLogs(config.access_log, { log, stats: runtime.stats });
    runtime.probe?.nameTcpProxy(this, config.stat_prefix);
    this.pickName = compilePick(config);
    this.hashesSource = config.hash_policy.length > 0;
    this.splicing = runtime.splicing;
    this.onClose = onClose;
  }

  /**
   * What the next session is spliced with; undefined where it is served in user space. To begin and end a splice takes
   * longer than to serve a session of a few bytes: where sessions are short, they are not spliced.
   */
  get splicer(): Splicer | undefined {
    const { splicing } = this;
    if (splicing === undefined) return undefined;
    return this.shortSessions < MANY_SHORT_SESSIONS || splicing.isForced ? splicing.splicer : undefined;
  }

  get activeConnections(): number {
    return this.sessions.size;
  }

  /** How long a new session may last, 0 for ever. Jitter keeps sessions that began together from ending together. */
  durationLimitMs(): number {
    return this.maxDurationMs * (1 + this.maxDurationJitter * Math.random());
  }

  /** Connects to where the record's connection would go, before it is served. See `EarlyUpstream`. */
  connectEarly(record: ConnectionRecord, onSpoke: () => void): EarlyUpstream | undefined {
    const cluster = this.clusters.get(this.pickName());
    if (cluster === undefined) return undefined;
    return EarlyUpstream.connect(cluster, cluster.pick(this.hashOf(record), 0, record), record, onSpoke);
  }

  private hashOf(record: ConnectionRecord): Hash64 | undefined {
    return this.hashesSource ? hash64(record.remoteAddress, new Hash64()) : undefined;
  }

  serve(connection: Connection, record: ConnectionRecord): void {
    this.stats.downstreamCxTotal.inc();
    const name = record.earlyUpstream?.cluster.name ?? this.pickName();
    const session = new TcpSession(this, connection, record, name, this.hashOf(record));
    this.sessions.add(session);
    session.start();
  }

  /** Called by the session when both of its sides are gone. */
  onSessionEnd(session: TcpSession): void {
    this.sessions.delete(session);
    this.shortSessions = isShort(session.record) ? this.shortSessions + 1 : 0;
    this.stats.downstreamCxRxBytesTotal.add(session.record.bytesReceived);
    this.stats.downstreamCxTxBytesTotal.add(session.record.bytesSent);
    this.accessLog?.log(session.record);
    this.onClose(session.downstream);
  }

  closeConnections(): void {
    for (const session of [...this.sessions]) session.close(FLAG.DO, 'listener_drained');
  }

  dispose(): void {
    this.accessLog?.dispose();
  }
}

function compilePick(config: TcpProxyConfig): () => string {
  const weighted = config.weighted_clusters?.clusters;
  if (weighted === undefined) {
    const name = config.cluster ?? '';
    return () => name;
  }
  const total = weighted.reduce((sum, cluster) => sum + cluster.weight, 0);
  return () => {
    let ticket = Math.random() * total;
    for (const cluster of weighted) {
      ticket -= cluster.weight;
      if (ticket < 0) return cluster.name;
    }
    return weighted[weighted.length - 1]?.name ?? '';
  };
}
