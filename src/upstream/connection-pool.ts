import type { UpstreamEvents } from '../http/codec.ts';
import type { Connection } from '../network/connection.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { Cluster } from './cluster.ts';
import { ConnectAttempt, type ConnectEvents, type ConnectFailure } from './connect.ts';
import type { Endpoint } from './endpoint.ts';
import type { ResourceLimits, RoutingPriority } from './limits.ts';

/** What the router asks of the connections to an endpoint. */
export interface HttpPool {
  /**
   * Gets a connection for one exchange: `onUpstreamReady` is called at once when one has room, later otherwise, or
   * `onUpstreamReset` says why not. `fresh` passes open connections over, for a retry after one of them failed.
   */
  acquire(events: UpstreamEvents, fresh: boolean): void;
  /** Takes a request out of the queue again. */
  cancel(events: UpstreamEvents): void;
  /** No new exchanges: idle connections end now, the others after theirs. */
  drain(): void;
  /** Ends everything at once. */
  close(): void;
}

/** A connection that is being opened for a pool. */
class PoolAttempt implements ConnectEvents {
  readonly attempt: ConnectAttempt;
  private readonly pool: ConnectionPool;

  constructor(pool: ConnectionPool, alpn: readonly string[]) {
    this.pool = pool;
    this.attempt = new ConnectAttempt(pool.cluster, pool.endpoint, this, alpn, pool.client);
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

/** Closes connections that nobody used for the idle timeout. */
class IdleSweep extends TimerEntry {
  private readonly pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    super();
    this.pool = pool;
  }

  override onTimeout(): void {
    this.pool.sweep();
  }
}

/**
 * Connections to one endpoint for one routing priority. What pools of every protocol share: the circuit breakers,
 * attempts to connect, and the bounded queue of requests that wait for one.
 */
export abstract class ConnectionPool implements HttpPool {
  readonly cluster: Cluster;
  readonly endpoint: Endpoint;
  /** The one client whose requests it serves, where its connections are announced as that client's. */
  client: ConnectionInfo | undefined = undefined;
  protected readonly limits: ResourceLimits;
  private readonly alpn: readonly string[];
  protected readonly attempts = new Set<PoolAttempt>();
  protected readonly waiting: UpstreamEvents[] = [];
  protected draining = false;
  private readonly idleTimeoutMs: number;
  private readonly idleSweep = new IdleSweep(this);

  /**
   * @param alpn what a TLS handshake offers, the favourite first
   * @param idleTimeoutMs 0 keeps idle connections for ever
   */
  constructor(
    cluster: Cluster,
    endpoint: Endpoint,
    priority: RoutingPriority,
    alpn: readonly string[],
    idleTimeoutMs: number,
  ) {
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.limits = cluster.limits[priority];
    this.alpn = alpn;
    this.idleTimeoutMs = idleTimeoutMs;
  }

  /** Serves the request on an open connection. False: none has room. */
  protected abstract serveNow(events: UpstreamEvents): boolean;
  /** How many connections, those on their way included, the requests that wait and run call for. */
  protected abstract wantedAttempts(): number;
  /** Requests that the attempts under way, and open connections that will have room, can serve. */
  protected abstract expectedRoom(): number;
  protected abstract get connectionCount(): number;
  /** A connection is there: requests that wait go on it. */
  protected abstract adopt(connection: Connection): void;
  protected abstract closeIdle(): void;
  protected abstract closeAll(): void;

  acquire(events: UpstreamEvents, fresh: boolean): void {
    const { stats } = this.cluster;
    if (!this.limits.requests.canAcquire()) {
      stats.upstreamRqActiveOverflow.inc();
      events.onUpstreamReset('overflow', '', false);
      return;
    }
    if (!fresh && this.serveNow(events)) return;
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

  cancel(events: UpstreamEvents): void {
    const index = this.waiting.indexOf(events);
    if (index < 0) return;
    this.waiting.splice(index, 1);
    this.releasePending();
    this.cluster.stats.upstreamRqCancelled.inc();
  }

  /** The request that waited longest; it waits no more. */
  protected takeWaiting(): UpstreamEvents | undefined {
    const events = this.waiting.shift();
    if (events !== undefined) this.releasePending();
    return events;
  }

  private releasePending(): void {
    this.limits.pendingRequests.release();
    this.cluster.stats.upstreamRqPendingActive.dec();
  }

  protected connectIfNeeded(): void {
    for (let wanted = this.wantedAttempts(); wanted > 0; wanted--) {
      if (!this.limits.connections.tryAcquire()) {
        this.cluster.stats.upstreamCxOverflow.inc();
        // Above the limit an endpoint without any connection gets one, or its queue would wait for ever (as Envoy does).
        if (this.connectionCount + this.attempts.size > 0) return;
        this.limits.connections.acquire();
      }
      this.attempts.add(new PoolAttempt(this, this.alpn));
    }
  }

  onConnected(attempt: PoolAttempt, connection: Connection): void {
    this.attempts.delete(attempt);
    this.adopt(connection);
  }

  onConnectFailure(attempt: PoolAttempt, failure: ConnectFailure): void {
    this.attempts.delete(attempt);
    this.limits.connections.release();
    // The requests that this attempt would have served fail with it; those that others can serve keep their place.
    const failed = Math.max(0, this.waiting.length - this.expectedRoom());
    const reason = failure.timedOut ? 'connection_timeout' : 'connection_failure';
    for (let i = 0; i < failed; i++) {
      const events = this.takeWaiting();
      this.cluster.stats.upstreamRqPendingFailureEject.inc();
      events?.onUpstreamReset(reason, failure.reason, false);
    }
  }

  /** Counts a request that begins. False when there are too many: those that waited count from here only. */
  protected beginRequest(events: UpstreamEvents): boolean {
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
    return true;
  }

  protected endRequest(): void {
    this.limits.requests.release();
    this.cluster.stats.upstreamRqActive.dec();
    this.endpoint.activeRequests--;
  }

  /** Closes what has been idle for too long, and starts the next sweep where something is left to close. */
  abstract sweep(): void;

  /** A connection is idle, or will have been for too long in `delayMs`. */
  protected startSweep(delayMs = this.idleTimeoutMs): void {
    if (this.idleTimeoutMs > 0 && !this.idleSweep.started) timers.start(this.idleSweep, Math.max(1, delayMs));
  }

  drain(): void {
    this.draining = true;
    timers.cancel(this.idleSweep);
    this.closeIdle();
  }

  close(): void {
    this.drain();
    for (const { attempt } of this.attempts) {
      attempt.cancel();
      this.limits.connections.release();
    }
    this.attempts.clear();
    this.closeAll();
    for (let events = this.takeWaiting(); events !== undefined; events = this.takeWaiting())
      events.onUpstreamReset('connection_failure', 'shutting down', false);
  }
}
