import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { type SecureContext, type SecureContextOptions, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { DownstreamTlsContext } from '../config/schema/tls.ts';
import type { Connection, ConnectionHandler } from '../network/connection.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import { asksForCertificate, CertificateCheck } from './certificate-check.ts';
import { Handshake, type HandshakeEnv, type HandshakeEvents } from './handshake.ts';
import { createContexts } from './secure-context.ts';
import { TlsConnection } from './tls-connection.ts';
import { TlsStats } from './tls-stats.ts';

/** The longest that a handshake may take where the configuration gives no limit. */
const DEFAULT_TIMEOUT_MS = 120_000;

/** BoringSSL's, in seconds. */
const SESSION_TIMEOUT_S = 7200;

/** TLS of a filter chain: one context, and the handshakes of the connections that the chain takes. */
export class DownstreamTls {
  private readonly options: TLSSocketOptions;
  private readonly env: HandshakeEnv;
  private readonly timeoutMs: number;

  /**
   * @param owner for errors: `listener http`.
   * @param scope the listener's.
   * @param timeoutMs `transport_socket_connect_timeout`.
   * @throws TlsLoadError, RegexError
   */
  constructor(owner: string, config: DownstreamTlsContext, scope: StatsScope, timeoutMs: number | undefined) {
    const common = config.common_tls_context;
    const required = config.require_client_certificate;
    const { fallback, forServerName } = createContexts(owner, common, 'TLSv1.3', sessionOptions(config));
    this.options = {
      isServer: true,
      secureContext: fallback,
      requestCert: asksForCertificate(common.validation_context),
      // Without a certificate the handshake fails; one that is not good fails in `CertificateCheck`.
      rejectUnauthorized: required || common.validation_context?.custom_validator_config !== undefined,
      ...(common.alpn_protocols.length === 0 ? {} : { ALPNProtocols: [...common.alpn_protocols] }),
      ...(forServerName === undefined ? {} : { SNICallback: chooser(forServerName) }),
    };
    this.env = {
      check: new CertificateCheck(common.validation_context, required),
      stats: new TlsStats(scope),
    };
    this.timeoutMs = timeoutMs || DEFAULT_TIMEOUT_MS;
  }

  /** Begins the handshake on a socket from which nobody reads; what it has read goes into the handshake. */
  accept(socket: Socket, events: HandshakeEvents): Handshake {
    const secured = new TLSSocket(socket, this.options);
    return new Handshake(secured, { isServer: true, serverName: '', timeoutMs: this.timeoutMs }, this.env, events);
  }

  /** The connection on a socket whose handshake is over. */
  open(secured: TLSSocket, below: Socket, tls: TlsInfo, handler: ConnectionHandler): Connection {
    return TlsConnection.from(secured, below, tls, handler);
  }
}

function chooser(forServerName: (name: string) => SecureContext | undefined) {
  return (name: string, callback: (error: Error | null, context?: SecureContext) => void): void =>
    callback(null, forServerName(name));
}

function sessionOptions(config: DownstreamTlsContext): SecureContextOptions {
  return {
    honorCipherOrder: !config.prefer_client_ciphers,
    sessionTimeout: Math.floor((config.session_timeout ?? SESSION_TIMEOUT_S * 1000) / 1000),
    // OpenSSL refuses to resume sessions with client certificates of a context that has no name.
    sessionIdContext: 'outrigger',
    ...(config.disable_stateless_session_resumption ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
  };
}
