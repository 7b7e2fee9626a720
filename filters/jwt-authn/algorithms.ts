import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto';

/** One value of `alg` (RFC 7518 §3.1, RFC 8037 §3.1): which keys it takes, and how a signature is checked with one. */
export interface Algorithm {
  readonly name: string;
  readonly keyType: 'RSA' | 'EC' | 'OKP' | 'oct';
  /** The curve that the key must have. */
  readonly curve: string | undefined;
  /** Length that a signature must have, bytes; undefined where the key decides. */
  readonly signatureBytes: number | undefined;
  verify(signed: Buffer, key: KeyObject, signature: Buffer): boolean;
}

function hmac(bits: number): Algorithm {
  const hash = `sha${bits}`;
  return {
    name: `HS${bits}`,
    keyType: 'oct',
    curve: undefined,
    signatureBytes: bits / 8,
    verify: (signed, key, signature) => timingSafeEqual(createHmac(hash, key).update(signed).digest(), signature),
  };
}

function rsa(bits: number): Algorithm {
  const hash = `sha${bits}`;
  return {
    name: `RS${bits}`,
    keyType: 'RSA',
    curve: undefined,
    signatureBytes: undefined,
    verify: (signed, key, signature) => verify(hash, signed, key, signature),
  };
}

function rsaPss(bits: number): Algorithm {
  const hash = `sha${bits}`;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return {
    name: `PS${bits}`,
    keyType: 'RSA',
    curve: undefined,
    signatureBytes: undefined,
    // RFC 7518 §3.5: the salt is as long as the hash.
    verify: (signed, key, signature) => verify(hash, signed, { key, padding, saltLength: bits / 8 }, signature),
  };
}

function ecdsa(bits: number, curve: string, signatureBytes: number): Algorithm {
  const hash = `sha${bits}`;
  return {
    name: `ES${bits}`,
    keyType: 'EC',
    curve,
    signatureBytes,
    verify: (signed, key, signature) => verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature),
  };
}

const ED25519: Algorithm = {
  name: 'EdDSA',
  keyType: 'OKP',
  curve: 'Ed25519',
  signatureBytes: 64,
  verify: (signed, key, signature) => verify(null, signed, key, signature),
};

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map(
  [
    ...[256, 384, 512].flatMap((bits) => [hmac(bits), rsa(bits), rsaPss(bits)]),
    ecdsa(256, 'P-256', 64),
    ecdsa(384, 'P-384', 96),
    ecdsa(512, 'P-521', 132),
    ED25519,
  ].map((algorithm) => [algorithm.name, algorithm]),
);

/** Undefined for `none` and whatever else is not there. */
export function algorithmOf(name: string): Algorithm | undefined {
  return ALGORITHMS.get(name);
}
