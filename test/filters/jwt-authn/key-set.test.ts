import { generateKeyPairSync } from 'node:crypto';
import { jwtVerify } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { FAILURE } from '../../../filters/jwt-authn/failure.ts';
import { type Jwt, parseJwt } from '../../../filters/jwt-authn/jwt.ts';
import { KeySet } from '../../../filters/jwt-authn/key-set.ts';
import { jwksOf, makeKey, part, sign, signHmac, type TestKey } from '../../support/jwt.ts';

const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'HS256', 'HS384', 'HS512'],
];
const keys = new Map<string, TestKey>();
const keyOf = (alg: string): TestKey => keys.get(alg) as TestKey;
const setOf = (...all: object[]): KeySet => KeySet.parse(JSON.stringify({ keys: all }));
const read = (token: string): Jwt => parseJwt(token) as Jwt;

beforeAll(async () => {
  for (const alg of ALGORITHMS) keys.set(alg, await makeKey(alg));
});

describe('a signature', () => {
  test.each(ALGORITHMS)('by %s is right by its own key, in whatever set, and wrong when a bit differs', async (alg) => {
    const all = KeySet.parse(jwksOf(...keys.values()));
    const token = await sign(keyOf(alg), { sub: 'x' });
    expect(all.verify(read(token))).toBeUndefined();
    expect(all.verify(read(await sign(keyOf(alg), { sub: 'x' }, { kid: undefined })))).toBeUndefined();
    const [head = '', , signature = ''] = token.split('.');
    expect(all.verify(read(`${head}.${part({ sub: 'admin' })}.${signature}`))).toBe(FAILURE.VERIFICATION);
    for (const at of [0, -1]) {
      const bytes = Buffer.from(signature, 'base64url');
      const index = at < 0 ? bytes.length + at : at;
      bytes[index] = (bytes[index] as number) ^ 1;
      const jwt = read(`${token.slice(0, token.lastIndexOf('.'))}.${bytes.toString('base64url')}`);
      expect(all.verify(jwt)).toBe(FAILURE.VERIFICATION);
    }
  });

  test.each(ALGORITHMS)('by %s is right for jose too', async (alg) => {
    const token = await sign(keyOf(alg), { sub: 'x' });
    expect(setOf(keyOf(alg).jwk).verify(read(token))).toBeUndefined();
    const { kty, k } = keyOf(alg).jwk as { kty: string; k?: string };
    const key = kty === 'oct' ? Buffer.from(k as string, 'base64url') : (keyOf(alg).jwk as never);
    await expect(jwtVerify(token, key)).resolves.toMatchObject({ payload: { sub: 'x' } });
  });

  test('of another length is refused before it is checked', async () => {
    for (const alg of ['ES256', 'EdDSA', 'HS256']) {
      const token = await sign(keyOf(alg));
      const cut = token.lastIndexOf('.') + 1;
      const short = Buffer.from(token.slice(cut), 'base64url').subarray(0, 30).toString('base64url');
      const failure = setOf(keyOf(alg).jwk).verify(read(token.slice(0, cut) + short));
      expect(failure).toBe(alg === 'EdDSA' ? FAILURE.ED25519_LENGTH : FAILURE.VERIFICATION);
    }
  });
});

describe('algorithms are not confused', () => {
  test('HMAC keyed by what is public of an RSA key', () => {
    const { n, e, kty } = keyOf('RS256').jwk as { n: string; e: string; kty: string };
    const publicKey = { kty, n, e, kid: 'k' };
    const spellings = [n, JSON.stringify(publicKey), Buffer.from(n, 'base64url').toString('latin1')];
    for (const secret of spellings) {
      const forger = { ...keyOf('HS256'), privateKey: Buffer.from(secret, 'latin1') };
      const token = signHmac(forger, { alg: 'HS256', kid: 'k' }, { sub: 'admin' });
      expect(setOf(publicKey).verify(read(token))).toBe(FAILURE.VERIFICATION);
    }
  });

  test('PS256 by a key for RS256, ES384 by a key of P-256', async () => {
    const pss = await sign(keyOf('PS256'), {}, { kid: 'RS256' });
    expect(setOf({ ...keyOf('PS256').jwk, kid: 'RS256', alg: 'RS256' }).verify(read(pss))).toBe(FAILURE.NO_KEY);
    const token = await sign(keyOf('ES256'));
    const [, body = '', signature = ''] = token.split('.');
    const renamed = `${part({ alg: 'ES384', kid: 'ES256' })}.${body}.${signature}`;
    expect(setOf({ ...keyOf('ES256').jwk, alg: undefined }).verify(read(renamed))).toBe(FAILURE.VERIFICATION);
  });

  test('an RSA key without alg takes both of its kinds', async () => {
    for (const alg of ['RS256', 'PS256', 'RS512', 'PS512']) {
      expect(setOf({ ...keyOf(alg).jwk, alg: undefined }).verify(read(await sign(keyOf(alg))))).toBeUndefined();
    }
  });
});

describe('keys are chosen by kid', () => {
  test('an unknown one has none, a key without kid is tried for all', async () => {
    const token = await sign(keyOf('RS256'), {}, { kid: 'unknown' });
    expect(setOf(keyOf('RS256').jwk).verify(read(token))).toBe(FAILURE.NO_KEY);
    expect(setOf({ ...keyOf('RS256').jwk, kid: undefined }).verify(read(token))).toBeUndefined();
  });

  test('a right signature by a key of another kid is wrong', async () => {
    const other = await makeKey('RS256', 'other');
    const token = await sign(other, {}, { kid: 'RS256' });
    expect(setOf(keyOf('RS256').jwk, other.jwk).verify(read(token))).toBe(FAILURE.VERIFICATION);
  });
});

describe('a set', () => {
  const large = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
  test.each<[string, unknown, RegExp]>([
    ['no JSON', '{', /is an invalid JSON/],
    ['null', null, /does not have \[keys\]/],
    ['no keys', {}, /does not have \[keys\]/],
    ['an empty list', { keys: [] }, /any valid public key$/],
    ['a key of a kind that is not there', { keys: [{ kty: 'DSA' }] }, /keys\[0\] has the type "DSA"/],
    ['a text', { keys: ['x'] }, /is not an object/],
    ['an empty secret', { keys: [{ kty: 'oct', k: '' }] }, /has no secret/],
    ['a short RSA key', { keys: [small] }, /has 1024 bits, at least 2048/],
    ['an RSA key that signs nothing', { keys: [{ ...large, e: 'AQ' }] }, /has the exponent 1, at least 3/],
    ['a key for encryption', { keys: [{ ...small, use: 'enc' }] }, /not for signatures/],
    ['a key for signing alone', { keys: [{ ...small, key_ops: ['sign'] }] }, /not for verifying/],
    ['a point that is not on the curve', { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }] }, /cannot be read/],
    ['alg of another type', { keys: [{ ...small, alg: 'ES256' }] }, /is not a key for ES256/],
    ['Ed448', { keys: [{ kty: 'OKP', crv: 'Ed448', x: 'AA' }] }, /has the curve Ed448/],
  ])('of %s is refused with the reason', (_, value, reason) => {
    expect(() => KeySet.parse(typeof value === 'string' ? value : JSON.stringify(value))).toThrow(reason);
  });

  test('leaves out what it cannot use', async () => {
    const set = setOf({ kty: 'DSA' }, { kty: 'RSA', n: 1 }, keyOf('ES256').jwk);
    expect(set.verify(read(await sign(keyOf('ES256'))))).toBeUndefined();
  });

  test('takes the public part of a private key', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'k' };
    const token = await sign({ alg: 'RS256', kid: 'k', jwk, privateKey: await importSigningKey(jwk) });
    expect(setOf(jwk).verify(read(token))).toBeUndefined();
  });
});

function importSigningKey(jwk: object): Promise<CryptoKey> {
  return crypto.subtle.importKey('jwk', jwk, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign']);
}
