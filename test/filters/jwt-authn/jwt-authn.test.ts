import { beforeAll, describe, expect, test } from 'vitest';
import { jwtAuthn } from '../../../filters/jwt-authn/jwt-authn.ts';
import type { Reply } from '../../../src/filter/index.ts';
import { type HarnessOptions, HttpFilterHarness, readConfig } from '../../support/filter-harness.ts';
import { jwksOf, makeKey, nowSeconds, sign, type TestKey } from '../../support/jwt.ts';

let key: TestKey;
let otherKey: TestKey;

beforeAll(async () => {
  await jwtAuthn.prepare?.();
  key = await makeKey('ES256');
  otherKey = await makeKey('EdDSA');
});

const local = (...keys: TestKey[]) => ({ local_jwks: { inline_string: jwksOf(...keys) } });
const ALL = { match: { prefix: '/' }, requires: { provider_name: 'p' } };
const NAMESPACE = 'envoy.filters.http.jwt_authn';

function harness(provider: object, config: object = {}, options: HarnessOptions = {}): HttpFilterHarness {
  const providers = { p: { ...local(key), ...provider } };
  return new HttpFilterHarness(jwtAuthn, { providers, rules: [ALL], ...config }, options);
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const bodyOf = (verdict: unknown): string | undefined => (verdict as Reply | undefined)?.body;

describe('a cached token', () => {
  const config = { jwt_cache_config: {}, payload_in_metadata: 'claims', forward_payload_header: 'x-payload' };

  test('does the same to a request as one that was verified, without a promise', async () => {
    const filter = harness({ ...config, claim_to_headers: [{ header_name: 'x-sub', claim_name: 'sub' }] });
    const token = await sign(key, { sub: 'me' });
    for (const expected of [0, 1, 2]) {
      const { verdict, stream, request } = filter.request(bearer(token));
      expect(filter.stat('http.test.jwt_authn.jwt_cache_hit')).toBe(expected);
      expect(verdict).toBeUndefined();
      expect(request.get('x-sub')).toBe('me');
      expect(request.get('x-payload')).toBe(token.split('.')[1]);
      expect(request.has('authorization')).toBe(false);
      expect(stream.getMetadata(NAMESPACE, 'claims')).toMatchObject({ sub: 'me' });
    }
    expect(filter.stat('http.test.jwt_authn.jwt_cache_miss')).toBe(1);
  });

  test('is known by its signature too', async () => {
    const filter = harness(config);
    const token = await sign(key, { sub: 'me' });
    expect(filter.request(bearer(token)).verdict).toBeUndefined();
    const [head, body] = token.split('.');
    const forged = `${head}.${body}.${(await sign(key, { sub: 'x' })).split('.')[2]}`;
    expect(bodyOf(filter.request(bearer(forged)).verdict)).toBe('Jwt verification fails');
  });

  test('expires', async () => {
    const filter = harness({ ...config, clock_skew_seconds: 1 });
    const token = await sign(key, { exp: nowSeconds() });
    expect(filter.request(bearer(token)).verdict).toBeUndefined();
    await expect.poll(() => bodyOf(filter.request(bearer(token)).verdict), { timeout: 10_000 }).toBe('Jwt is expired');
  });

  test('is held to the audiences of each requirement', async () => {
    const requires = { provider_and_audiences: { provider_name: 'p', audiences: ['b'] } };
    const filter = harness({ ...config, audiences: ['a'] }, { rules: [{ match: { prefix: '/b' }, requires }, ALL] });
    const token = await sign(key, { aud: 'a' });
    expect(filter.request(bearer(token)).verdict).toBeUndefined();
    const refused = filter.request({ ':path': '/b', ...bearer(token) }).verdict as Reply;
    expect([refused.status, refused.body]).toEqual([403, 'Audiences in Jwt are not allowed']);
  });

  test('of one provider is nothing to another one', async () => {
    const providers = {
      p: { ...local(key), issuer: 'a', ...config },
      q: { ...local(otherKey), issuer: 'a', ...config },
    };
    const rules = [{ match: { prefix: '/q' }, requires: { provider_name: 'q' } }, ALL];
    const filter = new HttpFilterHarness(jwtAuthn, { providers, rules });
    const token = await sign(key, { iss: 'a' });
    expect(filter.request(bearer(token)).verdict).toBeUndefined();
    expect(bodyOf(filter.request({ ':path': '/q', ...bearer(token) }).verdict)).toMatch(/key to match/);
  });

  test('cannot be changed by who reads its claims', async () => {
    const filter = harness(config);
    const token = await sign(key, { realm: { roles: ['user'] } });
    const claims = filter.request(bearer(token)).stream.getMetadata(NAMESPACE, 'claims') as {
      realm: { roles: string[] };
    };
    expect(() => claims.realm.roles.push('admin')).toThrow(TypeError);
  });
});

test('no change of a single character leaves a token good, cached or not', async () => {
  const hmac = await makeKey('HS256');
  const filter = harness({ ...local(hmac), jwt_cache_config: {} });
  const token = await sign(hmac, { sub: 'me' });
  for (let at = 0; at < token.length; at++) {
    for (const other of ['A', 'B', 'g', '_', '.', '=', ' ', '%', '\u00e9']) {
      if (token[at] === other) continue;
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      // In front, what no token begins with is skipped, as in Envoy: then the first character is missing.
      const { status } = filter.request(bearer(changed)).verdict as Reply;
      expect(status, changed).toBe(401);
    }
  }
  expect(filter.request(bearer(token)).verdict).toBeUndefined();
  expect(bodyOf(filter.request(bearer(`${token}A`)).verdict)).toBe('Jwt verification fails');
});

test('without jwt_cache_config every token is verified', async () => {
  const filter = harness({});
  const token = await sign(key);
  filter.request(bearer(token));
  filter.request(bearer(token));
  expect(filter.stat('http.test.jwt_authn.jwt_cache_hit')).toBe(0);
  expect(filter.stat('http.test.jwt_authn.jwt_cache_miss')).toBe(2);
});

describe('headers that the filter sets', () => {
  const config = {
    claim_to_headers: [{ header_name: 'X-Sub', claim_name: 'sub' }],
    forward_payload_header: 'x-payload',
  };
  const forged = { 'x-sub': ['admin', 'root'], 'X-Payload': 'forged' };

  test.each<[string, object, HarnessOptions, Record<string, string>]>([
    ['where no rule matches', { rules: [] }, {}, {}],
    ['where nothing is required', { rules: [{ match: { prefix: '/' } }] }, {}, {}],
    ['on a disabled route', {}, { routeConfigs: [{ disabled: true }] }, {}],
    ['where a token may be missing', { rules: [{ match: { prefix: '/' }, requires: { allow_missing: {} } }] }, {}, {}],
    [
      'where a token may be wrong',
      { rules: [{ match: { prefix: '/' }, requires: { allow_missing_or_failed: {} } }] },
      {},
      bearer('x.y.z'),
    ],
    [
      'of a preflight',
      { bypass_cors_preflight: true },
      {},
      { ':method': 'OPTIONS', origin: 'a', 'access-control-request-method': 'GET' },
    ],
  ])('are taken from the client %s', (_, more, options, headers) => {
    const { verdict, request } = harness(config, more, options).request({ ...forged, ...headers });
    expect(verdict).toBeUndefined();
    expect([request.has('x-sub'), request.has('x-payload')]).toEqual([false, false]);
  });

  test('are taken from the client when the token does not have the claim', async () => {
    const { request } = harness(config).request({ ...forged, ...bearer(await sign(key, {})) });
    expect(request.has('x-sub')).toBe(false);
  });
});

describe('a denial', () => {
  test('says who denied and why', () => {
    const filter = harness({});
    const verdict = filter.request({ ':path': '/a"b\\c', host: 'h' }).verdict as Reply;
    expect(verdict).toMatchObject({
      status: 401,
      body: 'Jwt is missing',
      details: 'jwt_authn_access_denied{Jwt_is_missing}',
      headers: { 'www-authenticate': 'Bearer realm="http://h/a\\"b\\\\c"' },
    });
    expect(filter.stat('http.test.jwt_authn.denied')).toBe(1);
  });

  test('says nothing with strip_failure_response', () => {
    const verdict = harness({}, { strip_failure_response: true }).request().verdict;
    expect(verdict).toMatchObject({
      status: 401,
      body: '',
      headers: {},
      details: 'jwt_authn_access_denied{Jwt_is_missing}',
    });
  });

  test('leaves its reason where failed_status_in_metadata says', async () => {
    const filter = harness({ failed_status_in_metadata: 'why' });
    const { stream } = filter.request(bearer(await sign(otherKey)));
    expect(stream.getMetadata(NAMESPACE, 'why')).toEqual({
      code: 32,
      message: "Jwks doesn't have key to match kid or alg from Jwt",
    });
  });
});

test('filter state chooses the requirement where no rule matches', async () => {
  const filter_state_rules = { name: 'wants', requires: { token: { provider_name: 'p' }, nothing: {} } };
  const rules = [{ match: { prefix: '/rule' } }];
  const filter = harness({}, { rules, filter_state_rules });
  const ask = (path: string, value: unknown): string | undefined => {
    const { stream, request } = filter.request({ ':path': path });
    stream.setFilterState('wants', value);
    return bodyOf(filter.hooks.onRequest?.(request, stream));
  };
  expect(ask('/', 'token')).toBe('Jwt is missing');
  expect(ask('/', 'nothing')).toBeUndefined();
  expect(ask('/', 'constructor')).toBeUndefined();
  expect(ask('/', 5)).toBeUndefined();
  expect(ask('/rule', 'token')).toBeUndefined();
});

test('routes share the cache and the keys of the base configuration', async () => {
  const config = readConfig(jwtAuthn.config as never, {
    providers: { p: { ...local(key), jwt_cache_config: {} } },
    rules: [ALL],
    requirement_map: { named: { provider_name: 'p' } },
  });
  const base = new HttpFilterHarness({ ...jwtAuthn, config: undefined as never }, config);
  const route = new HttpFilterHarness({ ...jwtAuthn, config: undefined as never }, config, {
    routeConfigs: [{ requirement_name: 'named' }],
  });
  const token = await sign(key);
  expect(base.request(bearer(token)).verdict).toBeUndefined();
  expect(route.request(bearer(token)).verdict).toBeUndefined();
  expect(base.stat('http.test.jwt_authn.jwt_cache_hit')).toBe(1);
});

describe('a configuration is refused', () => {
  const problems = (config: object): string => {
    try {
      readConfig(jwtAuthn.config as never, config);
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  const withProvider = (provider: object): object => ({ providers: { p: provider } });
  const jwks = { local_jwks: { inline_string: '{"keys":[]}' } };
  const remote = (fields: object, uri: object = {}): object =>
    withProvider({ remote_jwks: { http_uri: { uri: 'http://a/', cluster: 'c', timeout: '1s', ...uri }, ...fields } });

  test.each<[string, object, RegExp]>([
    [
      'keys that are no JSON',
      withProvider({ local_jwks: { inline_string: '{' } }),
      /inline_string: Jwks is an invalid JSON/,
    ],
    [
      'a set without keys',
      withProvider({ local_jwks: { inline_string: 'null' } }),
      /inline_string: Jwks is an invalid/,
    ],
    ['no source of keys', withProvider({}), /one of remote_jwks, local_jwks/],
    ['two sources of keys', withProvider({ ...jwks, remote_jwks: {} }), /local_jwks/],
    ['a relative URI', remote({}, { uri: '/jwks' }), /http_uri\.uri/],
    ['no timeout', remote({}, { timeout: undefined }), /http_uri\.timeout/],
    ['no cluster', remote({}, { cluster: '' }), /http_uri\.cluster/],
    ['cache_duration 0', remote({ cache_duration: '0s' }), /cache_duration/],
    ['a pseudo-header', withProvider({ ...jwks, forward_payload_header: ':path' }), /forward_payload_header/],
    ['Host', withProvider({ ...jwks, claim_to_headers: [{ header_name: 'Host', claim_name: 'a' }] }), /header_name/],
    ['a header that frames the body', withProvider({ ...jwks, forward_payload_header: 'Content-Length' }), /frames/],
    [
      'a claim without name',
      withProvider({ ...jwks, claim_to_headers: [{ header_name: 'x' }] }),
      /claim_name, claim_path/,
    ],
    [
      'a provider that is not there',
      { rules: [ALL] },
      /rules\.0\.requires\.provider_name: the provider "p" does not exist/,
    ],
    [
      'one deep in a tree',
      {
        ...withProvider(jwks),
        requirement_map: {
          m: {
            requires_all: {
              requirements: [{ provider_name: 'p' }, { provider_and_audiences: { provider_name: 'q' } }],
            },
          },
        },
      },
      /requirement_map\.m\.requires_all\.requirements\.1\.provider_and_audiences\.provider_name/,
    ],
    [
      'a requirement that is not there',
      { rules: [{ match: { prefix: '/' }, requirement_name: 'x' }] },
      /requirement "x"/,
    ],
    ['a list of one', { requirement_map: { m: { requires_any: { requirements: [{}] } } } }, /at least 2/],
    [
      'trust without a signature',
      { requirement_map: { m: { extract_only_without_validation: {} } } },
      /claims are trusted only when the signature is right/,
    ],
  ])('with %s', (_, config, problem) => {
    expect(problems(config)).toMatch(problem);
  });

  test('when local keys cannot be used', () => {
    expect(() => harness({ local_jwks: { inline_string: '{"keys":[]}' } })).toThrow(
      /provider p: local_jwks: .*valid public key/,
    );
    expect(() => harness({ local_jwks: { filename: '/nowhere/jwks.json' } })).toThrow(/provider p: local_jwks: ENOENT/);
    expect(() => harness({ local_jwks: { environment_variable: 'OUTRIGGER_NO_SUCH' } })).toThrow(/OUTRIGGER_NO_SUCH/);
  });
});
