import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { keyHash } from '../tls/certificate-pins.ts';
import { peerNames, rfc2253 } from '../tls/peer-names.ts';
import { spanText } from './certs-ttl.ts';
import { UsageError } from './usage-error.ts';

/** What `certs show` tells of one certificate. */
export interface ShownCertificate {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly isAuthority: boolean;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly notBefore: string;
  readonly notAfter: string;
  readonly isExpired: boolean;
  /** `ec prime256v1`, `rsa 2048`. */
  readonly key: string;
  /** For `verify_certificate_hash`. */
  readonly sha256: string;
  /** For `verify_certificate_spki`. */
  readonly spkiSha256: string;
}

/** The certificates of a PEM file, as text or JSON. @throws UsageError when there are none */
export function showCertificates(file: string, asJson: boolean, nowMs = Date.now()): string {
  const shown = certificatesOf(file).map((certificate) => describeCertificate(certificate, nowMs));
  if (asJson) return `${JSON.stringify(shown, undefined, 2)}\n`;
  return shown.map((one) => textOf(one, nowMs)).join('\n');
}

function certificatesOf(file: string): X509Certificate[] {
  const text = readFileSync(file, 'latin1');
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new UsageError(`${file} has no certificate in PEM`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}

function describeCertificate(certificate: X509Certificate, nowMs: number): ShownCertificate {
  const { uri, dns, ip } = peerNames(certificate);
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  const size = asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength ?? '';
  return {
    subject: rfc2253(certificate.subject),
    issuer: rfc2253(certificate.issuer),
    serial: certificate.serialNumber.toLowerCase(),
    isAuthority: certificate.ca,
    uris: uri,
    dnsNames: dns,
    ipAddresses: ip,
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
    isExpired: certificate.validToDate.getTime() < nowMs,
    key: `${asymmetricKeyType} ${size}`.trim(),
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    spkiSha256: keyHash(certificate),
  };
}

function textOf(shown: ShownCertificate, nowMs: number): string {
  const left = Date.parse(shown.notAfter) - nowMs;
  const rows: [string, string][] = [
    ['what', shown.isAuthority ? 'an authority' : 'a certificate of a peer'],
    ...shown.uris.map((uri): [string, string] => ['URI', uri]),
    ...shown.dnsNames.map((name): [string, string] => ['DNS', name]),
    ...shown.ipAddresses.map((address): [string, string] => ['IP', address]),
    ['subject', shown.subject],
    ['issuer', shown.issuer === shown.subject ? 'itself' : shown.issuer],
    ['valid', `${shown.notBefore} to ${shown.notAfter}, ${left < 0 ? 'EXPIRED' : `${spanText(left)} left`}`],
    ['key', shown.key],
    ['serial', shown.serial],
    ['sha256', shown.sha256],
    ['spki', shown.spkiSha256],
  ];
  return rows.map(([key, value]) => `${key.padEnd(9)}${value.replace(/\p{Cc}/gu, '?')}\n`).join('');
}
