import { beforeAll, expect, test } from 'vitest';
import { jwtAuthn } from '../../../filters/jwt-authn/jwt-authn.ts';
import { HttpFilterHarness } from '../../support/filter-harness.ts';
import { jwksOf, makeKey } from '../../support/jwt.ts';

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
