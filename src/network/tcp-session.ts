import { FLAG } from '../http/response-flags.ts';
import type { Hash64 } from '../matching/hash64.ts';
import type { Cluster } from '../upstream/cluster.ts';
import { ConnectAttempt, type ConnectEvents, type ConnectFailure, countClosed } from '../upstream/connect.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { BulkReader, drainSoon } from './bulk-reader.ts';
import { nowMs } from './clock.ts';
import type { Connection, ConnectionHandler } from './connection.ts';
import type { ConnectionRecord } from './connection-record.ts';
import type { ReadyUpstream } from './early-upstream.ts';
import { localEndOf } from './local-end.ts';
import type { SplicedDirection } from './spliced-direction.ts';
import type { SplicedPair } from './spliced-pair.ts';
import type { TcpProxy } from './tcp-proxy.ts';
import { TimerEntry, timers } from './timer.ts';

/** One of the two directions of a session: reads from one side, writes to the other. */
class Direction implements ConnectionHandler {
  readonly session: TcpSession;
  readonly isDownstream: boolean;
  private readonly reader: BulkReader;
  private readonly source: Connection;
  ended = false;
  /** The other side does not take bytes as fast as they come: nothing is read. */
  private waiting = false;
  /** Set while the kernel forwards what it can; the rest comes here. */
  splice: SplicedDirection | undefined = undefined;

  constructor(session: TcpSession, source: Connection, isDownstream: boolean) {
    this.session = session;
    this.source = source;
    this.isDownstream = isDownstream;
    this.reader = new BulkReader(source);
  }

  onData(buffer: Buffer, length: number): void {
    const { session } = this;
    session.count(this.isDownstream, length);
    const sink = session.peerOf(this.isDownstream);
    if (sink === undefined) return;
    if (this.reader.forward(buffer, length, sink)) {
      if (this.splice?.onTaken(length) === true) this.reader.stop();
      return;
    }
    this.splice?.onWaiting(length);
    this.source.pause();
    if (!this.waiting) session.countPaused(this.isDownstream);
    this.waiting = true;
  }

  onEnd(): void {
    this.ended = true;
    this.session.onEndOf(this.isDownstream);
  }

  /** The other side took everything. */
  readOn(): void {
    if (this.waiting) this.session.countResumed(this.isDownstream);
    this.waiting = false;
    if (this.splice === undefined || this.splice.onDrained()) this.source.resume();
  }

  /** This side took everything: the other one may read on. */
  onDrain(): void {
    this.session.onDrainOf(this.isDownstream);
  }

  onClose(error: Error | undefined): void {
    this.reader.stop();
    this.session.onCloseOf(this.isDownstream, error);
  }
}

class SessionTimer extends TimerEntry {
  private readonly session: TcpSession;

  constructor(session: TcpSession) {
    super();
    this.session = session;
  }

  override onTimeout(): void {
    this.session.onTimer();
  }
}

/** The wait before the next connection attempt. */
class BackOff extends TimerEntry {
  private readonly session: TcpSession;
  private readonly cluster: Cluster;

  constructor(session: TcpSession, cluster: Cluster) {
    super();
    this.session = session;
    this.cluster = cluster;
  }

  override onTimeout(): void {
    this.session.connect(this.cluster);
  }
}

/**
 * One TCP session: a downstream and an upstream connection and the bytes between them. Each direction ends by itself
 * (half-close), a reset is passed on as a reset, and nothing is read that the other side does not take.
 */
export class TcpSession implements ConnectEvents {
  readonly record: ConnectionRecord;
  readonly downstream: Connection;
  private readonly proxy: TcpProxy;
  private readonly clusterName: string;
  private readonly hash: Hash64 | undefined;
  private readonly timer: SessionTimer;
  private readonly down: Direction;
  private up: Direction | undefined = undefined;
  private upstream: Connection | undefined = undefined;
  private splice: SplicedPair | undefined = undefined;
  private attempt: ConnectAttempt | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private upstreamStartedMs = 0;
  private attempts = 0;
  private backOff: BackOff | undefined = undefined;
  /** 0 is off. */
  private readonly maxDurationMs: number;
  private lastActivityMs: number;
  private downstreamClosed = false;
  private holdsConnectionLimit = false;
  private finished = false;

  constructor(
    proxy: TcpProxy,
    downstream: Connection,
    record: ConnectionRecord,
    clusterName: string,
    hash: Hash64 | undefined,
  ) {
    this.proxy = proxy;
    this.downstream = downstream;
    this.record = record;
    this.clusterName = clusterName;
    this.hash = hash;
    this.timer = new SessionTimer(this);
    this.lastActivityMs = record.startMs;
    this.down = new Direction(this, downstream, true);
    this.maxDurationMs = proxy.durationLimitMs();
  }

  start(): void {
    this.downstream.handler = this.down;
    this.armTimer();
    const cluster = this.proxy.clusters.get(this.clusterName);
    if (cluster === undefined) {
      this.proxy.stats.downstreamCxNoRoute.inc();
      this.close(FLAG.NC, 'cluster_not_found');
      return;
    }
    this.cluster = cluster;
    this.record.upstreamCluster = cluster.name;
    const early = this.record.earlyUpstream?.take();
    this.record.earlyUpstream = undefined;
    if (early === undefined) this.connect(cluster);
    else this.adopt(early);
  }

  /** Goes on with a connection that was made ahead. */
  private adopt({ connection, endpoint, firstBytes }: ReadyUpstream): void {
    this.holdsConnectionLimit = true;
    this.attempts++;
    this.record.upstreamAttemptCount = this.attempts;
    this.endpoint = endpoint;
    this.record.upstreamHost = endpoint.address;
    this.onConnected(connection, firstBytes);
  }

  /** Makes the next attempt. */
  connect(cluster: Cluster): void {
    const endpoint = cluster.pick(this.hash, 0, this.record);
    if (endpoint === undefined) {
      this.close(FLAG.UH, 'no_healthy_upstream');
      return;
    }
    if (!this.holdsConnectionLimit) {
      if (!cluster.limits.DEFAULT.connections.tryAcquire()) {
        cluster.stats.upstreamCxOverflow.inc();
        this.close(FLAG.UO, 'upstream_connection_overflow');
        return;
      }
      this.holdsConnectionLimit = true;
    }
    this.attempts++;
    this.record.upstreamAttemptCount = this.attempts;
    this.endpoint = endpoint;
    this.record.upstreamHost = endpoint.address;
    this.attempt = new ConnectAttempt(cluster, endpoint, this, undefined, this.record.connection);
  }

  onConnected(connection: Connection, firstBytes?: Buffer): void {
    this.attempt = undefined;
    if (this.downstreamClosed) {
      this.upstreamStartedMs = performance.now();
      connection.destroy();
      return;
    }
    this.upstreamStartedMs = performance.now();
    this.upstream = connection;
    this.record.upstreamTls = connection.tls;
    this.record.upstreamLocalAddress = localEndOf(connection);
    this.up = new Direction(this, connection, false);
    connection.handler = this.up;
    const endpoint = this.endpoint as Endpoint;
    endpoint.activeRequests++;
    endpoint.stats.rqTotal++;
    endpoint.failureMonitor?.onTcpConnected();
    if (firstBytes !== undefined) this.up.onData(firstBytes, firstBytes.length);
    // What the client has not taken yet goes before what follows it.
    if (this.downstream.congested) {
      this.downstream.resume();
      return;
    }
    if (this.spliceWith(connection)) return;
    connection.resume();
    this.downstream.resume();
  }

  /** Leaves the forwarding to the kernel where that is possible. */
  private spliceWith(upstream: Connection): boolean {
    const { splicer, stats } = this.proxy;
    this.splice = splicer?.begin(this.downstream, upstream);
    if (this.splice?.active !== true) return false;
    this.down.splice = this.splice.fromDownstream;
    (this.up as Direction).splice = this.splice.fromUpstream;
    stats.splicedCxTotal.inc();
    stats.splicedCxActive.inc();
    this.splice.start();
    return true;
  }

  /** Adds what the kernel has forwarded to what the proxy has. */
  private countSpliced(): void {
    const { splice, upstream, downstream, record } = this;
    if (splice === undefined || upstream === undefined) return;
    const received = splice.fromDownstream.takeRedirected();
    const sent = splice.fromUpstream.takeRedirected();
    this.proxy.stats.splicedBytesTotal.add(received + sent);
    record.bytesReceived += received;
    record.bytesSent += sent;
    downstream.bytesRead += received;
    downstream.bytesWritten += sent;
    upstream.bytesRead += sent;
    upstream.bytesWritten += received;
  }

  onConnectFailure(failure: ConnectFailure): void {
    this.attempt = undefined;
    if (this.downstreamClosed) return;
    const cluster = this.cluster as Cluster;
    if (failure.timedOut) this.endpoint?.failureMonitor?.onTimeout();
    else this.endpoint?.failureMonitor?.onFailure();
    if (this.attempts < this.proxy.maxConnectAttempts) {
      this.connectAgain(cluster);
      return;
    }
    cluster.stats.upstreamCxConnectAttemptsExceeded.inc();
    this.record.upstreamTransportFailureReason = failure.reason;
    this.close(FLAG.UF | FLAG.URX, 'upstream_connection_failure');
  }

  private connectAgain(cluster: Cluster): void {
    const { backOff } = this.proxy;
    if (backOff === undefined) {
      this.connect(cluster);
      return;
    }
    this.backOff ??= new BackOff(this, cluster);
    const spanMs = Math.min(backOff.baseMs * 2 ** Math.min(this.attempts - 1, 30), backOff.maxMs);
    timers.start(this.backOff, Math.max(1, Math.random() * spanMs));
  }

  // Only until a direction takes over: nothing is read before that.
  onData(): void {}
  onEnd(): void {}
  onDrain(): void {}
  /** The upstream connection ended before a direction took it over. */
  onClose(error: Error | undefined): void {
    this.releaseUpstream(error !== undefined);
    this.finishIfOver();
  }

  onDrainOf(fromDownstream: boolean): void {
    const other = fromDownstream ? this.up : this.down;
    other?.readOn();
  }

  peerOf(isDownstream: boolean): Connection | undefined {
    return isDownstream ? this.upstream : this.downstream;
  }

  count(fromDownstream: boolean, bytes: number): void {
    this.lastActivityMs = nowMs();
    if (fromDownstream) this.record.bytesReceived += bytes;
    else this.record.bytesSent += bytes;
  }

  countPaused(isDownstream: boolean): void {
    if (isDownstream) this.proxy.stats.downstreamFlowControlPausedReadingTotal.inc();
    else this.cluster?.stats.upstreamFlowControlPausedReadingTotal.inc();
  }

  countResumed(isDownstream: boolean): void {
    if (isDownstream) this.proxy.stats.downstreamFlowControlResumedReadingTotal.inc();
    else this.cluster?.stats.upstreamFlowControlResumedReadingTotal.inc();
  }

  onCloseOf(isDownstream: boolean, error: Error | undefined): void {
    this.countSpliced();
    if (isDownstream) {
      this.downstreamClosed = true;
      this.attempt?.cancel();
      this.attempt = undefined;
      const { upstream } = this;
      if (upstream !== undefined && !upstream.closed) {
        if (error === undefined) drainSoon(upstream);
        else upstream.reset();
      }
      if (this.record.responseFlags === 0 && upstream === undefined) this.record.responseFlags = FLAG.DC;
    } else {
      this.releaseUpstream(this.up?.ended === true || error !== undefined);
      if (!this.downstreamClosed) {
        if (error !== undefined && this.record.responseFlags === 0) this.record.responseFlags = FLAG.UR;
        if (error === undefined) drainSoon(this.downstream);
        else this.downstream.reset();
      }
    }
    this.finishIfOver();
  }

  private releaseUpstream(byPeer: boolean): void {
    const { cluster, endpoint } = this;
    if (cluster === undefined || endpoint === undefined || this.upstreamStartedMs === 0) return;
    if (this.upstream !== undefined) {
      endpoint.activeRequests--;
      cluster.stats.upstreamCxRxBytesTotal.add(this.upstream.bytesRead);
      cluster.stats.upstreamCxTxBytesTotal.add(this.upstream.bytesWritten);
    }
    countClosed(cluster, endpoint, this.upstreamStartedMs, byPeer);
    this.upstreamStartedMs = 0;
  }

  onEndOf(isDownstream: boolean): void {
    const sink = this.peerOf(isDownstream);
    sink?.end();
    if (!this.down.ended || this.up?.ended !== true) return;
    // Both directions have ended; what is queued still goes out.
    drainSoon(this.downstream);
    if (this.upstream !== undefined) drainSoon(this.upstream);
  }

  private finishIfOver(): void {
    if (this.finished || !this.downstreamClosed || this.upstreamStartedMs !== 0 || this.attempt !== undefined) return;
    this.finished = true;
    if (this.splice !== undefined) this.endSplice(this.splice);
    timers.cancel(this.timer);
    if (this.backOff !== undefined) timers.cancel(this.backOff);
    if (this.holdsConnectionLimit) this.cluster?.limits.DEFAULT.connections.release();
    this.record.endMs = performance.now();
    this.proxy.onSessionEnd(this);
  }

  private endSplice(splice: SplicedPair): void {
    this.countSpliced();
    if (splice.active) this.proxy.stats.splicedCxActive.dec();
    splice.end();
  }

  /** Ends both sides, for a reason of ours. */
  close(flag: number, details: string): void {
    this.record.responseFlags |= flag;
    this.record.connectionTerminationDetails = details;
    this.attempt?.cancel();
    this.attempt = undefined;
    this.upstream?.destroy();
    this.downstream.destroy();
  }

  private armTimer(): void {
    const { maxDurationMs } = this;
    const { idleTimeoutMs } = this.proxy;
    const now = performance.now();
    let delayMs = idleTimeoutMs > 0 ? idleTimeoutMs - (now - this.lastActivityMs) : Number.POSITIVE_INFINITY;
    if (maxDurationMs > 0) delayMs = Math.min(delayMs, maxDurationMs - (now - this.record.startMs));
    if (delayMs !== Number.POSITIVE_INFINITY) timers.start(this.timer, Math.max(1, delayMs), now);
  }

  onTimer(): void {
    const { maxDurationMs } = this;
    const { idleTimeoutMs, stats } = this.proxy;
    const now = performance.now();
    if (this.splice !== undefined) this.lastActivityMs = Math.max(this.lastActivityMs, this.splice.lastActivityMs);
    if (maxDurationMs > 0 && now - this.record.startMs >= maxDurationMs) {
      stats.maxDownstreamConnectionDuration.inc();
      this.close(FLAG.DT, 'max_downstream_connection_duration');
    } else if (idleTimeoutMs > 0 && now - this.lastActivityMs >= idleTimeoutMs) {
      stats.idleTimeout.inc();
      // No flag: Envoy keeps SI for HTTP streams.
      this.close(0, 'idle_timeout');
    } else {
      this.armTimer();
    }
  }
}
