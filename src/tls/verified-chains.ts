import type { X509Certificate } from 'node:crypto';
import type { OpenSsl } from './openssl.ts';
import type { SecureSocket } from './secure-socket.ts';

/** A chain that OpenSSL found good is not looked at again for so long. */
const REMEMBERED_MS = 60_000;
/** Chains that one context remembers; the oldest goes first. */
const MAX_REMEMBERED = 512;
/** Longer chains, and larger ones, are verified each time. */
const MAX_CERTIFICATES = 8;
const MAX_CHAIN_BYTES = 8192;
/** Handshakes between the peer's certificate and their end. */
const MAX_PENDING = 1024;

const X509_V_OK = 0;
const MAX_FINISHED_BYTES = 64n;
const MS_PER_DAY = 86_400_000;

/** A chain as the peer sent it, which a context believes. */
export interface VerifiedChain {
  /** The peer's certificate, once somebody has made an object of it. */
  certificate: X509Certificate | undefined;
}

interface RememberedChain extends VerifiedChain {
  readonly sinceMs: number;
  readonly untilMs: number;
}

type Remembered = Map<string, RememberedChain>;

/**
 * OpenSSL verifies the chain of a peer in each handshake: two signatures, and all extensions, for the same bytes as in the
 * last one. Here it is asked once a minute. The verdict is OpenSSL's own, of the same context (so of the same
 * authorities), on the same bytes of the whole chain, and is remembered only when it is a good one, never beyond the
 * end of a certificate that it rests on. Whatever goes wrong here ends the handshake, or has OpenSSL look.
 *
 * A context with revocation lists must not have it: those end, too.
 */
export class VerifiedChains {
  private readonly ssl: OpenSsl;
  private readonly now: () => number;
  /** What the callback of OpenSSL is registered as, once per thread. */
  private readonly callback: bigint;
  private readonly storeIndex: number;
  /** By what the callback is told of its context. One that is gone leaves nothing behind. */
  private readonly contexts = new Map<bigint, Remembered>();
  private readonly gone = new FinalizationRegistry<bigint>((id) => void this.contexts.delete(id));
  private lastId = 0n;
  /** By the server's `Finished` message, which no other handshake has. */
  private readonly pending = new Map<string, RememberedChain>();
  private readonly bytes = Buffer.alloc(MAX_CHAIN_BYTES);
  private readonly bytesAt: bigint;
  private readonly cursor = new BigUint64Array(1);
  private readonly finished = Buffer.alloc(Number(MAX_FINISHED_BYTES));
  private readonly days = new Int32Array(1);
  private readonly seconds = new Int32Array(1);

  constructor(ssl: OpenSsl, now: () => number = Date.now) {
    this.ssl = ssl;
    this.now = now;
    this.bytesAt = ssl.addressOf(this.bytes);
    this.storeIndex = ssl.SSL_get_ex_data_X509_STORE_CTX_idx();
    this.callback = ssl.verifyCallback((store, id) => {
      try {
        return this.verify(store, this.contexts.get(id));
      } catch {
        return 0;
      }
    });
  }

  /** Makes a context remember. @param owner lives as long as the context is used for new connections. */
  install(address: bigint, owner: object): void {
    const id = ++this.lastId;
    this.contexts.set(id, new Map());
    this.gone.register(owner, id);
    this.ssl.SSL_CTX_set_cert_verify_callback(address, this.callback, id);
  }

  /**
   * The chain of a peer whose handshake has just ended; undefined where OpenSSL found something, and wherever the
   * server's `Finished` does not come before the client's certificate: on clients, in TLS 1.2, in resumed sessions.
   */
  take(socket: SecureSocket): VerifiedChain | undefined {
    if (this.pending.size === 0) return undefined;
    const finished = socket.getFinished()?.latin1Slice();
    if (finished === undefined) return undefined;
    const chain = this.pending.get(finished);
    if (chain !== undefined) this.pending.delete(finished);
    return chain;
  }

  /** What OpenSSL would do, or what it has done for the same chain. */
  private verify(store: bigint, remembered: Remembered | undefined): number {
    const key = remembered === undefined ? undefined : this.keyOf(store);
    if (remembered === undefined || key === undefined) return this.ssl.X509_verify_cert(store);
    const nowMs = this.now();
    const known = remembered.get(key);
    if (known !== undefined && nowMs >= known.sinceMs && nowMs < known.untilMs) {
      this.await(store, known);
      return 1;
    }
    remembered.delete(key);
    const result = this.ssl.X509_verify_cert(store);
    // Node lets a handshake go on whatever OpenSSL finds: the error says it, not the result.
    if (result !== 1 || this.ssl.X509_STORE_CTX_get_error(store) !== X509_V_OK) return result;
    const untilMs = Math.min(nowMs + REMEMBERED_MS, this.endOf(store, nowMs));
    const chain: RememberedChain = { sinceMs: nowMs, untilMs, certificate: undefined };
    if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.keys().next().value as string);
    remembered.set(key, chain);
    this.await(store, chain);
    return result;
  }

  /** All bytes of what the peer sent; undefined where they are too many, or are no certificates. */
  private keyOf(store: bigint): string | undefined {
    const { ssl } = this;
    const leaf = ssl.X509_STORE_CTX_get0_cert(store);
    const sent = ssl.X509_STORE_CTX_get0_untrusted(store);
    if (!leaf || !sent) return undefined;
    const count = ssl.OPENSSL_sk_num(sent);
    if (count < 1 || count > MAX_CERTIFICATES || ssl.OPENSSL_sk_value(sent, 0) !== leaf) return undefined;
    let length = 0;
    for (let i = 0; i < count; i++) {
      const certificate = ssl.OPENSSL_sk_value(sent, i);
      const size = ssl.i2d_X509(certificate, 0n);
      if (size <= 0 || length + size > MAX_CHAIN_BYTES) return undefined;
      this.cursor[0] = this.bytesAt + BigInt(length);
      if (ssl.i2d_X509(certificate, this.cursor) !== size) return undefined;
      length += size;
    }
    return this.bytes.latin1Slice(0, length);
  }

  /** When the first certificate of the chain that OpenSSL has built ends, milliseconds since the epoch. */
  private endOf(store: bigint, nowMs: number): number {
    const { ssl, days, seconds } = this;
    const chain = ssl.X509_STORE_CTX_get0_chain(store);
    const count = chain ? ssl.OPENSSL_sk_num(chain) : 0;
    let endMs = count > 0 ? Number.POSITIVE_INFINITY : 0;
    for (let i = 0; i < count; i++) {
      const end = ssl.X509_get0_notAfter(ssl.OPENSSL_sk_value(chain, i));
      if (!end || ssl.ASN1_TIME_diff(days, seconds, 0n, end) !== 1) return 0;
      endMs = Math.min(endMs, nowMs + (days[0] as number) * MS_PER_DAY + (seconds[0] as number) * 1000);
    }
    return endMs;
  }

  /** Keeps the chain for the end of the handshake. */
  private await(store: bigint, chain: RememberedChain): void {
    const { ssl } = this;
    const connection = ssl.X509_STORE_CTX_get_ex_data(store, this.storeIndex);
    if (!connection || ssl.SSL_is_server(connection) !== 1) return;
    const length = Number(ssl.SSL_get_finished(connection, this.finished, MAX_FINISHED_BYTES));
    if (length === 0 || length > this.finished.length) return;
    if (this.pending.size >= MAX_PENDING) this.pending.delete(this.pending.keys().next().value as string);
    this.pending.set(this.finished.latin1Slice(0, length), chain);
  }
}
