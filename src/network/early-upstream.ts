import type { Cluster } from '../upstream/cluster.ts';
import { ConnectAttempt, type ConnectEvents, type ConnectFailure, countClosed } from '../upstream/connect.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Connection } from './connection.ts';
import type { ConnectionRecord } from './connection-record.ts';

/** A connection that an early one has become, with what came of it. */
export interface ReadyUpstream {
  readonly connection: Connection;
  readonly endpoint: Endpoint;
  /** What the server said first; undefined when it said nothing yet. */
  readonly firstBytes: Buffer | undefined;
}

/**
 * A connection to an endpoint that is made before it is clear that the client will be served by it: to hear whether the
 * server speaks first. It counts as any other, also to the circuit breaker. Either a session takes it over, or it is
 * released. Its server's bytes wait until then: at most one read, then reading stops.
 */
export class EarlyUpstream implements ConnectEvents {
  readonly cluster: Cluster;
  private readonly endpoint: Endpoint;
  private readonly onSpoke: () => void;
  private attempt: ConnectAttempt | undefined;
  private connection: Connection | undefined = undefined;
  private firstBytes: Buffer | undefined = undefined;
  private startedMs = 0;
  private holdsLimit = true;

  private constructor(cluster: Cluster, endpoint: Endpoint, record: ConnectionRecord, onSpoke: () => void) {
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.onSpoke = onSpoke;
    this.attempt = new ConnectAttempt(cluster, endpoint, this, undefined, record.connection);
  }

  /**
   * Undefined where no endpoint can be had, or the circuit breaker is open: nothing is lost by waiting for the client.
   * @param onSpoke the server has said something; it is called at most once, and not after `take` or `release`.
   */
  static connect(
    cluster: Cluster,
    endpoint: Endpoint | undefined,
    record: ConnectionRecord,
    onSpoke: () => void,
  ): EarlyUpstream | undefined {
    if (endpoint === undefined || !cluster.limits.DEFAULT.connections.tryAcquire()) return undefined;
    return new EarlyUpstream(cluster, endpoint, record, onSpoke);
  }

  onConnected(connection: Connection): void {
    this.attempt = undefined;
    this.startedMs = performance.now();
    this.connection = connection;
    connection.handler = this;
    connection.resume();
  }

  /** Whoever serves the client tries again, and reports it. */
  onConnectFailure(failure: ConnectFailure): void {
    this.attempt = undefined;
    if (failure.timedOut) this.endpoint.failureMonitor?.onTimeout();
    else this.endpoint.failureMonitor?.onFailure();
    this.letGoOfLimit();
  }

  onData(buffer: Buffer, length: number): void {
    this.connection?.pause();
    this.firstBytes = Buffer.from(buffer.subarray(0, length));
    this.onSpoke();
  }

  /** It has nothing to say, and will not have. */
  onEnd(): void {
    this.connection?.destroy();
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    const { connection } = this;
    if (connection === undefined) return;
    this.connection = undefined;
    const { stats } = this.cluster;
    stats.upstreamCxRxBytesTotal.add(connection.bytesRead);
    stats.upstreamCxTxBytesTotal.add(connection.bytesWritten);
    countClosed(this.cluster, this.endpoint, this.startedMs, error !== undefined);
    this.letGoOfLimit();
  }

  private letGoOfLimit(): void {
    if (this.holdsLimit) this.cluster.limits.DEFAULT.connections.release();
    this.holdsLimit = false;
  }

  /**
   * The connection, which is the caller's from now on, as is its place among those of the circuit breaker; undefined when
   * there is none (yet).
   */
  take(): ReadyUpstream | undefined {
    const { connection, endpoint, firstBytes } = this;
    if (connection === undefined || connection.closed) {
      this.release();
      return undefined;
    }
    connection.pause();
    this.connection = undefined;
    this.holdsLimit = false;
    return { connection, endpoint, firstBytes };
  }

  /** Nobody needs it. */
  release(): void {
    this.attempt?.cancel();
    if (this.attempt !== undefined) this.letGoOfLimit();
    this.attempt = undefined;
    this.connection?.destroy();
  }
}
