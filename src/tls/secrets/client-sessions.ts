import type { X509Certificate } from 'node:crypto';

/** Servers whose sessions are kept at a time; the one that was used longest ago is forgotten first. */
const MAX_SERVERS = 256;

/** A session, and who the server was that gave it: Node does not tell a client the certificate of a resumed session. */
export interface ClientSession {
  readonly session: Buffer;
  readonly certificate: X509Certificate | undefined;
}

/**
 * Sessions that servers gave to this client, by server. They belong to one version of a context: with a new one, whoever
 * is believed now has to be asked again.
 */
export class ClientSessions {
  private readonly maxPerServer: number;
  private readonly byServer = new Map<string, ClientSession[]>();

  /** @param maxPerServer `max_session_keys`; 0 keeps none. */
  constructor(maxPerServer: number) {
    this.maxPerServer = maxPerServer;
  }

  get enabled(): boolean {
    return this.maxPerServer > 0;
  }

  /** Takes the newest session with a server out. */
  take(server: string): ClientSession | undefined {
    const sessions = this.byServer.get(server);
    const newest = sessions?.pop();
    if (sessions?.length === 0) this.byServer.delete(server);
    return newest;
  }

  keep(server: string, session: ClientSession): void {
    let sessions = this.byServer.get(server);
    if (sessions === undefined) sessions = [];
    else this.byServer.delete(server);
    sessions.push(session);
    if (sessions.length > this.maxPerServer) sessions.shift();
    this.byServer.set(server, sessions);
    if (this.byServer.size <= MAX_SERVERS) return;
    for (const [oldest] of this.byServer) {
      this.byServer.delete(oldest);
      break;
    }
  }
}

/** What one handshake brings of sessions: nothing is kept of a server before it was believed. */
export class SessionHarvest {
  private readonly sessions: ClientSessions;
  private readonly server: string;
  /** Of the session that is to be resumed, then of the server that was believed. */
  certificate: X509Certificate | undefined;
  private believed = false;
  private early: Buffer | undefined = undefined;
  private readonly resumed: Buffer | undefined;

  constructor(sessions: ClientSessions, server: string, resumed: ClientSession | undefined) {
    this.sessions = sessions;
    this.server = server;
    this.certificate = resumed?.certificate;
    this.resumed = resumed?.session;
  }

  readonly onSession = (session: Buffer): void => {
    if (this.believed) this.keep(session);
    else this.early = session;
  };

  /**
   * The handshake went well. With TLS 1.3 the server gives a session afterwards, each to be used once (RFC 8446 appendix
   * C.4). With TLS 1.2 it comes before, and one that was resumed stays good.
   */
  believe(certificate: X509Certificate | undefined, version: string, reused: boolean): void {
    this.believed = true;
    this.certificate = certificate;
    const session = this.early ?? (reused && version === 'TLSv1.2' ? this.resumed : undefined);
    if (session !== undefined) this.keep(session);
    this.early = undefined;
  }

  private keep(session: Buffer): void {
    this.sessions.keep(this.server, { session, certificate: this.certificate });
  }
}
