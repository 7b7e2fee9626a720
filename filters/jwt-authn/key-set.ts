import { createPublicKey, createSecretKey, type KeyObject, type webcrypto } from 'node:crypto';
import { algorithmOf } from './algorithms.ts';
import { decodeBase64url } from './base64url.ts';
import { FAILURE, type Failure } from './failure.ts';
import type { Jwt } from './jwt.ts';

/** RFC 7518 §3.3: shorter RSA keys must not be used. */
const MIN_RSA_BITS = 2048;

interface Key {
  /** '' when the key has none: it is tried for every token. */
  readonly id: string;
  /** The one algorithm that the key is for; '' for all that fit its type. */
  readonly algorithm: string;
  readonly type: string;
  /** The curve, of EC and OKP. */
  readonly curve: string | undefined;
  readonly key: KeyObject;
}

/** A key set that is one, but has no key to use: what its owner says when all keys are withdrawn. */
export class NoKeysError extends Error {}

/** The usable keys of a JSON Web Key Set (RFC 7517 §5), in its order. */
export class KeySet {
  readonly #keys: readonly Key[];

  private constructor(keys: readonly Key[]) {
    this.#keys = keys;
  }

  /** @throws Error that says what is wrong; NoKeysError when it is that there is no usable key */
  static parse(text: string): KeySet {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Error('Jwks is an invalid JSON');
    }
    const list = (value as { keys?: unknown } | null)?.keys;
    if (!Array.isArray(list)) throw new Error('Jwks does not have [keys] field');
    const problems: string[] = [];
    const keys: Key[] = [];
    for (const [index, jwk] of list.entries()) {
      // RFC 7517 §5: keys that cannot be used are left out, and the others count.
      const key = importKey(jwk);
      if (typeof key === 'string') problems.push(`keys[${index}] ${key}`);
      else keys.push(key);
    }
    if (keys.length > 0) return new KeySet(keys);
    const why = problems.length === 0 ? '' : `: ${problems.slice(0, 5).join('; ')}`;
    throw new NoKeysError(`Jwks doesn't have any valid public key${why}`);
  }

  /**
   * Checks a signature by the keys that may have made it. The token's algorithm must be one of the key's own type, so
   * that no public key is ever taken for a secret (RFC 8725 §2.1).
   */
  verify(jwt: Jwt): Failure | undefined {
    const { algorithm, keyId, signed, signature } = jwt;
    let isNamed = false;
    for (const key of this.#keys) {
      if (keyId !== '' && key.id !== '' && key.id !== keyId) continue;
      if (key.algorithm !== '' && key.algorithm !== algorithm.name) continue;
      isNamed = true;
      if (key.type !== algorithm.keyType || key.curve !== algorithm.curve) continue;
      if (algorithm.signatureBytes !== undefined && signature.length !== algorithm.signatureBytes) {
        if (algorithm.keyType === 'OKP') return FAILURE.ED25519_LENGTH;
        continue;
      }
      if (algorithm.verify(signed, key.key, signature)) return undefined;
    }
    return isNamed ? FAILURE.VERIFICATION : FAILURE.NO_KEY;
  }
}

/** A key, or why it cannot be used. */
function importKey(value: unknown): Key | string {
  if (typeof value !== 'object' || value === null) return 'is not an object';
  const { kty, kid = '', alg = '', use, key_ops: operations, crv } = value as Record<string, unknown>;
  if (typeof kid !== 'string' || typeof alg !== 'string') return 'has a kid or alg that is not a string';
  if (use !== undefined && use !== 'sig') return 'is not for signatures';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return 'is not for verifying';
  }
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP' && kty !== 'oct') return `has the type ${JSON.stringify(kty)}`;
  const curve = kty === 'EC' || kty === 'OKP' ? String(crv) : undefined;
  if (alg !== '') {
    const algorithm = algorithmOf(alg);
    if (algorithm === undefined) return `has the algorithm ${JSON.stringify(alg)}`;
    if (algorithm.keyType !== kty || algorithm.curve !== curve) return `is not a key for ${alg}`;
  }
  if (kty === 'OKP' && curve !== 'Ed25519') return `has the curve ${curve}`;
  try {
    const key =
      kty === 'oct' ? importSecret(value as webcrypto.JsonWebKey) : importPublic(value as webcrypto.JsonWebKey);
    return typeof key === 'string' ? key : { id: kid, algorithm: alg, type: kty, curve, key };
  } catch {
    return 'cannot be read';
  }
}

function importSecret({ k }: webcrypto.JsonWebKey): KeyObject | string {
  const bytes = typeof k === 'string' ? decodeBase64url(k.replace(/=+$/, '')) : undefined;
  // Everybody can sign with the empty secret.
  return bytes === undefined || bytes.length === 0 ? 'has no secret' : createSecretKey(bytes);
}

function importPublic(jwk: webcrypto.JsonWebKey): KeyObject | string {
  const { kty, crv, n, e, x, y } = jwk;
  // The public members alone: a private key that was published by mistake is not taken into memory.
  const members = kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x };
  const key = createPublicKey({ key: members as webcrypto.JsonWebKey, format: 'jwk' });
  const { modulusLength: bits, publicExponent: exponent } = key.asymmetricKeyDetails ?? {};
  // With 1, a signature is what is signed: everybody can make one (RFC 8017 §3.1 begins at 3).
  if (kty === 'RSA' && (exponent ?? 0n) < 3n) return `has the exponent ${exponent}, at least 3 is needed`;
  return kty === 'RSA' && (bits ?? 0) < MIN_RSA_BITS ? `has ${bits} bits, at least ${MIN_RSA_BITS} are needed` : key;
}
