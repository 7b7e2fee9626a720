import type { SecureContext } from 'node:tls';
import type { OpenSsl } from './openssl.ts';

/** Tickets that may be issued at once, and since the last one that a client came back with. */
const BURST = 256;
/** Further ones. */
const PER_SECOND = 32;

const MS_PER_SECOND = 1000;

/**
 * How many session tickets a server's context issues. One costs a tenth of a full handshake: OpenSSL encodes the session,
 * parses it with the client's certificate in it, and encodes it again. Clients that open connection after connection
 * without ever using one would pay for the others' resumption; so tickets that nobody comes back with are issued 256 at
 * once and 32 a second, and every one that somebody comes back with makes room for 256 more. Below that rate, and where
 * sessions are resumed, each handshake of TLS 1.3 has its ticket.
 */
export class SessionTickets {
  private readonly ssl: OpenSsl;
  /** Keeps what `address` points to. */
  readonly context: SecureContext;
  private readonly address: bigint;
  private readonly now: () => number;
  private available = BURST;
  private atMs: number;
  private isIssuing = true;

  /**
   * @param address the context's, for OpenSSL.
   * @param now milliseconds that never go back.
   */
  constructor(ssl: OpenSsl, context: SecureContext, address: bigint, now: () => number = () => performance.now()) {
    this.ssl = ssl;
    this.context = context;
    this.address = address;
    this.now = now;
    this.atMs = now();
    ssl.SSL_CTX_set_num_tickets(address, 1n);
  }

  /** Before a connection is made, which takes over what the context says then. */
  prepare(): void {
    const nowMs = this.now();
    const gained = ((nowMs - this.atMs) * PER_SECOND) / MS_PER_SECOND;
    this.atMs = nowMs;
    this.available = Math.min(BURST, this.available + gained);
    const isDue = this.available >= 1;
    if (isDue) this.available--;
    if (isDue === this.isIssuing) return;
    this.isIssuing = isDue;
    this.ssl.SSL_CTX_set_num_tickets(this.address, isDue ? 1n : 0n);
  }

  /** A handshake came to nothing. Whoever only knocks takes no ticket away from others. */
  restore(): void {
    this.available = Math.min(BURST, this.available + 1);
  }

  /** A client came back with a ticket. */
  redeem(): void {
    this.available = BURST;
  }
}
