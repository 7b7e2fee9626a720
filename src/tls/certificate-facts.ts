import type { X509Certificate } from 'node:crypto';
import { DerReader, namedBits, oidText, TAG } from './der.ts';

/** Bits of the key usage extension (RFC 5280 §4.2.1.3). */
export const KEY_USAGE = { digitalSignature: 1, keyCertSign: 1 << 5, crlSign: 1 << 6 } as const;

/** A subject alternative name of a kind of its own. */
export interface OtherName {
  readonly oid: string;
  readonly value: string;
}

/** What a certificate says that Node does not tell. */
export interface CertificateFacts {
  /** Bits of `KEY_USAGE`; undefined when the certificate does not limit its key. */
  readonly keyUsage: number | undefined;
  /** It is meant as an authority, whatever its key may do. */
  readonly isAuthority: boolean;
  /** How many authorities may follow below this one; undefined for no limit. */
  readonly pathLength: number | undefined;
  /** Object identifiers; undefined when the certificate does not limit its use. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly otherNames: readonly OtherName[];
  readonly hasNameConstraints: boolean;
  /** Critical extensions that are not looked at here: who meets one must refuse (RFC 5280 §4.2). */
  readonly unknownCritical: readonly string[];
}

const SUBJECT_ALT_NAME = '2.5.29.17';
const KEY_USAGE_OID = '2.5.29.15';
const BASIC_CONSTRAINTS = '2.5.29.19';
const NAME_CONSTRAINTS = '2.5.29.30';
/** Says under which rules a certificate was issued, which limits nobody who does not ask for one. */
const POLICIES = '2.5.29.32';
const EXTENDED_KEY_USAGE = '2.5.29.37';

type Raw = Pick<X509Certificate, 'raw'>;

const cache = new WeakMap<Raw, CertificateFacts>();

/** Reads the extensions of a certificate, once. @throws DerError */
export function certificateFacts(certificate: Raw): CertificateFacts {
  let facts = cache.get(certificate);
  if (facts === undefined) {
    facts = readFacts(certificate.raw);
    cache.set(certificate, facts);
  }
  return facts;
}

type FactsSoFar = ReturnType<typeof noFacts>;

function noFacts() {
  return {
    keyUsage: undefined as number | undefined,
    isAuthority: false,
    pathLength: undefined as number | undefined,
    extendedKeyUsage: undefined as string[] | undefined,
    otherNames: [] as OtherName[],
    hasNameConstraints: false,
    unknownCritical: [] as string[],
  };
}

function readFacts(der: Buffer): CertificateFacts {
  const facts = noFacts();
  const body = new DerReader(der).enter(TAG.sequence).enter(TAG.sequence);
  while (!body.isAtEnd) {
    const element = body.read();
    // `extensions [3] EXPLICIT`, the last field of a certificate's body.
    if (element.tag !== 0xa3) continue;
    const list = new DerReader(element.content).enter(TAG.sequence);
    while (!list.isAtEnd) readExtension(list.enter(TAG.sequence), facts);
  }
  return facts;
}

function readExtension(extension: DerReader, facts: FactsSoFar): void {
  const oid = oidText(extension.expect(TAG.oid).content);
  const critical = extension.optional(TAG.boolean)?.content[0] === 0xff;
  const value = new DerReader(extension.expect(TAG.octetString).content);
  switch (oid) {
    case KEY_USAGE_OID:
      facts.keyUsage = namedBits(value.expect(TAG.bitString).content);
      break;
    case BASIC_CONSTRAINTS: {
      const constraints = value.enter(TAG.sequence);
      facts.isAuthority = constraints.optional(TAG.boolean)?.content[0] === 0xff;
      const limit = constraints.optional(TAG.integer)?.content;
      // A longer number is no limit that a chain could reach.
      if (limit !== undefined && limit.length === 1) facts.pathLength = limit.readInt8(0);
      break;
    }
    case EXTENDED_KEY_USAGE: {
      const list = value.enter(TAG.sequence);
      facts.extendedKeyUsage = [];
      while (!list.isAtEnd) facts.extendedKeyUsage.push(oidText(list.expect(TAG.oid).content));
      break;
    }
    case SUBJECT_ALT_NAME: {
      const names = value.enter(TAG.sequence);
      while (!names.isAtEnd) {
        const name = names.read();
        if (name.tag === 0xa0) facts.otherNames.push(otherName(name.content));
      }
      break;
    }
    case NAME_CONSTRAINTS:
      facts.hasNameConstraints = true;
      break;
    case POLICIES:
      break;
    default:
      if (critical) facts.unknownCritical.push(oid);
  }
}

/** `OtherName ::= SEQUENCE { type-id, value [0] EXPLICIT ANY }`; the value of a string is its text. */
function otherName(content: Buffer): OtherName {
  const reader = new DerReader(content);
  const oid = oidText(reader.expect(TAG.oid).content);
  const value = new DerReader(reader.expect(0xa0).content).read();
  return { oid, value: value.content.toString(value.tag === TAG.utf8String ? 'utf8' : 'latin1') };
}
