import { createHash, type X509Certificate } from 'node:crypto';
import type { CertificateValidationContext } from '../config/schema/tls.ts';

/** Certificates, or keys of certificates, of which the peer must show one. */
export class CertificatePins {
  private readonly hashes: ReadonlySet<string>;
  private readonly keys: ReadonlySet<string>;

  private constructor(hashes: readonly string[], keys: readonly string[]) {
    this.hashes = new Set(hashes.map((hash) => hash.replaceAll(':', '').toLowerCase()));
    this.keys = new Set(keys);
  }

  /** `verify_certificate_hash` and `verify_certificate_spki`; undefined without any. */
  static from(config: CertificateValidationContext | undefined): CertificatePins | undefined {
    const { verify_certificate_hash: hashes = [], verify_certificate_spki: keys = [] } = config ?? {};
    return hashes.length + keys.length === 0 ? undefined : new CertificatePins(hashes, keys);
  }

  /** One of either list is enough. */
  hold(certificate: X509Certificate): boolean {
    if (this.hashes.has(certificate.fingerprint256.replaceAll(':', '').toLowerCase())) return true;
    return this.keys.size > 0 && this.keys.has(keyHash(certificate));
  }
}

/** SHA-256 of the SubjectPublicKeyInfo in base64 (RFC 7469 §2.4). */
export function keyHash(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
}
