import type { UpstreamEvents } from '../http/codec.ts';
import {
  Http1ClientConnection,
  type Http1ClientOptions,
  type Http1ClientOwner,
} from '../http/http1/client-connection.ts';
import type { Connection } from '../network/connection.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { Cluster } from './cluster.ts';
import { ConnectAttempt, type ConnectEvents, type ConnectFailure, countClosed } from './connect.ts';
import type { Endpoint } from './endpoint.ts';
import type { ResourceLimits, RoutingPriority } from './limits.ts';

/** What the pools of a cluster have in common, computed once per cluster. */
export interface PoolOptions {
  readonly client: Http1ClientOptions;
  /** 0 keeps idle connections for ever. */
  readonly idleTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
}

/** Closes connections that nobody used for the idle timeout. */
class IdleSweep extends TimerEntry {
  private readonly pool: Http1Pool;

  constructor(pool: Http1Pool) {
    super();
    this.pool = pool;
  }

  override onTimeout(): void {
    this.pool.sweep();
  }
}

/** A connection that is being opened for the pool. */
class PoolAttempt implements ConnectEvents {
  readonly attempt: ConnectAttempt;
  private readonly pool: Http1Pool;

  constructor(pool: Http1Pool) {
    this.pool = pool;
    this.attempt = new ConnectAttempt(pool.cluster, pool.endpoint, this);
  }

  onConnected(connection: Connection): void {
    this.pool.onConnected(this, connection);
  }

  onConnectFailure(failure: ConnectFailure): void {
    this.pool.onConnectFailure(this, failure);
  }

  // The client connection takes the handler's place as soon as it exists.
  onData(): void {}
  onEnd(): void {}
  onDrain(): void {}
  onClose(): void {}
}

/**
 * HTTP/1 connections to one endpoint for one routing priority: idle ones are reused, the last used first; requests
 * wait in a bounded queue for a new one.
 */
export class Http1Pool implements Http1ClientOwner {
  readonly cluster: Cluster;
  readonly endpoint: Endpoint;
  private readonly limits: ResourceLimits;
  private readonly options: PoolOptions;
  private readonly idle: Http1ClientConnection[] = [];
  private readonly connections = new Set<Http1ClientConnection>();
  private readonly attempts = new Set<PoolAttempt>();
  private readonly waiting: UpstreamEvents[] = [];
  private readonly idleSweep = new IdleSweep(this);
  private draining = false;

  constructor(cluster: Cluster, endpoint: Endpoint, priority: RoutingPriority, options: PoolOptions) {
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.limits = cluster.limits[priority];
    this.options = options;
  }

  /**
   * Gets a connection for one exchange: `onUpstreamReady` is called at once when one is idle, later otherwise, or
   * `onUpstreamReset` says why not. `fresh` passes idle connections over, for a retry after one of them was dead.
   */
  acquire(events: UpstreamEvents, fresh: boolean): void {
    const stats = this.cluster.stats;
    if (!this.limits.requests.canAcquire()) {
      stats.upstreamRqActiveOverflow.inc();
      events.onUpstreamReset('overflow', '', false);
      return;
    }
    const connection = fresh ? undefined : this.takeIdle();
    if (connection !== undefined) {
      if (!this.assign(connection, events, true)) this.idle.push(connection);
      return;
    }
    if (!this.limits.pendingRequests.tryAcquire()) {
      stats.upstreamRqPendingOverflow.inc();
      events.onUpstreamReset('overflow', '', false);
      return;
    }
    stats.upstreamRqPendingTotal.inc();
    stats.upstreamRqPendingActive.inc();
    this.waiting.push(events);
    this.connectIfNeeded();
  }

  private takeIdle(): Http1ClientConnection | undefined {
    for (;;) {
      const connection = this.idle.pop();
      if (connection === undefined || !connection.connection.closed) return connection;
    }
  }

  /** Takes a request out of the queue again. */
  cancel(events: UpstreamEvents): void {
    const index = this.waiting.indexOf(events);
    if (index < 0) return;
    this.waiting.splice(index, 1);
    this.releasePending();
    this.cluster.stats.upstreamRqCancelled.inc();
  }

  private releasePending(): void {
    this.limits.pendingRequests.release();
    this.cluster.stats.upstreamRqPendingActive.dec();
  }

  private connectIfNeeded(): void {
    while (this.attempts.size < this.waiting.length) {
      if (!this.limits.connections.tryAcquire()) {
        this.cluster.stats.upstreamCxOverflow.inc();
        // Above the limit an endpoint without any connection gets one, or its queue would wait for ever (as Envoy does).
        if (this.connections.size + this.attempts.size > 0) return;
        this.limits.connections.acquire();
      }
      this.attempts.add(new PoolAttempt(this));
    }
  }

  onConnected(attempt: PoolAttempt, socket: Connection): void {
    this.attempts.delete(attempt);
    this.cluster.stats.upstreamCxHttp1Total.inc();
    const connection = new Http1ClientConnection(socket, this, this.options.client);
    this.connections.add(connection);
    this.offer(connection, false);
  }

  onConnectFailure(attempt: PoolAttempt, failure: ConnectFailure): void {
    this.attempts.delete(attempt);
    this.limits.connections.release();
    // The requests that this attempt would have served fail with it; those behind it keep theirs.
    const failed = this.waiting.splice(0, Math.max(0, this.waiting.length - this.attempts.size));
    for (const events of failed) {
      this.releasePending();
      this.cluster.stats.upstreamRqPendingFailureEject.inc();
      events.onUpstreamReset(failure.timedOut ? 'connection_timeout' : 'connection_failure', failure.reason, false);
    }
  }

  private offer(connection: Http1ClientConnection, reused: boolean): void {
    for (let events = this.waiting.shift(); events !== undefined; events = this.waiting.shift()) {
      this.releasePending();
      if (this.assign(connection, events, reused)) return;
    }
    if (this.draining || this.endpoint.removed) {
      connection.connection.destroy();
      return;
    }
    connection.idleSinceMs = performance.now();
    this.idle.push(connection);
    if (this.options.idleTimeoutMs > 0 && !this.idleSweep.started)
      timers.start(this.idleSweep, this.options.idleTimeoutMs);
  }

  /** False when there are too many requests: those that waited for their connections count from here only. */
  private assign(connection: Http1ClientConnection, events: UpstreamEvents, reused: boolean): boolean {
    const { stats } = this.cluster;
    if (!this.limits.requests.tryAcquire()) {
      stats.upstreamRqActiveOverflow.inc();
      events.onUpstreamReset('overflow', '', false);
      return false;
    }
    stats.upstreamRqTotal.inc();
    stats.upstreamRqActive.inc();
    this.endpoint.activeRequests++;
    this.endpoint.stats.rqTotal++;
    connection.inUse = true;
    connection.begin(events);
    events.onUpstreamReady(connection, reused);
    return true;
  }

  onExchangeEnd(connection: Http1ClientConnection, reusable: boolean): void {
    this.releaseRequest(connection);
    if (!reusable) return;
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
    this.limits.requests.release();
    this.cluster.stats.upstreamRqActive.dec();
    this.endpoint.activeRequests--;
  }

  onConnectionClosed(connection: Http1ClientConnection): void {
    const { stats } = this.cluster;
    if (connection.inUse || !connection.requestDone) stats.countDestroyedWithActiveRq(connection.endedByPeer);
    if (connection.closeNotified) stats.upstreamCxCloseNotify.inc();
    this.releaseRequest(connection);
    this.connections.delete(connection);
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
  sweep(): void {
    const now = performance.now();
    const deadline = now - this.options.idleTimeoutMs;
    while (this.idle.length > 0 && (this.idle[0] as Http1ClientConnection).idleSinceMs <= deadline) {
      this.cluster.stats.upstreamCxIdleTimeout.inc();
      (this.idle.shift() as Http1ClientConnection).connection.destroy();
    }
    const oldest = this.idle[0];
    if (oldest !== undefined) timers.start(this.idleSweep, Math.max(1, oldest.idleSinceMs - deadline));
  }

  /** No new exchanges: idle connections end now, the others after theirs. */
  drain(): void {
    this.draining = true;
    timers.cancel(this.idleSweep);
    for (const connection of this.idle.splice(0)) connection.connection.destroy();
  }

  /** Ends everything at once. */
  close(): void {
    this.drain();
    for (const { attempt } of this.attempts) {
      attempt.cancel();
      this.limits.connections.release();
    }
    this.attempts.clear();
    for (const connection of [...this.connections]) connection.connection.destroy();
    for (const events of this.waiting.splice(0)) {
      this.releasePending();
      events.onUpstreamReset('connection_failure', 'shutting down', false);
    }
  }
}
