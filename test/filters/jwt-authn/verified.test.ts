import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { type Jwt, parseJwt } from '../../../filters/jwt-authn/jwt.ts';
import { JwtProvider } from '../../../filters/jwt-authn/schema.ts';
import { compileReduction } from '../../../filters/jwt-authn/verified.ts';
import { readConfig } from '../../support/filter-harness.ts';
import { part } from '../../support/jwt.ts';

function configOf(provider: object): JwtProvider {
  const local_jwks = { inline_string: '{"keys":[]}' };
  return readConfig<JwtProvider>(JwtProvider as never, { local_jwks, ...provider });
}

/** What is left of a token with this payload by a provider with these fields. */
function reduce(payload: object, provider: object) {
  const jwt = parseJwt(`${part({ alg: 'HS256' })}.${part(payload)}.${part('signature')}`) as Jwt;
  return compileReduction(configOf(provider), 60)(jwt);
}

describe('a claim in a header', () => {
  const claim = (value: unknown) =>
    reduce({ c: value }, { claim_to_headers: [{ header_name: 'x', claim_name: 'c' }] })?.headers;

  test.each<[unknown, string | undefined]>([
    ['text', 'text'],
    ['é', 'Ã©'],
    ['', undefined],
    [null, undefined],
    [true, 'true'],
    [false, 'false'],
    [0, '0'],
    [42, '42'],
    [2 ** 53, '9007199254740992'],
    [1e19, '10000000000000000000'],
    [1e20, '100000000000000000000.000000'],
    [1e22, '10000000000000000000000.000000'],
    [-1, '-1.000000'],
    [1.5, '1.500000'],
    [['a', 1], Buffer.from('["a",1]').toString('base64')],
    [{ a: { b: 1 } }, Buffer.from('{"a":{"b":1}}').toString('base64')],
  ])('%j is %s', (value, text) => {
    expect(claim(value)).toEqual(text === undefined ? [] : ['x', text]);
  });

  test.each(['a\nb', 'a\r\nx-admin: 1', '\0', 'a\u007f'])('no header can be made of %j, nor of its token', (value) => {
    expect(reduce({ c: value }, { claim_to_headers: [{ header_name: 'x', claim_name: 'c' }] })).toBeUndefined();
  });

  test('is found by a path, of own members only', () => {
    const claim_to_headers = [
      { header_name: 'dots', claim_name: 'a.b' },
      { header_name: 'path', claim_path: [{ key: 'a.b' }, { key: 'c' }] },
      { header_name: 'inherited', claim_name: 'a.constructor.name' },
      { header_name: 'of-a-text', claim_name: 'a.b.length' },
      { header_name: 'of-a-list', claim_name: 'list.0' },
    ];
    const payload = { a: { b: 'x' }, 'a.b': { c: 'y' }, list: ['z'] };
    expect(reduce(payload, { claim_to_headers })?.headers).toEqual(['dots', 'x', 'path', 'y', 'of-a-list', 'z']);
  });
});

test.each(['9007199254740993', '9007199254740995', '1234567890123456789', '18446744073709551615'])(
  'the id %s does not become that of another user in a header',
  (id) => {
    const payload = `{"u":{"id":${id}},"id":1}`;
    const jwt = parseJwt(`${part({ alg: 'HS256' })}.${part(payload)}.${part('signature')}`) as Jwt;
    const provider = { claim_to_headers: [{ header_name: 'x', claim_name: 'u.id' }] };
    expect(compileReduction(configOf(provider), 60)(jwt)?.headers).toEqual(['x', id]);
  },
);

test('the payload that is kept does not keep the request that it came with', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const reduceOne = compileReduction(configOf({ forward_payload_header: 'p', pad_forward_payload_header: true }), 60);
  const tokenText = `${part({ alg: 'HS256' })}.${part({ sub: 'someone' })}.${part('signature')}`;
  const heapAfter = (count: number): number => {
    const kept = Array.from({ length: count }, () => {
      const head = Buffer.from('x'.repeat(500_000) + tokenText, 'latin1').toString('latin1');
      return reduceOne(parseJwt(head.substring(500_000)) as Jwt);
    });
    collect();
    const { heapUsed } = process.memoryUsage();
    expect(kept.every((one) => one !== undefined)).toBe(true);
    return heapUsed;
  };
  const few = heapAfter(1);
  expect(heapAfter(40) - few).toBeLessThan(5_000_000);
});

test('the payload goes on as it came, padded where asked for', () => {
  for (const sub of ['a', 'ab', 'abc']) {
    const text = part({ sub });
    const padded = Buffer.from(text, 'base64url').toString('base64').replaceAll('+', '-').replaceAll('/', '_');
    expect(reduce({ sub }, { forward_payload_header: 'p' })?.headers).toEqual(['p', text]);
    const provider = { forward_payload_header: 'p', pad_forward_payload_header: true };
    expect(reduce({ sub }, provider)?.headers).toEqual(['p', padded]);
  }
});

test('claims of words become lists of them, in metadata alone', () => {
  const provider = {
    payload_in_metadata: 'm',
    normalize_payload_in_metadata: { space_delimited_claims: ['scope', 'number', 'missing', 'constructor'] },
    claim_to_headers: [{ header_name: 'x', claim_name: 'scope' }],
  };
  const verified = reduce({ scope: ' a  b ', number: 1, other: 'c d' }, provider);
  expect(verified?.payload).toEqual({ scope: ['a', 'b'], number: 1, other: 'c d' });
  expect(verified?.headers).toEqual(['x', ' a  b ']);
});

test('what nobody asks for is not kept', () => {
  expect(reduce({ sub: 'a' }, {})).toMatchObject({ payload: undefined, header: undefined, headers: [] });
});

test('a token is good to the end of the second in which it and the skew end', () => {
  expect(reduce({ exp: 1000 }, {})?.expiredAtMs).toBe(1_061_000);
  expect(reduce({}, {})?.expiredAtMs).toBe(Number.POSITIVE_INFINITY);
});
