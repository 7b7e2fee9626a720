import type { X509Certificate } from 'node:crypto';
import type { CertificateView, TlsCertificates } from '../observe/stream-info.ts';
import { certificateFacts } from './certificate-facts.ts';
import { DerError, DerReader, TAG } from './der.ts';
import { type PeerNames, peerNames, rfc2253 } from './peer-names.ts';
import type { SecureSocket } from './secure-socket.ts';

/** Longer chains are cut: nobody needs more of them in a log line or a header. */
const MAX_CHAIN = 8;

/** The certificates of one connection. Each fact is worked out when somebody asks for it, once. */
export class ConnectionCertificates implements TlsCertificates {
  readonly peer: CertificateView | undefined;
  forwarded: TlsCertificates['forwarded'] = undefined;
  private readonly socket: SecureSocket;
  private readonly peerCertificate: X509Certificate | undefined;
  private chain: readonly CertificateView[] | undefined = undefined;
  private own: CertificateView | undefined = undefined;
  private session: string | undefined = undefined;

  constructor(socket: SecureSocket, peer: X509Certificate | undefined, names: PeerNames) {
    this.socket = socket;
    this.peerCertificate = peer;
    this.peer = peer === undefined ? undefined : new LazyCertificate(peer, names);
  }

  get peerChain(): readonly CertificateView[] {
    if (this.chain !== undefined) return this.chain;
    const chain: CertificateView[] = this.peer === undefined ? [] : [this.peer];
    for (let at = this.peerCertificate?.issuerCertificate; at !== undefined && chain.length < MAX_CHAIN; ) {
      chain.push(new LazyCertificate(at, undefined));
      at = at.issuerCertificate;
    }
    this.chain = chain;
    return chain;
  }

  get local(): CertificateView | undefined {
    if (this.own === undefined && !this.socket.destroyed) {
      const certificate = this.socket.getX509Certificate();
      if (certificate !== undefined) this.own = new LazyCertificate(certificate, undefined);
    }
    return this.own;
  }

  get sessionId(): string {
    if (this.session === undefined && !this.socket.destroyed) this.session = sessionIdOf(this.socket.getSession());
    return this.session ?? '';
  }
}

/** `SSLSession ::= SEQUENCE { version, protocol, cipher, sessionId, … }`, as OpenSSL writes it. */
function sessionIdOf(session: Buffer | undefined): string {
  if (session === undefined) return '';
  try {
    const fields = new DerReader(session).enter(TAG.sequence);
    fields.expect(TAG.integer);
    fields.expect(TAG.integer);
    fields.expect(TAG.octetString);
    return fields.expect(TAG.octetString).content.toString('hex');
  } catch (error) {
    if (error instanceof DerError) return '';
    throw error;
  }
}

class LazyCertificate implements CertificateView {
  private readonly certificate: X509Certificate;
  private names: PeerNames | undefined;
  private encoded: string | undefined = undefined;

  constructor(certificate: X509Certificate, names: PeerNames | undefined) {
    this.certificate = certificate;
    this.names = names;
  }

  private get known(): PeerNames {
    this.names ??= peerNames(this.certificate);
    return this.names;
  }

  get uriSans(): readonly string[] {
    return this.known.uri;
  }

  get dnsSans(): readonly string[] {
    return this.known.dns;
  }

  get ipSans(): readonly string[] {
    return this.known.ip;
  }

  get emailSans(): readonly string[] {
    return this.known.email;
  }

  get otherNameSans(): readonly string[] {
    try {
      return certificateFacts(this.certificate).otherNames.map(({ value }) => value);
    } catch (error) {
      if (error instanceof DerError) return [];
      throw error;
    }
  }

  get subject(): string {
    return rfc2253(this.certificate.subject);
  }

  get issuer(): string {
    return rfc2253(this.certificate.issuer);
  }

  get serial(): string {
    return this.certificate.serialNumber.toLowerCase();
  }

  get fingerprint256(): string {
    return this.certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  }

  get fingerprint1(): string {
    return this.certificate.fingerprint.replaceAll(':', '').toLowerCase();
  }

  get validFromMs(): number {
    return this.certificate.validFromDate.getTime();
  }

  get validToMs(): number {
    return this.certificate.validToDate.getTime();
  }

  get encodedPem(): string {
    this.encoded ??= encodeURIComponent(this.certificate.toString());
    return this.encoded;
  }
}
