/** A SPIFFE ID, taken apart. */
export interface SpiffeId {
  readonly trustDomain: string;
  /** With its leading slash; '' for the trust domain itself. */
  readonly path: string;
}

/** The longest ID that the specification asks anybody to take (SPIFFE-ID §2.3). */
const MAX_BYTES = 2048;

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const PATH = /^(?:\/[A-Za-z0-9._-]+)*$/;

/** Whether a text is the name of a trust domain (SPIFFE-ID §2.1). */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

/** Reads `spiffe://example.org/workload`; undefined for anything that is no SPIFFE ID (SPIFFE-ID §2). */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (text.length > MAX_BYTES || !text.startsWith('spiffe://')) return undefined;
  const slash = text.indexOf('/', 9);
  const trustDomain = slash < 0 ? text.substring(9) : text.substring(9, slash);
  const path = slash < 0 ? '' : text.substring(slash);
  if (!isTrustDomain(trustDomain) || !PATH.test(path)) return undefined;
  return path.split('/').some((part) => part === '.' || part === '..') ? undefined : { trustDomain, path };
}
