import type { RequestHead } from '../../src/http/message.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import type { Jwt } from './jwt.ts';
import type { JwtProvider } from './schema.ts';
import { copyOf } from './token-cache.ts';

/** What no header may carry (RFC 9110 §5.5), of text as it goes over the wire. */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/;

/** A genuine token, reduced to what requests with it need. */
export interface Verified {
  /** First millisecond since 1970 at which it has expired, skew included; Infinity for one that never does. */
  readonly expiredAtMs: number;
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Names and values of the headers that are added, one behind the other. */
  readonly headers: readonly string[];
  /** Frozen, since requests share them; undefined where nobody asked for them. */
  readonly payload: unknown;
  readonly header: unknown;
}

/** Makes the reduced form of a provider's tokens. Undefined is a token with a claim that no header may carry. */
export function compileReduction(config: JwtProvider, skewSeconds: number): (jwt: Jwt) => Verified | undefined {
  const claims = config.claim_to_headers.map((claim) => ({
    name: claim.header_name,
    path: claim.claim_name === '' ? claim.claim_path.map(({ key }) => key) : claim.claim_name.split('.'),
  }));
  const payloadHeader = config.forward_payload_header ?? '';
  const spaced = config.normalize_payload_in_metadata?.space_delimited_claims ?? [];
  return (jwt) => {
    const headers: string[] = [];
    if (payloadHeader !== '') headers.push(payloadHeader, payloadValue(jwt.payloadText, config));
    for (const { name, path } of claims) {
      const claim = claimAt(jwt.payload, path);
      const value = toWireText(isRounded(claim) ? exactText(jwt.payloadText, path) : claimText(claim));
      if (FORBIDDEN.test(value)) return undefined;
      if (value !== '') headers.push(name, value);
    }
    return {
      expiredAtMs: jwt.expires === 0 ? Number.POSITIVE_INFINITY : (jwt.expires + skewSeconds + 1) * 1000,
      issuer: jwt.issuer,
      audiences: jwt.audiences,
      headers,
      payload: config.payload_in_metadata === '' ? undefined : freeze(normalize(jwt.payload, spaced)),
      header: config.header_in_metadata === '' ? undefined : freeze(jwt.header),
    };
  };
}

/** Adds the headers that were made of a token. */
export function addHeaders(request: RequestHead, headers: readonly string[]): void {
  for (let i = 0; i < headers.length; i += 2) request.append(headers[i] as string, headers[i + 1] as string);
}

function payloadValue(text: string, config: JwtProvider): string {
  return copyOf(config.pad_forward_payload_header ? text.padEnd(Math.ceil(text.length / 4) * 4, '=') : text);
}

function claimAt(payload: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = payload;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** A claim as a header has it: Envoy's forms. Lists and objects are base64 of their JSON; '' is no header. */
function claimText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
      return String(value);
    case 'number':
      return numberText(value);
    case 'object':
      return value === null ? '' : Buffer.from(JSON.stringify(value)).toString('base64');
    default:
      return '';
  }
}

/** Whether a claim is an unsigned integer of 64 bits, of which JSON.parse kept only the first digits. */
function isRounded(value: unknown): boolean {
  return typeof value === 'number' && value > Number.MAX_SAFE_INTEGER && value <= 2 ** 64;
}

/** Such a claim as it is spelled: rounded, the ids of two users would be one. */
function exactText(payloadText: string, path: readonly string[]): string {
  const keep = (_key: string, value: unknown, { source }: { source?: string }): unknown =>
    isRounded(value) && /^\d+$/.test(source ?? '') ? BigInt(source as string) : value;
  // The types of the library do not know the third argument of a reviver yet.
  const parse = JSON.parse as (text: string, reviver: typeof keep) => Record<string, unknown>;
  const claim = claimAt(parse(Buffer.from(payloadText, 'base64url').toString('utf8'), keep), path);
  return typeof claim === 'bigint' && claim < 2n ** 64n ? String(claim) : claimText(Number(claim));
}

/** An unsigned integer of 64 bits as such, any other number with six decimals. */
function numberText(value: number): string {
  const isWhole = Number.isInteger(value);
  if (isWhole && value >= 0 && value < 2 ** 64) return String(BigInt(value));
  return isWhole ? `${BigInt(value)}.000000` : value.toFixed(6);
}

/** A copy in which the named claims, texts with spaces between words, are lists of the words. */
function normalize(payload: Readonly<Record<string, unknown>>, spaced: readonly string[]): Record<string, unknown> {
  const copy = { ...payload };
  for (const claim of spaced) {
    const value = Object.hasOwn(copy, claim) ? copy[claim] : undefined;
    if (typeof value === 'string') copy[claim] = value.split(' ').filter((word) => word !== '');
  }
  return copy;
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
