import 'reflect-metadata';
import { createPrivateKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as unknown as Crypto);

/** Kinds of keys. P-256 is what meshes use; RSA costs thirty times as much to sign with. */
export type KeyType = 'ecdsa-p256' | 'rsa-2048';

/** A certificate, or several with the peer's own first, and its key, in PEM. */
export interface IssuedCertificate {
  readonly certificatePem: string;
  /** PKCS #8. */
  readonly keyPem: string;
}

export interface SvidRequest {
  /** `spiffe://example.org/workload`. */
  readonly spiffeId: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly ttlMs: number;
  readonly keyType?: KeyType;
}

const ALGORITHMS = {
  'ecdsa-p256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'rsa-2048': {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const;

/** Clocks of a mesh differ: a certificate is valid from a little earlier. */
const BACKDATE_MS = 60_000;

const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;

/**
 * An authority of one trust domain, for tests and small meshes: its key lies in a file. What it issues follows the
 * X.509-SVID standard.
 */
export class CertificateAuthority {
  readonly trustDomain: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  private readonly certificate: x509.X509Certificate;
  private readonly key: webcrypto.CryptoKey;

  private constructor(certificate: x509.X509Certificate, key: webcrypto.CryptoKey, keyPem: string) {
    this.certificate = certificate;
    this.certificatePem = pemOf(certificate);
    this.key = key;
    this.keyPem = keyPem;
    this.trustDomain = trustDomainOf(certificate);
  }

  /** Makes an authority that vouches for itself. */
  static async create(
    trustDomain: string,
    ttlMs: number,
    keyType: KeyType = 'ecdsa-p256',
  ): Promise<CertificateAuthority> {
    const keys = await generate(keyType);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: [{ O: [trustDomain] }, { CN: [`${trustDomain} authority`] }],
      ...validity(ttlMs),
      keys,
      signingAlgorithm: ALGORITHMS[keyType],
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new CertificateAuthority(certificate, keys.privateKey, await pemOfKey(keys.privateKey));
  }

  /** @throws Error when the files do not hold an authority */
  static load(certificatePem: string, keyPem: string): CertificateAuthority {
    const certificate = new x509.X509Certificate(certificatePem);
    if (certificate.getExtension(x509.BasicConstraintsExtension)?.ca !== true) {
      throw new Error('the certificate is not an authority’s');
    }
    const key = createPrivateKey(keyPem);
    return new CertificateAuthority(certificate, key.toCryptoKey(importAlgorithm(key), true, ['sign']), keyPem);
  }

  /** Issues an X.509-SVID: one SPIFFE ID, a key that may sign and nothing else, for both sides of a handshake. */
  async issueSvid(request: SvidRequest): Promise<IssuedCertificate> {
    const keyType = request.keyType ?? 'ecdsa-p256';
    const keys = await generate(keyType);
    const names: x509.JsonGeneralNames = [
      { type: 'url', value: request.spiffeId },
      ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
      ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
    ];
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: [{ O: [this.trustDomain] }],
      issuer: this.certificate.subjectName,
      ...this.within(validity(request.ttlMs)),
      publicKey: keys.publicKey,
      signingKey: this.key,
      signingAlgorithm: signingAlgorithm(this.key),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]),
        new x509.SubjectAlternativeNameExtension(names),
        await x509.AuthorityKeyIdentifierExtension.create(this.certificate.publicKey),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return { certificatePem: pemOf(certificate), keyPem: await pemOfKey(keys.privateKey) };
  }

  /** A list of certificates that are not to be believed any more, in PEM. */
  async revocationList(revoked: readonly RevokedCertificate[], ttlMs: number): Promise<string> {
    const list = await x509.X509CrlGenerator.create({
      issuer: this.certificate.subjectName,
      thisUpdate: new Date(Date.now() - BACKDATE_MS),
      nextUpdate: new Date(Date.now() + ttlMs),
      entries: revoked.map(({ serial, revokedAt }) => ({
        serialNumber: serial,
        revocationDate: new Date(revokedAt),
        reason: x509.X509CrlReason.unspecified,
      })),
      extensions: [await x509.AuthorityKeyIdentifierExtension.create(this.certificate.publicKey)],
      signingKey: this.key,
      signingAlgorithm: signingAlgorithm(this.key),
    });
    // The library's own label is one that OpenSSL does not know (RFC 7468 §6).
    return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`;
  }

  /** No certificate outlives its authority. */
  private within({ notBefore, notAfter }: Validity): Validity {
    const end = this.certificate.notAfter;
    return { notBefore, notAfter: notAfter > end ? end : notAfter };
  }
}

/** A serial number in hexadecimal, and when it was revoked, as ISO 8601. */
export interface RevokedCertificate {
  readonly serial: string;
  readonly revokedAt: string;
}

interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

function validity(ttlMs: number): Validity {
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + ttlMs) };
}

/** 127 random bits: positive, and never the same twice (RFC 5280 §4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function generate(keyType: KeyType): Promise<webcrypto.CryptoKeyPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHMS[keyType], true, ['sign', 'verify']);
  return keys as webcrypto.CryptoKeyPair;
}

function importAlgorithm(key: KeyObject) {
  return key.asymmetricKeyType === 'rsa' ? ALGORITHMS['rsa-2048'] : ALGORITHMS['ecdsa-p256'];
}

function signingAlgorithm(key: webcrypto.CryptoKey) {
  return key.algorithm.name === 'ECDSA' ? ALGORITHMS['ecdsa-p256'] : ALGORITHMS['rsa-2048'];
}

function trustDomainOf(certificate: x509.X509Certificate): string {
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  const id = names.find(({ type, value }) => type === 'url' && value.startsWith('spiffe://'));
  if (id === undefined) throw new Error('the authority has no SPIFFE ID: it was not made by outrigger certs ca');
  return id.value.substring('spiffe://'.length);
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(der, 'PRIVATE KEY').concat('\n');
}

/** Whether a text is an address that a certificate can name. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}
