import { isIP, type Socket } from 'node:net';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import type { UpstreamTlsContext } from '../config/schema/tls.ts';
import type { Connection, ConnectionHandler } from '../network/connection.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import { asksForCertificate, CertificateCheck } from './certificate-check.ts';
import { Handshake, type HandshakeEnv, type HandshakeEvents } from './handshake.ts';
import { createContexts } from './secure-context.ts';
import { TlsConnection } from './tls-connection.ts';
import { TlsStats } from './tls-stats.ts';

/** TLS towards the endpoints of a cluster. */
export class UpstreamTls {
  private readonly context: SecureContext;
  private readonly env: HandshakeEnv;
  private readonly sni: string;
  private readonly usesHostName: boolean;
  private readonly alpn: readonly string[];

  /**
   * @param owner for errors: `cluster app`.
   * @param scope the cluster's.
   * @throws TlsLoadError, RegexError
   */
  constructor(owner: string, config: UpstreamTlsContext, scope: StatsScope) {
    const common = config.common_tls_context;
    // As in Envoy, clients speak TLS 1.2 unless the configuration allows more.
    this.context = createContexts(owner, common, 'TLSv1.2').fallback;
    const required = asksForCertificate(common.validation_context);
    this.env = {
      check: new CertificateCheck(common.validation_context, required, config.auto_sni_san_validation, 'server'),
      stats: new TlsStats(scope),
    };
    this.sni = config.sni;
    this.usesHostName = config.auto_host_sni;
    this.alpn = common.alpn_protocols;
  }

  /**
   * Begins the handshake on a socket that is connected.
   * @param hostname the endpoint's, '' when it has none.
   * @param alpn what the caller can speak; the configuration's own list goes before.
   */
  connect(socket: Socket, hostname: string, alpn: readonly string[], events: HandshakeEvents): Handshake {
    const serverName = this.usesHostName && hostname !== '' ? hostname : this.sni;
    const protocols = this.alpn.length > 0 ? this.alpn : alpn;
    const secured = connect({
      socket,
      secureContext: this.context,
      // `CertificateCheck` judges, and knows the reason.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      // An address is no server name (RFC 6066 §3).
      ...(serverName === '' || isIP(serverName) !== 0 ? {} : { servername: serverName }),
      ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
    });
    // The connect timeout, which is the caller's, covers the handshake.
    return new Handshake(secured, { isServer: false, serverName, timeoutMs: 0 }, this.env, events);
  }

  /** The connection on a socket whose handshake is over. */
  open(secured: TLSSocket, below: Socket, tls: TlsInfo, handler: ConnectionHandler): Connection {
    return TlsConnection.from(secured, below, tls, handler);
  }
}
