import type { UpstreamEvents } from '../http/codec.ts';
import {
  Http1ClientConnection,
  type Http1ClientOptions,
  type Http1ClientOwner,
} from '../http/http1/client-connection.ts';
import { nowMs } from '../network/clock.ts';
import type { Connection } from '../network/connection.ts';
import { timers } from '../network/timer.ts';
import type { Cluster } from './cluster.ts';
import { countClosed } from './connect.ts';
import { ConnectionAge } from './connection-age.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { Endpoint } from './endpoint.ts';
import type { RoutingPriority } from './limits.ts';

const HTTP1_ONLY = ['http/1.1'] as const;

/** What the pools of a cluster have in common, computed once per cluster. */
export interface PoolOptions {
  readonly client: Http1ClientOptions;
  /** 0 keeps idle connections for ever. */
  readonly idleTimeoutMs: number;
  /** From the begin of a connection until it takes no more requests; 0 is no limit. */
  readonly maxConnectionDurationMs: number;
  readonly maxRequestsPerConnection: number;
  /** Streams for which an endpoint has connections, for each stream there is (`per_upstream_preconnect_ratio`). */
  readonly preconnectRatio: number;
}

/** HTTP/1 connections to one endpoint: an exchange each, and idle ones are reused, the last used first. */
export class Http1Pool extends ConnectionPool implements Http1ClientOwner {
  private readonly options: PoolOptions;
  private readonly idle: Http1ClientConnection[] = [];
  private readonly connections = new Set<Http1ClientConnection>();
  /** Only where their age is limited. */
  private readonly ages = new Map<Http1ClientConnection, ConnectionAge>();
  /** Connections whose exchange is their last one. */
  private readonly old = new Set<Http1ClientConnection>();

  constructor(cluster: Cluster, endpoint: Endpoint, priority: RoutingPriority, options: PoolOptions) {
    super(cluster, endpoint, priority, HTTP1_ONLY, options.idleTimeoutMs);
    this.options = options;
  }

  protected override serveNow(events: UpstreamEvents): boolean {
    const connection = this.takeIdle();
    if (connection === undefined) return false;
    if (!this.assign(connection, events, true)) this.idle.push(connection);
    else if (this.options.preconnectRatio > 1) this.connectIfNeeded();
    return true;
  }

  private takeIdle(): Http1ClientConnection | undefined {
    for (;;) {
      const connection = this.idle.pop();
      if (connection === undefined || !connection.connection.closed) return connection;
    }
  }

  protected override wantedAttempts(): number {
    const active = this.connections.size - this.idle.length;
    const ahead = Math.ceil((active + this.waiting.length) * this.options.preconnectRatio) - this.connections.size;
    // Who waits although connections are idle asked for a fresh one.
    return Math.max(this.waiting.length, ahead) - this.attempts.size;
  }

  protected override expectedRoom(): number {
    return this.attempts.size;
  }

  protected override get connectionCount(): number {
    return this.connections.size;
  }

  /** Also for a connection that another pool opened, whose server chose HTTP/1.1. */
  override adopt(socket: Connection): void {
    this.cluster.stats.upstreamCxHttp1Total.inc();
    const connection = new Http1ClientConnection(socket, this, this.options.client);
    this.connections.add(connection);
    const { maxConnectionDurationMs } = this.options;
    if (maxConnectionDurationMs > 0)
      this.ages.set(connection, new ConnectionAge(maxConnectionDurationMs, () => this.onOld(connection)));
    this.offer(connection, false);
  }

  private onOld(connection: Http1ClientConnection): void {
    this.cluster.stats.upstreamCxMaxDurationReached.inc();
    if (connection.inUse || !connection.requestDone) this.old.add(connection);
    else connection.connection.destroy();
  }

  private offer(connection: Http1ClientConnection, reused: boolean): void {
    for (let events = this.takeWaiting(); events !== undefined; events = this.takeWaiting()) {
      if (this.assign(connection, events, reused)) return;
    }
    if (this.draining || this.endpoint.removed) {
      connection.connection.destroy();
      return;
    }
    connection.idleSinceMs = nowMs();
    this.idle.push(connection);
    this.startSweep();
  }

  private assign(connection: Http1ClientConnection, events: UpstreamEvents, reused: boolean): boolean {
    if (!this.beginRequest(events)) return false;
    connection.inUse = true;
    connection.begin(events);
    events.onUpstreamReady(connection, reused);
    return true;
  }

  onExchangeEnd(connection: Http1ClientConnection, reusable: boolean): void {
    this.releaseRequest(connection);
    if (!reusable) return;
    if (this.old.has(connection)) {
      connection.connection.destroy();
      return;
    }
    if (connection.exchanges >= this.options.maxRequestsPerConnection) {
      this.cluster.stats.upstreamCxMaxRequests.inc();
      connection.connection.destroy();
      return;
    }
    this.offer(connection, true);
  }

  private releaseRequest(connection: Http1ClientConnection): void {
    if (!connection.inUse) return;
    connection.inUse = false;
    this.endRequest();
  }

  onConnectionClosed(connection: Http1ClientConnection): void {
    const { stats } = this.cluster;
    if (connection.inUse || !connection.requestDone) stats.countDestroyedWithActiveRq(connection.endedByPeer);
    if (connection.closeNotified) stats.upstreamCxCloseNotify.inc();
    this.releaseRequest(connection);
    this.connections.delete(connection);
    const age = this.ages.get(connection);
    if (age !== undefined) {
      timers.cancel(age);
      this.ages.delete(connection);
      this.old.delete(connection);
    }
    const index = this.idle.indexOf(connection);
    if (index >= 0) this.idle.splice(index, 1);
    stats.upstreamCxRxBytesTotal.add(connection.connection.bytesRead);
    stats.upstreamCxTxBytesTotal.add(connection.connection.bytesWritten);
    stats.upstreamRqPerCx.record(connection.exchanges);
    countClosed(this.cluster, this.endpoint, connection.startedMs, connection.endedByPeer);
    this.limits.connections.release();
    if (this.waiting.length > 0) this.connectIfNeeded();
  }

  /** Closes what has been idle for too long. */
  override sweep(): void {
    const now = performance.now();
    const deadline = now - this.options.idleTimeoutMs;
    while (this.idle.length > 0 && (this.idle[0] as Http1ClientConnection).idleSinceMs <= deadline) {
      this.cluster.stats.upstreamCxIdleTimeout.inc();
      (this.idle.shift() as Http1ClientConnection).connection.destroy();
    }
    const oldest = this.idle[0];
    if (oldest !== undefined) this.startSweep(oldest.idleSinceMs - deadline);
  }

  protected override closeIdle(): void {
    for (const connection of this.idle.splice(0)) connection.connection.destroy();
  }

  protected override closeAll(): void {
    for (const connection of [...this.connections]) connection.connection.destroy();
  }
}
