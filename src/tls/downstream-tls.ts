import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { type SecureContext, type SecureContextOptions, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { DownstreamTlsContext } from '../config/schema/tls.ts';
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
import type { ResolvedContext } from './secrets/resolved-context.ts';
import { type ContextReaders, type MadeContext, RotatingContext } from './secrets/rotating-context.ts';
import { readTicketKeys, SHARED_KEYS_BYTES, SharedTicketKeys, type TicketKeys } from './secrets/ticket-keys.ts';
import { createContexts } from './secure-context.ts';
import type { SecureSocket } from './secure-socket.ts';
import { alpnBytes, type ServerSettings, ServerSocket } from './server-socket.ts';
import { TlsConnection } from './tls-connection.ts';
import { TlsStats } from './tls-stats.ts';

/** The longest that a handshake may take where the configuration gives no limit. */
const DEFAULT_TIMEOUT_MS = 120_000;

/** BoringSSL's, in seconds. */
const SESSION_TIMEOUT_S = 7200;

/** What TLS of a listener needs around it. */
export interface DownstreamTlsEnv {
  /** For errors and the log: `listener http`. */
  readonly owner: string;
  /** The listener's. */
  readonly scope: StatsScope;
  readonly log: Logger;
  /** Memory that all threads of the process share, by key, zeroed when first made. */
  readonly shared: (key: string, bytes: number) => SharedArrayBuffer;
  /** `transport_socket_connect_timeout`, in milliseconds. */
  readonly timeoutMs: number | undefined;
}

/** What the handshakes of one version of the context work with. */
interface ServerContext extends MadeContext {
  readonly options: TLSSocketOptions;
  /** For handshakes without a socket of Node's; undefined where the server name decides about the certificate. */
  readonly settings: ServerSettings | undefined;
  readonly env: HandshakeEnv;
}

/** TLS of a filter chain: its context as files and secrets change, and the handshakes of connections that the chain takes. */
export class DownstreamTls {
  private readonly config: DownstreamTlsContext;
  private readonly owner: string;
  private readonly stats: TlsStats;
  private readonly ownKeys: TicketKeys;
  private readonly context: RotatingContext<ServerContext>;
  private readonly timeoutMs: number;

  /** @throws TlsLoadError, RegexError */
  constructor(config: DownstreamTlsContext, { owner, scope, log, shared, timeoutMs }: DownstreamTlsEnv) {
    this.config = config;
    this.owner = owner;
    this.stats = new TlsStats(scope);
    this.ownKeys = new SharedTicketKeys(shared('tls.ticket_keys', SHARED_KEYS_BYTES));
    this.timeoutMs = timeoutMs || DEFAULT_TIMEOUT_MS;
    this.context = new RotatingContext(
      { owner, side: 'server', common: config.common_tls_context, tickets: config, scope, log },
      (resolved, readers) => this.make(resolved, readers),
    );
  }

  private make(resolved: ResolvedContext, readers: ContextReaders): ServerContext {
    const { config } = this;
    const { common, ticketKeys } = resolved;
    const validation = common.validation_context;
    const required = config.require_client_certificate;
    const keys = ticketKeys === undefined ? this.ownKeys : readTicketKeys(ticketKeys, readers.shown);
    const { fallback, tickets, forServerName, certificates, expirations } = createContexts(
      this.owner,
      resolved,
      'TLSv1.3',
      readers,
      {
        options: sessionOptions(config),
        sessions: {
          keys: config.disable_stateless_session_resumption ? undefined : keys,
          binding: required ? 'certificate required' : '',
        },
      },
    );
    const check = new CertificateCheck(validation, required);
    const basic = {
      secureContext: fallback,
      requestCert: asksForCertificate(validation),
      // Without a certificate the handshake fails; one that is not good fails in `CertificateCheck`.
      rejectUnauthorized: required || validation?.custom_validator_config !== undefined,
    };
    return {
      certificates,
      expirations,
      env: { check, stats: this.stats, tickets },
      settings: forServerName === undefined ? { ...basic, alpn: alpnBytes(common.alpn_protocols), tickets } : undefined,
      options: {
        isServer: true,
        ...basic,
        ...(common.alpn_protocols.length === 0 ? {} : { ALPNProtocols: [...common.alpn_protocols] }),
        ...(forServerName === undefined ? {} : { SNICallback: chooser(forServerName) }),
      },
    };
  }

  /** Begins the handshake on a socket from which nobody reads; what it has read goes into the handshake. */
  accept(socket: Socket, events: HandshakeEvents): PendingHandshake {
    const { current } = this.context;
    if (current === undefined) {
      this.context.countNotReady();
      return new RefusedHandshake(socket, events);
    }
    const { settings } = current;
    const lean = settings === undefined ? undefined : ServerSocket.over(socket, settings);
    const secured = lean ?? new TLSSocket(socket, current.options);
    return new Handshake(secured, { isServer: true, serverName: '', timeoutMs: this.timeoutMs }, current.env, events);
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

function chooser(forServerName: (name: string) => SecureContext | undefined) {
  return (name: string, callback: (error: Error | null, context?: SecureContext) => void): void =>
    callback(null, forServerName(name));
}

function sessionOptions(config: DownstreamTlsContext): SecureContextOptions {
  return {
    honorCipherOrder: !config.prefer_client_ciphers,
    sessionTimeout: Math.floor((config.session_timeout ?? SESSION_TIMEOUT_S * 1000) / 1000),
    ...(config.disable_stateless_session_resumption ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
  };
}
