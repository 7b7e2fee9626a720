import { connect, Socket, type SocketConstructorOpts } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Cluster as ClusterConfig } from '../config/schema/cluster.ts';
import { socketFrom } from '../kernel/bound-socket.ts';
import type { Connection, ConnectionHandler } from '../network/connection.ts';
import { flushQueue } from '../network/flush-queue.ts';
import { HandleConnection } from '../network/handle-connection.ts';
import { ipBytes } from '../network/ip.ts';
import { StreamConnection } from '../network/stream-connection.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { ConnectionInfo, TlsInfo } from '../observe/stream-info.ts';
import type { HandshakeEvents, PendingHandshake } from '../tls/handshake.ts';
import type { TlsFailure } from '../tls/tls-failure.ts';
import type { UpstreamTls } from '../tls/upstream-tls.ts';
import type { Cluster } from './cluster.ts';
import type { Endpoint } from './endpoint.ts';

/** Why no connection came about. */
export interface ConnectFailure {
  readonly timedOut: boolean;
  /** Envoy's words: `delayed connect error: Connection refused`, `TLS_error:|…`; '' when the peer gave no reason. */
  readonly reason: string;
}

/** Hears how a connection attempt went; exactly one of the two is called, later than `connectEndpoint` returned. */
export interface ConnectEvents extends ConnectionHandler {
  onConnected(connection: Connection): void;
  onConnectFailure(failure: ConnectFailure): void;
}

/** What connecting needs of a cluster; statistics are counted in these. */
export type ConnectTarget = Pick<Cluster, 'config' | 'connectTimeoutMs' | 'stats' | 'tls' | 'proxyProtocol'>;

const NO_PROTOCOLS: readonly string[] = [];

/** The texts of strerror(3), which Envoy prints. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ETIMEDOUT: 'Connection timed out',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EMFILE: 'Too many open files',
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
};

/**
 * Opens a connection to an endpoint, TLS handshake included, within the cluster's connect timeout. Reading has not begun
 * when `onConnected` is called; `resume` begins it.
 */
export class ConnectAttempt extends TimerEntry implements HandshakeEvents {
  private readonly cluster: ConnectTarget;
  private readonly endpoint: Endpoint;
  private readonly events: ConnectEvents;
  private readonly socket: Socket;
  private readonly alpn: readonly string[];
  private readonly client: ConnectionInfo | undefined;
  private announcedBytes = 0;
  private handshake: PendingHandshake | undefined = undefined;
  private readonly startedMs = performance.now();
  private done = false;

  /**
   * @param alpn the protocols that the caller can speak, its favourite first; `connection.tls` has what was agreed on.
   * @param client on whose behalf: for the PROXY protocol.
   */
  constructor(
    cluster: ConnectTarget,
    endpoint: Endpoint,
    events: ConnectEvents,
    alpn: readonly string[] = NO_PROTOCOLS,
    client?: ConnectionInfo,
  ) {
    super();
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.events = events;
    this.alpn = alpn;
    this.client = client;
    const { stats } = cluster;
    stats.upstreamCxTotal.inc();
    stats.upstreamCxActive.inc();
    endpoint.stats.cxTotal++;
    endpoint.stats.cxActive++;
    this.socket = openSocket(cluster, endpoint);
    // net starts reading by itself otherwise, before the connection is handed over.
    this.socket.pause();
    this.socket.once('error', this.onError);
    this.socket.once('connect', this.onConnect);
    timers.start(this, Math.max(1, cluster.connectTimeoutMs), this.startedMs);
  }

  private readonly onConnect = (): void => {
    if (this.done) return;
    keepAlive(this.socket, this.cluster);
    const { tls, proxyProtocol } = this.cluster;
    if (proxyProtocol !== undefined) this.announcedBytes = proxyProtocol.announce(this.socket, this.client);
    if (tls !== undefined) {
      this.secure(tls);
      return;
    }
    this.socket.off('error', this.onError);
    const { socket, events } = this;
    const limitBytes = this.cluster.config.per_connection_buffer_limit_bytes;
    this.connected(HandleConnection.from(socket, events, limitBytes) ?? new StreamConnection(socket, events));
  };

  private secure(tls: UpstreamTls): void {
    // From here on the handshake hears of errors.
    this.socket.off('error', this.onError);
    this.handshake = tls.connect(this.socket, this.endpoint.hostname, this.alpn, this);
  }

  onSecure(secured: TLSSocket, info: TlsInfo): void {
    const tls = this.cluster.tls as UpstreamTls;
    this.connected(tls.open(secured, this.socket, info, this.events));
  }

  onHandshakeFailure(failure: TlsFailure): void {
    if (this.done) return;
    this.finish();
    this.cluster.stats.upstreamCxConnectFail.inc();
    this.endpoint.stats.cxConnectFail++;
    this.fail({ timedOut: false, reason: failure.reason });
  }

  private connected(connection: Connection): void {
    this.finish();
    connection.bytesWritten += this.announcedBytes;
    this.cluster.stats.upstreamCxConnectMs.record(performance.now() - this.startedMs);
    flushQueue.enter();
    try {
      this.events.onConnected(connection);
    } finally {
      flushQueue.leave();
    }
  }

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    if (this.done) return;
    this.finish();
    this.cluster.stats.upstreamCxConnectFail.inc();
    if (error.syscall === 'bind') this.cluster.stats.bindErrors.inc();
    this.endpoint.stats.cxConnectFail++;
    this.fail({ timedOut: false, reason: `delayed connect error: ${REASONS[error.code ?? ''] ?? error.message}` });
  };

  override onTimeout(): void {
    if (this.done) return;
    this.finish();
    this.cluster.stats.upstreamCxConnectTimeout.inc();
    this.cluster.stats.upstreamCxConnectFail.inc();
    this.endpoint.stats.cxConnectFail++;
    this.abandon();
    this.fail({ timedOut: true, reason: 'connect timeout' });
  }

  /** Gives the attempt up; nothing is called any more. */
  cancel(): void {
    if (this.done) return;
    this.finish();
    countClosed(this.cluster, this.endpoint, this.startedMs, false);
    this.abandon();
  }

  private abandon(): void {
    this.handshake?.cancel();
    this.socket.on('error', ignore);
    this.socket.destroy();
  }

  private finish(): void {
    this.done = true;
    timers.cancel(this);
  }

  private fail(failure: ConnectFailure): void {
    countClosed(this.cluster, this.endpoint, this.startedMs, !failure.timedOut);
    flushQueue.enter();
    try {
      this.events.onConnectFailure(failure);
    } finally {
      flushQueue.leave();
    }
  }
}

/** Keeps the statistics of a connection that is gone; `byPeer` when the upstream ended it, or refused it. */
export function countClosed(cluster: ConnectTarget, endpoint: Endpoint, startedMs: number, byPeer: boolean): void {
  cluster.stats.upstreamCxActive.dec();
  cluster.stats.countDestroyed(byPeer);
  cluster.stats.upstreamCxLengthMs.record(performance.now() - startedMs);
  endpoint.stats.cxActive--;
}

function ignore(): void {
  // An error after the attempt was given up concerns nobody.
}

/** The system's own figures hold where the configuration gives none. */
function keepAlive(socket: Socket, cluster: ConnectTarget): void {
  const options = cluster.config.upstream_connection_options?.tcp_keepalive;
  if (options === undefined) return;
  const { keepalive_time: seconds, keepalive_interval: interval, keepalive_probes: probes } = options;
  socket.setKeepAlive(true, (seconds ?? 0) * 1000, interval === undefined ? undefined : interval * 1000, probes);
}

/** The address to bind: one of the endpoint's family, where there is any. */
function sourceFor(endpoint: Endpoint, bind: ClusterConfig['upstream_bind_config']) {
  if (bind === undefined || bind.extra_source_addresses.length === 0) return bind?.source_address;
  const isIpv6 = endpoint.host.includes(':');
  const all = [bind.source_address, ...bind.extra_source_addresses.map(({ address }) => address)];
  return all.find((source) => source !== undefined && source.address.includes(':') === isIpv6) ?? bind.source_address;
}

/** The socket on its way to the endpoint. */
function openSocket(cluster: ConnectTarget, endpoint: Endpoint): Socket {
  if (endpoint.pipe !== undefined) return connect({ path: endpoint.pipe, allowHalfOpen: true });
  const { host, port } = endpoint;
  const source = sourceFor(endpoint, cluster.config.upstream_bind_config);
  const localAddress = source?.address;
  const localPort = source?.port_value ?? 0;
  const options = { host, port, noDelay: true, allowHalfOpen: true, autoSelectFamily: false };
  if (localAddress === undefined) return connect(options);
  // Node would choose a port together with the address.
  const bound = localPort === 0 ? boundSocket(localAddress) : undefined;
  return bound?.setNoDelay(true).connect(options) ?? connect({ ...options, localAddress, localPort });
}

/** A socket with a local address and no port yet; undefined where Node has to do it, or to tell why not. */
function boundSocket(address: string): Socket | undefined {
  try {
    const fd = socketFrom(ipBytes(address));
    if (fd === undefined) return undefined;
    const options: SocketConstructorOpts & { manualStart: boolean } = { fd, allowHalfOpen: true, manualStart: true };
    return new Socket(options);
  } catch {
    return undefined;
  }
}
