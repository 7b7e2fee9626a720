import { beforeAll, expect, test } from 'vitest';
import { jwtAuthn } from '../../../filters/jwt-authn/jwt-authn.ts';
import type { Reply } from '../../../src/filter/index.ts';
import { HttpFilterHarness } from '../../support/filter-harness.ts';
import { jwksOf, makeKey, sign, type TestKey } from '../../support/jwt.ts';

let key: TestKey;

beforeAll(async () => {
  await jwtAuthn.prepare?.();
  key = await makeKey('ES256');
});

test('subjects are compared as Unicode: one that spells the bytes of another is not that one', async () => {
  const providers = { p: { local_jwks: { inline_string: jwksOf(key) }, subjects: { exact: 'jürgen' } } };
  const rules = [{ match: { prefix: '/' }, requires: { provider_name: 'p' } }];
  const filter = new HttpFilterHarness(jwtAuthn, { providers, rules });
  const statusOf = async (sub: string): Promise<number | undefined> =>
    (filter.request({ authorization: `Bearer ${await sign(key, { sub })}` }).verdict as Reply | undefined)?.status;
  expect(await statusOf('jürgen')).toBeUndefined();
  expect(await statusOf(Buffer.from('jürgen').toString('latin1'))).toBe(401);
});
