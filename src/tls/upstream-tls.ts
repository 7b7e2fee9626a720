import { isIP, type Socket } from 'node:net';
import { connect, type SecureContext } from 'node:tls';
import type { UpstreamTlsContext } from '../config/schema/tls.ts';
import type { Logger } from '../filter/env.ts';
import type { Connection, ConnectionHandler } from '../network/connection.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import { asksForCertificate, CertificateCheck } from './certificate-check.ts';
import {
  Handshake,
  type HandshakeEnv,
  type HandshakeEvents,
  type PendingHandshake,
  RefusedHandshake,
} from './handshake.ts';
import { ClientSessions, SessionHarvest } from './secrets/client-sessions.ts';
import type { ResolvedContext } from './secrets/resolved-context.ts';
import { type ContextReaders, type MadeContext, RotatingContext } from './secrets/rotating-context.ts';
import { createContexts } from './secure-context.ts';
import type { SecureSocket } from './secure-socket.ts';
import { TlsConnection } from './tls-connection.ts';
import { TlsStats } from './tls-stats.ts';

/** What TLS of a cluster needs around it. */
export interface UpstreamTlsEnv {
  /** For errors and the log: `cluster app`. */
  readonly owner: string;
  /** The cluster's. */
  readonly scope: StatsScope;
  readonly log: Logger;
}

/** What the handshakes of one version of the context work with. */
interface ClientContext extends MadeContext {
  readonly secureContext: SecureContext;
  readonly env: HandshakeEnv;
  readonly sessions: ClientSessions;
}

/** TLS towards the endpoints of a cluster, as files and secrets change. */
export class UpstreamTls {
  private readonly context: RotatingContext<ClientContext>;
  private readonly sni: string;
  private readonly usesHostName: boolean;
  private readonly alpn: readonly string[];
  private readonly stats: TlsStats;

  private constructor(
    context: RotatingContext<ClientContext>,
    config: Pick<UpstreamTlsContext, 'sni' | 'auto_host_sni'>,
    alpn: readonly string[],
    stats: TlsStats,
  ) {
    this.stats = stats;
    this.context = context;
    this.sni = config.sni;
    this.usesHostName = config.auto_host_sni;
    this.alpn = alpn;
  }

  /** @throws TlsLoadError, RegexError */
  static create(config: UpstreamTlsContext, { owner, scope, log }: UpstreamTlsEnv): UpstreamTls {
    const common = config.common_tls_context;
    const stats = new TlsStats(scope);
    const context = new RotatingContext<ClientContext>(
      { owner, side: 'client', common, tickets: {}, scope, log },
      (resolved, readers) => makeContext(owner, config, stats, resolved, readers),
    );
    return new UpstreamTls(context, config, common.alpn_protocols, stats);
  }

  /** The same TLS, offering other protocols. */
  withProtocols(alpn: readonly string[]): UpstreamTls {
    return new UpstreamTls(this.context, { sni: this.sni, auto_host_sni: this.usesHostName }, alpn, this.stats);
  }

  /**
   * Begins the handshake on a socket that is connected.
   * @param hostname the endpoint's, '' when it has none.
   * @param alpn what the caller can speak; the configuration's own list goes before.
   */
  connect(socket: Socket, hostname: string, alpn: readonly string[], events: HandshakeEvents): PendingHandshake {
    const { current } = this.context;
    if (current === undefined) {
      this.context.countNotReady();
      return new RefusedHandshake(socket, events);
    }
    const { secureContext, sessions, env } = current;
    const serverName = this.usesHostName && hostname !== '' ? hostname : this.sni;
    const protocols = this.alpn.length > 0 ? this.alpn : alpn;
    const server = sessions.enabled ? `${serverName} ${socket.remoteAddress}:${socket.remotePort}` : '';
    const resumed = sessions.take(server);
    const secured = connect({
      socket,
      secureContext,
      // `CertificateCheck` judges, and knows the reason.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      // An address is no server name (RFC 6066 §3).
      ...(serverName === '' || isIP(serverName) !== 0 ? {} : { servername: serverName }),
      ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
      ...(resumed === undefined ? {} : { session: resumed.session }),
    });
    const harvest = sessions.enabled ? new SessionHarvest(sessions, server, resumed) : undefined;
    if (harvest !== undefined) secured.on('session', harvest.onSession);
    // The connect timeout, which is the caller's, covers the handshake.
    return new Handshake(secured, { isServer: false, serverName, timeoutMs: 0 }, env, events, harvest);
  }

  /** The connection on a socket whose handshake is over. */
  open(secured: SecureSocket, below: Socket, tls: TlsInfo, handler: ConnectionHandler): Connection {
    return TlsConnection.from(secured, below, tls, handler, this.stats);
  }

  /** Follows files and secrets no more. */
  close(): void {
    this.context.close();
  }
}

function makeContext(
  owner: string,
  config: UpstreamTlsContext,
  stats: TlsStats,
  resolved: ResolvedContext,
  readers: ContextReaders,
): ClientContext {
  const validation = resolved.common.validation_context;
  // As in Envoy, clients speak TLS 1.2 unless the configuration allows more.
  const { fallback, certificates, expirations } = createContexts(owner, resolved, 'TLSv1.2', readers);
  const required = asksForCertificate(validation);
  const check = new CertificateCheck(validation, required, config.auto_sni_san_validation, 'server');
  return {
    certificates,
    expirations,
    secureContext: fallback,
    env: { check, stats },
    sessions: new ClientSessions(config.max_session_keys),
  };
}
