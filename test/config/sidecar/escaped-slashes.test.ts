import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { expandText } from '../../../src/config/expand.ts';
import { startTestProxy } from '../../support/proxy.ts';
import { ask, echo, startApp } from '../../support/story.ts';

const JWT = '{ jwt: { issuer: i, keys: { file: keys.json }, public: [/assets/*] } }';
const ADMIN = '{ rbac: { deny: [{ name: admin, paths: [/admin*] }] } }';

function action(text: string): unknown {
  const { static_resources } = parse(expandText('sidecar.yaml', `app: 8080\nlisten: 10000\n${text}\n`));
  return static_resources.listeners[0].filter_chains[0].filters.at(-1).typed_config.path_with_escaped_slashes_action;
}

test.each([
  ['no filter looks at paths', 'filters: [{ rbac: { deny: [{ name: one, source: 10.0.0.0/8 }] } }]', undefined],
  ['a token is asked for by path', `filters: [${JWT}]`, 'REJECT_REQUEST'],
  ['a rule names paths', `filters: [${ADMIN}]`, 'REJECT_REQUEST'],
  ['the file says otherwise', `http: { escaped_slashes: keep }\nfilters: [${ADMIN}]`, 'KEEP_UNCHANGED'],
  ['the file wants a redirect', 'http: { escaped_slashes: redirect }', 'UNESCAPE_AND_REDIRECT'],
  ['the file wants plain paths', 'http: { escaped_slashes: unescape }', 'UNESCAPE_AND_FORWARD'],
])('escaped slashes, when %s', (_name, text, expected) => {
  expect(action(text)).toBe(expected);
});

test('a path that an app may read otherwise does not get around a rule', async () => {
  await using app = await startApp(echo());
  await using proxy = await startTestProxy(`app: ${app.port}\nlisten: 127.0.0.1:0\nfilters: [${ADMIN}]\n`);
  const status = async (path: string) => (await ask(proxy.port, { path })).status;
  expect(await status('/assets/logo')).toBe(200);
  expect(await status('/admin/users')).toBe(403);
  expect(await status('/assets/..%2fadmin/users')).toBe(400);
  expect(await status('/assets/..%5Cadmin/users')).toBe(400);
});
