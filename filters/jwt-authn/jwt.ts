import { type Algorithm, algorithmOf } from './algorithms.ts';
import { canonicalAudience } from './audiences.ts';
import { decodeBase64url } from './base64url.ts';
import { FAILURE, type Failure } from './failure.ts';
import { parseStrictObject } from './strict-json.ts';

/** A token that has been read; nothing says yet that it is genuine. */
export interface Jwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The payload's part of the token. */
  readonly payloadText: string;
  readonly algorithm: Algorithm;
  /** '' when the token names no key. */
  readonly keyId: string;
  readonly issuer: string;
  readonly subject: string;
  /** In the form that they are compared in. */
  readonly audiences: readonly string[];
  /** Seconds since 1970; 0 for one that is not given. */
  readonly notBefore: number;
  readonly expires: number;
  /** What is signed: header and payload with the dot between them. */
  readonly signed: Buffer;
  readonly signature: Buffer;
}

const TWO_TO_63 = 2 ** 63;

/** Reads a token in compact form (RFC 7515 §7.1), in the order in which Envoy looks for faults. */
export function parseJwt(token: string): Jwt | Failure {
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  if (first <= 0 || second <= first + 1 || second === token.length - 1 || token.includes('.', second + 1)) {
    return FAILURE.FORMAT;
  }
  const header = readHeader(token.substring(0, first));
  if (!('fields' in header)) return header;
  const payloadText = token.substring(first + 1, second);
  const payloadBytes = decodeBase64url(payloadText);
  if (payloadBytes === undefined) return FAILURE.PAYLOAD_BASE64;
  const payload = parseStrictObject(payloadBytes);
  if (payload === undefined) return FAILURE.PAYLOAD_JSON;
  const claimFault = findClaimFault(payload);
  if (claimFault !== undefined) return claimFault;

  const signature = decodeBase64url(token.substring(second + 1));
  if (signature === undefined) return FAILURE.SIGNATURE_BASE64;
  const { iss = '', sub = '', aud, nbf = 0, exp = 0 } = payload;
  return {
    header: header.fields,
    payload,
    payloadText,
    algorithm: header.algorithm,
    keyId: header.keyId,
    issuer: iss as string,
    subject: sub as string,
    audiences: (typeof aud === 'string' ? [aud] : ((aud as string[] | undefined) ?? [])).map(canonicalAudience),
    notBefore: Math.trunc(nbf as number),
    expires: Math.trunc(exp as number),
    signed: Buffer.from(token.substring(0, second), 'latin1'),
    signature,
  };
}

/** What the first part of a token says. */
interface JwtHeader {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly algorithm: Algorithm;
  readonly keyId: string;
}

/** A longer one is read each time. */
const MAX_KEPT_HEADER_CHARS = 512;
/** The header that was read last: that of all tokens of an issuer, until it takes another key. */
let lastPart = '';
let lastHeader: JwtHeader | undefined;

function readHeader(part: string): JwtHeader | Failure {
  if (lastHeader !== undefined && part === lastPart) return lastHeader;
  const bytes = decodeBase64url(part);
  if (bytes === undefined) return FAILURE.HEADER_BASE64;
  const fields = parseStrictObject(bytes);
  if (fields === undefined) return FAILURE.HEADER_JSON;
  const { alg, kid = '' } = fields;
  if (typeof alg !== 'string') return FAILURE.ALG;
  const algorithm = algorithmOf(alg);
  if (algorithm === undefined) return FAILURE.ALG_UNSUPPORTED;
  if (typeof kid !== 'string') return FAILURE.KID;
  // RFC 7797: `b64` changes what is signed, and counts only with `crit`. Another reader might heed it without.
  if (fields.crit !== undefined || fields.b64 !== undefined) return FAILURE.CRITICAL;
  const header = { fields: Object.freeze(fields), algorithm, keyId: kid };
  if (part.length <= MAX_KEPT_HEADER_CHARS) {
    // A copy: the part would keep the whole token, and the head that it came in.
    lastPart = Buffer.from(part, 'latin1').latin1Slice();
    lastHeader = header;
  }
  return header;
}

/** The first registered claim (RFC 7519 §4.1) whose value is none. */
function findClaimFault(payload: Readonly<Record<string, unknown>>): Failure | undefined {
  const { iss, sub, iat, nbf, exp, jti, aud } = payload;
  if (iss !== undefined && typeof iss !== 'string') return FAILURE.ISS;
  if (sub !== undefined && typeof sub !== 'string') return FAILURE.SUB;
  const timeFault =
    findTimeFault(iat, FAILURE.IAT_TYPE, FAILURE.IAT_RANGE) ??
    findTimeFault(nbf, FAILURE.NBF_TYPE, FAILURE.NBF_RANGE) ??
    findTimeFault(exp, FAILURE.EXP_TYPE, FAILURE.EXP_RANGE);
  if (timeFault !== undefined) return timeFault;
  if (jti !== undefined && typeof jti !== 'string') return FAILURE.JTI;
  const isText = aud === undefined || typeof aud === 'string';
  return isText || (Array.isArray(aud) && aud.every((each) => typeof each === 'string')) ? undefined : FAILURE.AUD;
}

function findTimeFault(value: unknown, type: Failure, range: Failure): Failure | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') return type;
  // 2^63 too: the largest integer of 64 bits is read as that.
  return value >= 0 && value <= TWO_TO_63 ? undefined : range;
}
