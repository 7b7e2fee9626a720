import { beforeAll, describe, expect, test } from 'vitest';
import { jwtAuthn } from '../../../filters/jwt-authn/jwt-authn.ts';
import type { CallScript } from '../../../src/filter/harness-calls.ts';
import type { Reply } from '../../../src/filter/index.ts';
import { HttpFilterHarness } from '../../support/filter-harness.ts';
import { jwksOf, makeKey, sign, type TestKey } from '../../support/jwt.ts';

/** Requirement trees, with keys at hand and with keys that must be fetched first: the verdict is the same. */

let key: TestKey;
let good: string;
let wrong: string;

beforeAll(async () => {
  await jwtAuthn.prepare?.();
  key = await makeKey('ES256');
  good = await sign(key, { iss: 'iss', sub: 's' });
  wrong = await sign(await makeKey('ES256'), { iss: 'iss' });
});

const A = { provider_name: 'a' };
const B = { provider_name: 'b' };
const MISSING = { allow_missing: {} };
const FAILED = { allow_missing_or_failed: {} };
const any = (...requirements: object[]): object => ({ requires_any: { requirements } });
const all = (...requirements: object[]): object => ({ requires_all: { requirements } });

/** What the header `a` and the header `b` of a request hold. */
type Token = 'good' | 'wrong' | 'malformed' | 'none';

const SOURCES = {
  'local keys': () => ({ local_jwks: { inline_string: jwksOf(key) } }),
  'remote keys': () => ({ remote_jwks: { http_uri: { uri: 'http://k/', cluster: 'k', timeout: '1s' } } }),
};

describe.each(['local keys', 'remote keys'] as const)('with %s', (source) => {
  async function verdictOf(requires: object, a: Token, b: Token): Promise<string> {
    const calls: CallScript = { request: () => ({ body: jwksOf(key) }) };
    const provider = (name: string): object => ({
      ...SOURCES[source](),
      from_headers: [{ name }],
      claim_to_headers: [{ header_name: `x-${name}`, claim_name: 'sub' }],
    });
    const providers = { a: provider('a'), b: provider('b') };
    const filter = new HttpFilterHarness(
      jwtAuthn,
      { providers, rules: [{ match: { prefix: '/' }, requires }] },
      { calls },
    );
    const texts: Record<Token, string | undefined> = { good, wrong, malformed: 'x', none: undefined };
    const headers = Object.entries({ a: texts[a], b: texts[b] }).filter((entry) => entry[1] !== undefined);
    const { verdict, request } = filter.request(Object.fromEntries(headers) as Record<string, string>);
    const settled = (await verdict) as Reply | undefined;
    filter.hooks.dispose?.();
    if (settled !== undefined) return settled.body;
    return `passed${request.has('x-a') ? ' a' : ''}${request.has('x-b') ? ' b' : ''}`;
  }

  const FAILS = 'Jwt verification fails';
  const NONE = 'Jwt is missing';
  const FORMAT = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';

  test.each<[string, object, [Token, Token, string][]]>([
    ['nothing', {}, [['malformed', 'none', 'passed']]],
    [
      'any',
      any(A, B),
      [
        ['good', 'none', 'passed a'],
        ['good', 'wrong', 'passed a'],
        ['wrong', 'good', 'passed b'],
        ['none', 'good', 'passed b'],
        ['none', 'none', NONE],
        ['wrong', 'none', FAILS],
        ['malformed', 'wrong', FAILS],
        ['wrong', 'malformed', FORMAT],
      ],
    ],
    [
      'all',
      all(A, B),
      [
        ['good', 'good', 'passed a b'],
        ['good', 'none', NONE],
        ['wrong', 'none', FAILS],
        ['good', 'malformed', FORMAT],
      ],
    ],
    [
      'any or missing',
      any(A, MISSING),
      [
        ['none', 'none', 'passed'],
        ['good', 'none', 'passed a'],
        ['wrong', 'none', FAILS],
        ['none', 'malformed', 'passed'],
      ],
    ],
    [
      'missing first',
      any(MISSING, A, B),
      [
        ['none', 'none', 'passed'],
        ['none', 'wrong', FAILS],
        ['good', 'wrong', 'passed a'],
      ],
    ],
    [
      'any or failed',
      any(A, MISSING, FAILED),
      [
        ['wrong', 'none', 'passed'],
        ['good', 'none', 'passed a'],
        ['malformed', 'none', 'passed'],
      ],
    ],
    [
      'one optional, one required',
      all(any(A, MISSING), B),
      [
        ['none', 'good', 'passed b'],
        ['good', 'good', 'passed a b'],
        ['wrong', 'good', FAILS],
        ['good', 'none', NONE],
      ],
    ],
    [
      'deep',
      any(all(A, B), all(B, MISSING)),
      [
        ['none', 'good', 'passed b'],
        ['good', 'good', 'passed a b'],
        ['wrong', 'good', FAILS],
      ],
    ],
  ])('%s', async (_, requires, rows) => {
    for (const [a, b, expected] of rows) expect(await verdictOf(requires, a, b), `${a}, ${b}`).toBe(expected);
  });

  test('every token counts where it may be missing', async () => {
    const providers = {
      a: { ...SOURCES[source](), from_headers: [{ name: 'a' }, { name: 'b' }] },
    };
    const statusOf = async (requires: object): Promise<number | undefined> => {
      const calls: CallScript = { request: () => ({ body: jwksOf(key) }) };
      const rules = [{ match: { prefix: '/' }, requires }];
      const filter = new HttpFilterHarness(jwtAuthn, { providers, rules }, { calls });
      const verdict = (await filter.request({ a: good, b: wrong }).verdict) as Reply | undefined;
      const turned = (await filter.request({ a: wrong, b: good }).verdict) as Reply | undefined;
      filter.hooks.dispose?.();
      expect(turned?.status).toBe(verdict?.status);
      return verdict?.status;
    };
    expect(await statusOf(A)).toBe(401);
    expect(await statusOf(MISSING)).toBe(401);
    expect(await statusOf(FAILED)).toBeUndefined();
  });
});
