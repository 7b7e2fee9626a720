import * as v from 'valibot';
import { Http2ProtocolOptions } from '../config/schema/http2-protocol-options.ts';
import type { UpstreamEvents } from '../http/codec.ts';
import { Http2ClientConnection, type Http2ClientOwner } from '../http/http2/client-connection.ts';
import { type Http2Options, resolveHttp2Options } from '../http/http2/options.ts';
import { Http2Stats } from '../http/http2/stats.ts';
import type { Connection } from '../network/connection.ts';
import { timers } from '../network/timer.ts';
import type { Cluster } from './cluster.ts';
import { countClosed } from './connect.ts';
import { ConnectionAge } from './connection-age.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { Endpoint } from './endpoint.ts';
import { Http1Pool, type PoolOptions } from './http1-pool.ts';
import type { RoutingPriority } from './limits.ts';

/** Streams that a connection under way is expected to take. */
const EXPECTED_STREAMS = 100;

/** How a cluster speaks HTTP/2; `config` undefined means the defaults. */
export function resolveClusterHttp2(
  config: Http2ProtocolOptions | undefined,
  limits: { readonly maxHeaderBytes: number; readonly maxHeaderCount: number },
): Http2Options {
  return resolveHttp2Options(config ?? v.parse(Http2ProtocolOptions, {}), limits);
}

const HTTP2_ONLY = ['h2'] as const;
const HTTP2_OR_HTTP1 = ['h2', 'http/1.1'] as const;

/** How the pools of a cluster speak HTTP/2. */
export interface Http2PoolOptions {
  readonly http2: Http2Options;
  /** The server may choose HTTP/1.1 in the handshake (`auto_config`). */
  readonly mayFallBack: boolean;
}

/**
 * HTTP/2 connections to one endpoint: exchanges share the first one that has room. Another one is opened when those
 * that are there are full, or were told to take no more.
 */
export class Http2Pool extends ConnectionPool implements Http2ClientOwner {
  private readonly options: PoolOptions;
  private readonly http2: Http2PoolOptions;
  private readonly priority: RoutingPriority;
  private readonly stats: Http2Stats;
  private readonly connections: Http2ClientConnection[] = [];
  /** Only where their age is limited. */
  private readonly ages = new Map<Http2ClientConnection, ConnectionAge>();
  /** The server chose HTTP/1.1. */
  private fallback: Http1Pool | undefined = undefined;

  constructor(
    cluster: Cluster,
    endpoint: Endpoint,
    priority: RoutingPriority,
    options: PoolOptions,
    http2: Http2PoolOptions,
  ) {
    super(cluster, endpoint, priority, http2.mayFallBack ? HTTP2_OR_HTTP1 : HTTP2_ONLY, options.idleTimeoutMs);
    this.options = options;
    this.http2 = http2;
    this.priority = priority;
    this.stats = new Http2Stats(cluster.stats.scope.scope('http2'));
  }

  /** A connection that failed has no room any more: `fresh` need not pass the others over. */
  override acquire(events: UpstreamEvents, fresh: boolean): void {
    if (this.fallback === undefined) super.acquire(events, false);
    else this.fallback.acquire(events, fresh);
  }

  override cancel(events: UpstreamEvents): void {
    super.cancel(events);
    this.fallback?.cancel(events);
  }

  protected override serveNow(events: UpstreamEvents): boolean {
    if (this.waiting.length > 0) return false;
    for (const connection of this.connections) {
      if (connection.room <= 0) continue;
      this.assign(connection, events);
      if (this.options.preconnectRatio > 1) this.connectIfNeeded();
      return true;
    }
    return false;
  }

  private assign(connection: Http2ClientConnection, events: UpstreamEvents): void {
    if (!this.beginRequest(events)) return;
    const reused = connection.exchanges > 0;
    const stream = connection.begin(events);
    if (connection.exchanges >= this.options.maxRequestsPerConnection) {
      this.cluster.stats.upstreamCxMaxRequests.inc();
      connection.goAway();
    }
    events.onUpstreamReady(stream, reused);
  }

  protected override wantedAttempts(): number {
    const { waiting, connections, attempts } = this;
    let room = attempts.size * this.streamsPerConnection;
    let active = 0;
    let isUnsettled = false;
    for (const connection of connections) {
      room += Math.max(0, connection.room);
      active += connection.active;
      if (connection.isUnsettled) isUnsettled = true;
    }
    // A connection that is just there will say how much it takes, which may be enough.
    if (isUnsettled && this.options.preconnectRatio === 1) return 0;
    const streams = Math.ceil((active + waiting.length) * this.options.preconnectRatio);
    return Math.max(0, Math.ceil((streams - active - room) / this.streamsPerConnection));
  }

  private get streamsPerConnection(): number {
    return Math.min(this.http2.http2.maxConcurrentStreams, EXPECTED_STREAMS);
  }

  protected override expectedRoom(): number {
    if (this.connections.some((connection) => !connection.goingAway)) return this.waiting.length;
    return this.attempts.size * this.streamsPerConnection;
  }

  protected override get connectionCount(): number {
    return this.connections.length;
  }

  protected override adopt(socket: Connection): void {
    if (this.http2.mayFallBack && socket.tls?.alpn !== 'h2') {
      this.fallBack(socket);
      return;
    }
    this.cluster.stats.upstreamCxHttp2Total.inc();
    const connection = new Http2ClientConnection(socket, this, this.http2.http2, this.stats);
    this.connections.push(connection);
    const { maxConnectionDurationMs } = this.options;
    if (maxConnectionDurationMs > 0)
      this.ages.set(connection, new ConnectionAge(maxConnectionDurationMs, () => this.onOld(connection)));
    this.offer(connection);
    // Whoever waited when the pool was drained is served; nobody comes after them.
    if (this.draining || this.endpoint.removed) connection.drain();
    else if (connection.active === 0) this.startSweep();
  }

  private onOld(connection: Http2ClientConnection): void {
    if (connection.stopped) return;
    this.cluster.stats.upstreamCxMaxDurationReached.inc();
    connection.drain();
  }

  /** From now on the endpoint is spoken to in HTTP/1.1, which its server chose. */
  private fallBack(socket: Connection): void {
    this.fallback ??= new Http1Pool(this.cluster, this.endpoint, this.priority, this.options);
    this.fallback.client = this.client;
    // First, so that whoever waits finds a connection rather than asks for another one.
    this.fallback.adopt(socket);
    for (let events = this.takeWaiting(); events !== undefined; events = this.takeWaiting())
      this.fallback.acquire(events, false);
    if (this.draining) this.fallback.drain();
  }

  private offer(connection: Http2ClientConnection): void {
    while (connection.room > 0) {
      const events = this.takeWaiting();
      if (events === undefined) return;
      this.assign(connection, events);
    }
    this.connectIfNeeded();
  }

  // ── from the connections ──

  onExchangeEnd(connection: Http2ClientConnection): void {
    this.endRequest();
    if (this.waiting.length > 0) this.offer(connection);
    else if (connection.active === 0) this.startSweep();
  }

  onLimits(connection: Http2ClientConnection): void {
    if (this.waiting.length > 0) this.offer(connection);
  }

  onGoingAway(_connection: Http2ClientConnection): void {
    if (this.waiting.length > 0) this.connectIfNeeded();
  }

  onReset(): void {
    this.cluster.stats.upstreamRqTxReset.inc();
  }

  onConnectionClosed(connection: Http2ClientConnection): void {
    const { stats } = this.cluster;
    if (connection.cutShort) stats.countDestroyedWithActiveRq(connection.endedByPeer);
    if (connection.closeNotified) stats.upstreamCxCloseNotify.inc();
    const index = this.connections.indexOf(connection);
    if (index >= 0) this.connections.splice(index, 1);
    const age = this.ages.get(connection);
    if (age !== undefined) timers.cancel(age);
    this.ages.delete(connection);
    stats.upstreamCxRxBytesTotal.add(connection.connection.bytesRead);
    stats.upstreamCxTxBytesTotal.add(connection.connection.bytesWritten);
    stats.upstreamRqPerCx.record(connection.exchanges);
    countClosed(this.cluster, this.endpoint, connection.startedMs, connection.endedByPeer);
    this.limits.connections.release();
    if (this.waiting.length > 0) this.connectIfNeeded();
  }

  // ── the end, and time ──

  /** Closes what has been idle for too long. */
  override sweep(): void {
    const now = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const connection of [...this.connections]) {
      if (connection.active > 0 || connection.stopped) continue;
      const leftMs = connection.idleSinceMs + this.options.idleTimeoutMs - now;
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      this.cluster.stats.upstreamCxIdleTimeout.inc();
      connection.drain();
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.startSweep(nextMs);
  }

  protected override closeIdle(): void {
    for (const connection of [...this.connections]) connection.drain();
    this.fallback?.drain();
  }

  protected override closeAll(): void {
    for (const connection of [...this.connections]) connection.connection.destroy();
    this.fallback?.close();
  }
}
