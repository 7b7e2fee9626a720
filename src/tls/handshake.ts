import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TimerEntry, timers } from '../network/timer.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import type { CertificateCheck } from './certificate-check.ts';
import { ConnectionCertificates } from './connection-certificates.ts';
import { type PeerNames, rfc2253 } from './peer-names.ts';
import type { SessionHarvest } from './secrets/client-sessions.ts';
import type { SecureSocket } from './secure-socket.ts';
import type { SessionTickets } from './session-tickets.ts';
import { handshakeFailure, NOT_READY, type TlsFailure } from './tls-failure.ts';
import type { TlsStats } from './tls-stats.ts';
import { verifiedChains } from './tuned-context.ts';

/** Hears how a handshake went; exactly one of the two is called, unless it is cancelled. */
export interface HandshakeEvents {
  /** `socket` speaks in clear text from here on; nothing has been read yet. `serverName` is what the client asked for, '' for nothing. */
  onSecure(socket: SecureSocket, tls: TlsInfo, serverName: string): void;
  /** The connection is closed. */
  onHandshakeFailure(failure: TlsFailure): void;
}

/** What the handshakes of one context have in common. */
export interface HandshakeEnv {
  readonly check: CertificateCheck;
  readonly stats: TlsStats;
  /** Those of a server; undefined where OpenSSL decides, and for clients. */
  readonly tickets?: SessionTickets | undefined;
}

/** A handshake that is under way. */
export interface PendingHandshake {
  /** Gives the handshake up; nothing is called any more. */
  cancel(): void;
}

/** A handshake that cannot begin, since there is no context for it. Like others, it fails after the call has returned. */
export class RefusedHandshake implements PendingHandshake {
  private cancelled = false;

  constructor(socket: Socket, events: HandshakeEvents) {
    socket.on('error', ignore);
    queueMicrotask(() => {
      if (this.cancelled) return;
      socket.destroy();
      events.onHandshakeFailure(NOT_READY);
    });
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** One handshake, on either side, up to the verdict on the peer's certificate. */
export class Handshake extends TimerEntry implements PendingHandshake {
  private readonly socket: SecureSocket;
  private readonly isServer: boolean;
  private readonly serverName: string;
  private readonly env: HandshakeEnv;
  private readonly events: HandshakeEvents;
  private readonly harvest: SessionHarvest | undefined;
  private done = false;

  /**
   * @param side `serverName` is what a client asks for, '' for a server; `timeoutMs` is 0 for no limit.
   * @param harvest what keeps the sessions of a server, once it is believed.
   */
  constructor(
    socket: SecureSocket,
    side: { readonly isServer: boolean; readonly serverName: string; readonly timeoutMs: number },
    env: HandshakeEnv,
    events: HandshakeEvents,
    harvest?: SessionHarvest,
  ) {
    super();
    this.harvest = harvest;
    this.socket = socket;
    this.isServer = side.isServer;
    this.serverName = side.serverName;
    this.env = env;
    this.events = events;
    socket.once(side.isServer ? 'secure' : 'secureConnect', this.onSecure);
    socket.on('error', this.onError);
    socket.once('end', this.onClose);
    socket.once('close', this.onClose);
    if (side.timeoutMs > 0) timers.start(this, side.timeoutMs);
  }

  private readonly onSecure = (): void => {
    if (this.done) return;
    const { check, stats, tickets } = this.env;
    const { socket } = this;
    const reused = socket.isSessionReused();
    const certificate = peerCertificate(socket) ?? (reused ? this.harvest?.certificate : undefined);
    const serverName = this.isServer ? askedName(socket) : this.serverName;
    const { failure, names, verified } = check.judge(socket, certificate, serverName);
    if (failure !== undefined) {
      this.fail(failure);
      return;
    }
    const cipher = socket.getCipher().name;
    const version = socket.getProtocol() ?? '';
    if (reused) tickets?.redeem();
    if (certificate === undefined) stats.noCertificate.inc();
    stats.countHandshake(version, cipher, this.isServer ? '' : curveOf(socket), reused);
    this.finish();
    this.harvest?.believe(certificate, version, reused);
    this.events.onSecure(socket, new SecuredInfo(version, cipher, socket, verified, names, certificate), serverName);
  };

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    if (!this.done) this.fail(handshakeFailure(error));
  };

  private readonly onClose = (): void => {
    if (!this.done) this.fail({ reason: '', kind: 'closed' });
  };

  override onTimeout(): void {
    if (!this.done) this.fail({ reason: 'transport socket timeout was reached', kind: 'timeout' });
  }

  private fail(failure: TlsFailure): void {
    this.finish();
    this.socket.on('error', ignore);
    this.socket.destroy();
    this.env.tickets?.restore();
    this.env.stats.countFailure(failure.kind);
    this.events.onHandshakeFailure(failure);
  }

  private finish(): void {
    this.done = true;
    timers.cancel(this);
    this.socket.off('error', this.onError);
    this.socket.off('end', this.onClose);
    this.socket.off('close', this.onClose);
  }

  /** Gives the handshake up; nothing is called any more. */
  cancel(): void {
    if (this.done) return;
    this.finish();
    this.socket.on('error', ignore);
    this.socket.destroy();
  }
}

/** What a handshake established. OpenSSL takes its time to write a subject: it is asked when somebody wants to know. */
class SecuredInfo implements TlsInfo {
  readonly version: string;
  readonly cipher: string;
  readonly alpn: string;
  readonly peerVerified: boolean;
  readonly peerUriSans: readonly string[];
  readonly peerDnsSans: readonly string[];
  readonly certificates: ConnectionCertificates;
  private readonly peer: X509Certificate | undefined;
  private subject: string | undefined = undefined;

  constructor(
    version: string,
    cipher: string,
    socket: SecureSocket,
    verified: boolean,
    names: PeerNames,
    peer: X509Certificate | undefined,
  ) {
    this.version = version;
    this.cipher = cipher;
    this.alpn = socket.alpnProtocol || '';
    this.peerVerified = verified;
    this.peerUriSans = names.uri;
    this.peerDnsSans = names.dns;
    this.certificates = new ConnectionCertificates(socket, peer, names);
    this.peer = peer;
  }

  get peerSubject(): string {
    this.subject ??= rfc2253(this.peer?.subject);
    return this.subject;
  }
}

/** The peer's certificate: the object of an earlier handshake where the peer sent the same chain. */
function peerCertificate(socket: SecureSocket): X509Certificate | undefined {
  const chain = verifiedChains()?.take(socket);
  if (chain === undefined) return socket.getPeerX509Certificate();
  chain.certificate ??= socket.getPeerX509Certificate();
  return chain.certificate;
}

function ignore(): void {
  // An error after the handshake was given up concerns nobody.
}

/** `servername` is false when the client named none. */
function askedName(socket: SecureSocket): string {
  const { servername } = socket as unknown as { readonly servername?: string | false | null };
  return servername || '';
}

/** The group of the key exchange, which Node tells clients only. */
function curveOf(socket: SecureSocket): string {
  const info = socket.getEphemeralKeyInfo() as { readonly name?: string } | null;
  return CURVES[info?.name ?? ''] ?? info?.name ?? '';
}

/** OpenSSL's names of curves, as Envoy spells them. */
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };
