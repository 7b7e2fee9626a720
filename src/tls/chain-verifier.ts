import type { X509Certificate } from 'node:crypto';
import { certificateFacts, KEY_USAGE } from './certificate-facts.ts';
import { DerError } from './der.ts';
import { intermediates } from './intermediates.ts';
import type { RevocationList } from './revocation-list.ts';

/** What a chain must hold. */
export interface ChainRules {
  /** Certificates that are believed as they are. */
  readonly anchors: readonly X509Certificate[];
  /** What the certificate is shown as: a client's or a server's. */
  readonly purpose: 'client' | 'server';
  readonly ignoresTime?: boolean;
  /** The most authorities between the certificate and the one that is believed; undefined for no limit. */
  readonly maxDepth?: number | undefined;
  readonly revocationLists?: readonly RevocationList[];
  /** Only the peer's own certificate is looked up in the lists. */
  readonly revokesLeafOnly?: boolean;
}

/** An OpenSSL text for why a chain does not hold. */
export type ChainProblem = string;

const PURPOSES = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' } as const;
const ANY_PURPOSE = '2.5.29.37.0';

/** Longer chains do not exist; whoever sends one wants work done. */
const MAX_LENGTH = 8;
/** Signatures that are checked for one certificate at most. */
const MAX_SIGNATURES = 24;
const MAX_REMEMBERED = 4096;

const UNKNOWN_ISSUER = 'unable to get local issuer certificate';

/**
 * Finds a way from a peer's certificate to an anchor (RFC 5280 §6), where OpenSSL's own verdict is not enough: for
 * anchors that depend on the certificate, and for rules that Node does not pass on. One verifier has one set of
 * anchors and lists for its life, so it may remember whom it found good.
 */
export class ChainVerifier {
  private readonly rules: ChainRules;
  private readonly anchorPrints: ReadonlySet<string>;
  /** When a certificate was found good, and until when it is, milliseconds since the epoch, by fingerprint. */
  private readonly good = new Map<string, { readonly sinceMs: number; readonly untilMs: number }>();

  constructor(rules: ChainRules) {
    // What other threads see from now on counts here too.
    intermediates.open();
    this.rules = rules;
    this.anchorPrints = new Set(rules.anchors.map((anchor) => anchor.fingerprint256));
  }

  /**
   * Undefined when the chain holds.
   * @param leaf with the chain that came along, as Node links it.
   * @param isResumed the session is a resumed one, which brings no chain.
   */
  problem(leaf: X509Certificate, isResumed: boolean, nowMs = Date.now()): ChainProblem | undefined {
    const chain = presented(leaf);
    const prints = [leaf, ...chain].map(({ fingerprint256 }) => fingerprint256).join();
    const print = isResumed ? `resumed ${prints}` : prints;
    const known = this.good.get(print);
    // A clock that went back may stand before the beginning of a certificate or of a list.
    if (known !== undefined && nowMs >= known.sinceMs && nowMs <= known.untilMs) return undefined;
    const search = new Search(this.rules, this.anchorPrints, nowMs);
    let found: Found | ChainProblem;
    try {
      found = search.from(leaf, isResumed ? intermediates.with(chain) : chain);
    } catch (error) {
      if (error instanceof DerError) return `certificate cannot be read: ${error.message}`;
      throw error;
    }
    if (typeof found === 'string') {
      this.good.delete(print);
      return found;
    }
    if (this.good.size >= MAX_REMEMBERED) this.good.delete(this.good.keys().next().value as string);
    this.good.set(print, { sinceMs: nowMs, untilMs: found.untilMs });
    intermediates.remember(found.path);
    return undefined;
  }
}

/** What the peer sent besides its own certificate. */
function presented(leaf: X509Certificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let at = leaf.issuerCertificate; at !== undefined && chain.length < MAX_LENGTH; at = at.issuerCertificate) {
    chain.push(at);
  }
  return chain;
}

interface Found {
  readonly untilMs: number;
  /** Authorities between the certificate and its anchor. */
  readonly path: readonly X509Certificate[];
}

/** One walk upwards. The first problem on the most promising way is what is told. */
class Search {
  private readonly rules: ChainRules;
  private readonly anchorPrints: ReadonlySet<string>;
  private readonly nowMs: number;
  private signaturesLeft = MAX_SIGNATURES;
  private told: ChainProblem | undefined;

  constructor(rules: ChainRules, anchorPrints: ReadonlySet<string>, nowMs: number) {
    this.rules = rules;
    this.anchorPrints = anchorPrints;
    this.nowMs = nowMs;
  }

  from(leaf: X509Certificate, candidates: readonly X509Certificate[]): Found | ChainProblem {
    const problem = this.ownProblem(leaf, 0);
    if (problem !== undefined) return problem;
    const untilMs = this.rules.ignoresTime === true ? Number.POSITIVE_INFINITY : leaf.validToDate.getTime();
    // A certificate that is believed itself needs nobody above it.
    if (this.anchorPrints.has(leaf.fingerprint256)) return { untilMs: this.untilNextLists(untilMs), path: [] };
    return this.climb([leaf], candidates, untilMs) ?? this.told ?? UNKNOWN_ISSUER;
  }

  private climb(
    chain: readonly X509Certificate[],
    candidates: readonly X509Certificate[],
    untilMs: number,
  ): Found | undefined {
    const last = chain.at(-1) as X509Certificate;
    for (const anchor of this.rules.anchors) {
      if (!this.issued(anchor, last) || !this.accepts(anchor, chain, true)) continue;
      return { untilMs: this.untilNextLists(this.earlier(untilMs, anchor)), path: chain.slice(1) };
    }
    if (chain.length >= MAX_LENGTH) {
      this.tell('certificate chain too long');
      return undefined;
    }
    for (const candidate of candidates) {
      if (chain.includes(candidate) || !this.issued(candidate, last) || !this.accepts(candidate, chain, false))
        continue;
      const found = this.climb([...chain, candidate], candidates, this.earlier(untilMs, candidate));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  private earlier(untilMs: number, certificate: X509Certificate): number {
    return this.rules.ignoresTime === true ? untilMs : Math.min(untilMs, certificate.validToDate.getTime());
  }

  /** A list that runs out ends what is remembered by it. */
  private untilNextLists(untilMs: number): number {
    return (this.rules.revocationLists ?? []).reduce((until, list) => Math.min(until, list.nextUpdateMs), untilMs);
  }

  private issued(issuer: X509Certificate, subject: X509Certificate): boolean {
    if (!subject.checkIssued(issuer)) return false;
    if (this.signaturesLeft-- <= 0) {
      this.tell('certificate chain too long');
      return false;
    }
    if (subject.verify(issuer.publicKey)) return true;
    this.tell('certificate signature failure');
    return false;
  }

  /** Whether an authority may stand above a chain that it signed. */
  private accepts(issuer: X509Certificate, chain: readonly X509Certificate[], isAnchor: boolean): boolean {
    const problem = this.authorityProblem(issuer, chain, isAnchor) ?? this.revocation(chain, issuer);
    if (problem === undefined) return true;
    this.tell(problem);
    return false;
  }

  private authorityProblem(
    issuer: X509Certificate,
    chain: readonly X509Certificate[],
    isAnchor: boolean,
  ): ChainProblem | undefined {
    const { maxDepth } = this.rules;
    const { pathLength, keyUsage } = certificateFacts(issuer);
    if (!issuer.ca) return 'invalid CA certificate';
    if (keyUsage !== undefined && (keyUsage & KEY_USAGE.keyCertSign) === 0)
      return 'key usage does not include certificate signing';
    // Authorities between this one and the certificate; those that issued themselves do not count (§4.2.1.9).
    const below = chain.slice(1).filter((certificate) => certificate.subject !== certificate.issuer).length;
    if (pathLength !== undefined && below > pathLength) return 'path length constraint exceeded';
    if (maxDepth !== undefined && chain.length - (isAnchor ? 1 : 0) > maxDepth) return 'certificate chain too long';
    return this.ownProblem(issuer, isAnchor ? -1 : chain.length);
  }

  /** @param depth 0 for the peer's certificate, -1 for an anchor. */
  private ownProblem(certificate: X509Certificate, depth: number): ChainProblem | undefined {
    const facts = certificateFacts(certificate);
    if (facts.unknownCritical.length > 0) return `unhandled critical extension ${facts.unknownCritical[0]}`;
    if (facts.hasNameConstraints) return 'name constraints are not supported';
    const usage = facts.extendedKeyUsage;
    if (usage !== undefined && !usage.includes(PURPOSES[this.rules.purpose]) && !usage.includes(ANY_PURPOSE)) {
      return depth === 0 ? 'unsuitable certificate purpose' : 'unsuitable certificate purpose of an authority';
    }
    const { publicKey } = certificate;
    if ((publicKey.asymmetricKeyDetails?.modulusLength ?? 2048) < 2048)
      return depth === 0 ? 'EE certificate key too weak' : 'CA certificate key too weak';
    if (depth >= 0 && /md5|sha-?1(?!\d)/i.test(certificate.signatureAlgorithm ?? ''))
      return 'CA signature digest algorithm too weak';
    if (this.rules.ignoresTime === true) return undefined;
    if (certificate.validFromDate.getTime() > this.nowMs) return 'certificate is not yet valid';
    return certificate.validToDate.getTime() < this.nowMs ? 'certificate has expired' : undefined;
  }

  /** What the lists say of the last certificate of a chain. */
  private revocation(chain: readonly X509Certificate[], issuer: X509Certificate): ChainProblem | undefined {
    const { revocationLists: lists = [], revokesLeafOnly } = this.rules;
    if (lists.length === 0 || (revokesLeafOnly === true && chain.length > 1)) return undefined;
    let problem: ChainProblem = 'unable to get certificate CRL';
    let isGood = false;
    for (const list of lists) {
      if (!list.isOf(issuer)) continue;
      const verdict = list.verdict(chain.at(-1) as X509Certificate, issuer, this.nowMs);
      if (verdict === 'revoked') return 'certificate revoked';
      if (verdict === 'good') isGood = true;
      if (verdict === 'expired') problem = 'CRL has expired';
      if (verdict === 'unusable') problem = 'CRL signature failure';
    }
    return isGood ? undefined : problem;
  }

  private tell(problem: ChainProblem): void {
    this.told ??= problem;
  }
}
