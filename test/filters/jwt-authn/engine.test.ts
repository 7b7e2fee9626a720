import { beforeAll, expect, test } from 'vitest';
import { jwtAuthn } from '../../../filters/jwt-authn/jwt-authn.ts';
import { HttpFilterHarness } from '../../support/filter-harness.ts';
import { jwksOf, makeKey, sign } from '../../support/jwt.ts';

beforeAll(() => jwtAuthn.prepare?.());

test('headers of claims are taken from the client however an app behind CGI may read their name', async () => {
  const key = await makeKey('HS256');
  const claim_to_headers = [{ header_name: 'x-user-id', claim_name: 'sub' }];
  const providers = { p: { local_jwks: { inline_string: jwksOf(key) }, claim_to_headers, clear_route_cache: true } };
  const filter = new HttpFilterHarness(jwtAuthn, { providers, rules: [] });
  const forged = { 'x-user-id': 'a', x_user_id: 'b', 'X_User-ID': ['c', 'd'], 'x-user_id': 'e' };
  const others = { 'x-user-ids': '1', 'x-user.id': '2', xxuser_id: '3' };
  const { request, stream } = filter.request({ ...forged, ...others });
  expect(Object.fromEntries(request.entries())).toEqual(others);
  expect(stream.routeCacheCleared).toBe(1);
});

test('in a list, tokens that may be missing are those of the providers that lists in it name', async () => {
  const key = await makeKey('HS256');
  const local_jwks = { inline_string: jwksOf(key) };
  const providers = { a: { local_jwks, issuer: 'a' }, b: { local_jwks, issuer: 'b' }, c: { local_jwks, issuer: 'c' } };
  const both = { requires_all: { requirements: [{ provider_name: 'a' }, { provider_name: 'b' }] } };
  const requires = { requires_any: { requirements: [both, { allow_missing: {} }] } };
  const filter = new HttpFilterHarness(jwtAuthn, { providers, rules: [{ match: { prefix: '/' }, requires }] });
  const ask = async (iss: string) => filter.request({ authorization: `Bearer ${await sign(key, { iss })}` }).verdict;
  expect(filter.request().verdict).toBeUndefined();
  expect(await ask('c')).toMatchObject({ status: 401, body: 'Jwt issuer is not configured' });
});
