import { verify, type X509Certificate } from 'node:crypto';
import { type DerElement, DerError, DerReader, oidText, TAG, timeMs } from './der.ts';

/** Digests of signature algorithms; undefined for those that have none of their own. */
const DIGESTS: Readonly<Record<string, string | undefined>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': undefined,
};

/** What a revocation list says of one certificate; `unusable` when the list itself does not hold. */
export type RevocationVerdict = 'good' | 'revoked' | 'expired' | 'unusable';

/** A certificate revocation list (RFC 5280 §5). */
export class RevocationList {
  private readonly issuer: Buffer;
  private readonly thisUpdateMs: number;
  /** Milliseconds since the epoch; infinite when the list does not say. */
  readonly nextUpdateMs: number;
  private readonly serials = new Set<string>();
  private readonly signed: Buffer;
  private readonly signature: Buffer;
  private readonly algorithm: string;
  /** It says something critical that is not understood: delta lists, lists of a part. */
  private readonly isPartial: boolean;

  /** @throws DerError */
  constructor(der: Buffer) {
    const list = new DerReader(der).enter(TAG.sequence);
    const body = list.expect(TAG.sequence);
    this.signed = body.whole;
    this.algorithm = oidText(list.enter(TAG.sequence).expect(TAG.oid).content);
    const bits = list.expect(TAG.bitString).content;
    if (bits[0] !== 0) throw new DerError('a signature with unused bits');
    this.signature = bits.subarray(1);
    const fields = new DerReader(body.content);
    fields.optional(TAG.integer);
    fields.expect(TAG.sequence);
    this.issuer = fields.expect(TAG.sequence).whole;
    this.thisUpdateMs = timeMs(fields.read());
    this.nextUpdateMs = isTime(fields.nextTag) ? timeMs(fields.read()) : Number.POSITIVE_INFINITY;
    const entries = fields.optional(TAG.sequence);
    if (entries !== undefined) this.readEntries(entries);
    this.isPartial = hasCritical(fields.optional(0xa0));
  }

  private readEntries(entries: DerElement): void {
    const reader = new DerReader(entries.content);
    while (!reader.isAtEnd) this.serials.add(serialText(reader.enter(TAG.sequence).expect(TAG.integer).content));
  }

  /** Whether this list is about the certificates of an authority. */
  isOf(issuer: X509Certificate): boolean {
    return subjectOf(issuer).equals(this.issuer);
  }

  verdict(certificate: X509Certificate, issuer: X509Certificate, nowMs: number): RevocationVerdict {
    if (this.isPartial || this.thisUpdateMs > nowMs || !this.isSignedBy(issuer)) return 'unusable';
    if (this.nextUpdateMs < nowMs) return 'expired';
    return this.serials.has(certificate.serialNumber.replace(/^0+/, '').toUpperCase()) ? 'revoked' : 'good';
  }

  private isSignedBy(issuer: X509Certificate): boolean {
    if (!Object.hasOwn(DIGESTS, this.algorithm)) return false;
    try {
      return verify(DIGESTS[this.algorithm] ?? null, this.signed, issuer.publicKey, this.signature);
    } catch {
      return false;
    }
  }
}

function isTime(tag: number): boolean {
  return tag === TAG.utcTime || tag === TAG.generalizedTime;
}

function serialText(content: Buffer): string {
  return content.toString('hex').replace(/^0+/, '').toUpperCase();
}

function hasCritical(extensions: DerElement | undefined): boolean {
  if (extensions === undefined) return false;
  const list = new DerReader(extensions.content).enter(TAG.sequence);
  while (!list.isAtEnd) {
    const extension = list.enter(TAG.sequence);
    extension.expect(TAG.oid);
    if (extension.optional(TAG.boolean)?.content[0] === 0xff) return true;
  }
  return false;
}

/** The subject of a certificate as bytes: what a list names as its issuer. */
function subjectOf(certificate: X509Certificate): Buffer {
  const body = new DerReader(certificate.raw).enter(TAG.sequence).enter(TAG.sequence);
  body.optional(0xa0);
  body.expect(TAG.integer);
  body.expect(TAG.sequence);
  body.expect(TAG.sequence);
  body.expect(TAG.sequence);
  return body.expect(TAG.sequence).whole;
}
