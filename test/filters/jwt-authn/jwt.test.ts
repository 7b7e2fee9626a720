import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FAILURE, Failure } from '../../../filters/jwt-authn/failure.ts';
import { type Jwt, parseJwt } from '../../../filters/jwt-authn/jwt.ts';
import { part } from '../../support/jwt.ts';

const HEADER = { alg: 'RS256', kid: 'k' };
const SIGNATURE = part('signature');

function tokenOf(header: unknown, payload: unknown): string {
  return `${part(header)}.${part(payload)}.${SIGNATURE}`;
}

test('what a token says is read from it', () => {
  const payload = {
    iss: 'i',
    sub: 's',
    aud: ['https://a/', 'b'],
    nbf: 5.9,
    exp: 7.9,
    iat: 1,
    jti: 'j',
    more: { x: 1 },
  };
  const token = tokenOf(HEADER, payload);
  const jwt = parseJwt(token) as Jwt;
  expect(jwt).toMatchObject({
    header: HEADER,
    payload,
    payloadText: part(payload),
    keyId: 'k',
    issuer: 'i',
    subject: 's',
    audiences: ['a', 'b'],
    notBefore: 5,
    expires: 7,
  });
  expect(jwt.algorithm.name).toBe('RS256');
  expect(jwt.signed.toString()).toBe(token.slice(0, token.lastIndexOf('.')));
  expect(jwt.signature.toString()).toBe('signature');
});

test('what a token leaves out is empty', () => {
  const jwt = parseJwt(tokenOf({ alg: 'ES256' }, {}));
  expect(jwt).toMatchObject({ keyId: '', issuer: '', subject: '', audiences: [], notBefore: 0, expires: 0 });
});

describe('is refused', () => {
  const good = part({ iss: 'i' });
  test.each<[string, string, Failure]>([
    ['nothing', '', FAILURE.FORMAT],
    ['dots alone', '..', FAILURE.FORMAT],
    ['one part', 'abc', FAILURE.FORMAT],
    ['an empty header', `.${good}.${SIGNATURE}`, FAILURE.FORMAT],
    ['an empty payload', `${part(HEADER)}..${SIGNATURE}`, FAILURE.FORMAT],
    ['an empty signature', `${part(HEADER)}.${good}.`, FAILURE.FORMAT],
    ['a fourth part', `${tokenOf(HEADER, {})}.x`, FAILURE.FORMAT],
    ['a dot at the end', `${tokenOf(HEADER, {})}.`, FAILURE.FORMAT],
    ['standard base64', `${part(HEADER)}.${good}.a+b/`, FAILURE.SIGNATURE_BASE64],
    ['padding', `${part(HEADER)}.${good}.ab==`, FAILURE.SIGNATURE_BASE64],
    ['a length that no bytes have', `${part(HEADER)}.${good}.abcde`, FAILURE.SIGNATURE_BASE64],
    ['other last bits in the signature', `${part(HEADER)}.${good}.ab`, FAILURE.SIGNATURE_BASE64],
    ['other last bits in the payload', `${part(HEADER)}.e31.${SIGNATURE}`, FAILURE.PAYLOAD_BASE64],
    ['a line break', `${part(HEADER)}.${good}.YWI\n`, FAILURE.SIGNATURE_BASE64],
    ['a header that is a list', tokenOf([HEADER], {}), FAILURE.HEADER_JSON],
    ['a header that is null', tokenOf('null', {}), FAILURE.HEADER_JSON],
    ['a header with a member twice', tokenOf('{"alg":"none","alg":"RS256"}', {}), FAILURE.HEADER_JSON],
    ['no alg', tokenOf({}, {}), FAILURE.ALG],
    ['alg none', tokenOf({ alg: 'none' }, {}), FAILURE.ALG_UNSUPPORTED],
    ['alg in lower case', tokenOf({ alg: 'rs256' }, {}), FAILURE.ALG_UNSUPPORTED],
    ['alg that every object has', tokenOf({ alg: 'constructor' }, {}), FAILURE.ALG_UNSUPPORTED],
    ['a key id that is no text', tokenOf({ alg: 'RS256', kid: ['a'] }, {}), FAILURE.KID],
    ['crit', tokenOf({ ...HEADER, crit: [] }, {}), FAILURE.CRITICAL],
    ['b64', tokenOf({ ...HEADER, b64: true }, {}), FAILURE.CRITICAL],
    ['a payload that is a text', tokenOf(HEADER, '"iss"'), FAILURE.PAYLOAD_JSON],
    ['a payload that goes on', tokenOf(HEADER, '{}{}'), FAILURE.PAYLOAD_JSON],
    ['a payload too deep', tokenOf(HEADER, `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`), FAILURE.PAYLOAD_JSON],
    ['a byte order mark', tokenOf(HEADER, '\ufeff{}'), FAILURE.PAYLOAD_JSON],
    ['an exp of 2^64', tokenOf(HEADER, { exp: 2 ** 64 }), FAILURE.EXP_RANGE],
    ['an nbf that is true', tokenOf(HEADER, { nbf: true }), FAILURE.NBF_TYPE],
    ['an aud that is an object', tokenOf(HEADER, { aud: {} }), FAILURE.AUD],
  ])('%s', (_, token, failure) => {
    expect(parseJwt(token)).toBe(failure);
  });
});

test('no text makes it throw', () => {
  const piece = fc.oneof(fc.string(), fc.base64String(), fc.json().map(part), fc.constant(part(HEADER)));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
      const result = parseJwt(pieces.join('.'));
      expect(result instanceof Failure || typeof result.issuer === 'string').toBe(true);
    }),
  );
});

test('a token may end with the last second that 64 bits count', () => {
  const payload = part('{"exp":9223372036854775807}');
  expect(parseJwt(`${part({ alg: 'HS256' })}.${payload}.${part('signature')}`)).toMatchObject({ expires: 2 ** 63 });
});
