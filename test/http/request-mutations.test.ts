import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { ask, echo, echoed, startApp, story } from '../support/story.ts';

test.each([
  ['is dropped', ''],
  ['is dropped where only a client with a certificate may have one', 'forward_client_cert_details: APPEND_FORWARD'],
])('a client certificate that a plain-text client claims %s', async (_what, manager) => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port, manager });
  const { headers } = echoed(await ask(proxy.port, { headers: { 'X-Forwarded-Client-Cert': 'By=spiffe://forged' } }));
  expect(headers['x-forwarded-client-cert']).toBeUndefined();
});

test('a client certificate that an earlier proxy saw is handed on where that one is trusted', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port, manager: 'forward_client_cert_details: ALWAYS_FORWARD_ONLY' });
  const { headers } = echoed(await ask(proxy.port, { headers: { 'x-forwarded-client-cert': 'By=spiffe://a' } }));
  expect(headers['x-forwarded-client-cert']).toBe('By=spiffe://a');
});

test('add_user_agent names the node that sends the request, and keeps a user agent that is there', async () => {
  await using app = await startApp(echo());
  const text = `node: { id: sidecar-7, cluster: shop }${httpConfig(app.port, { manager: 'add_user_agent: true' })}`;
  await using proxy = await startTestProxy(text);
  expect(echoed(await ask(proxy.port)).headers).toMatchObject({
    'user-agent': 'shop',
    'x-envoy-downstream-service-cluster': 'shop',
    'x-envoy-downstream-service-node': 'sidecar-7',
  });
  expect(echoed(await ask(proxy.port, { headers: { 'user-agent': 'curl' } })).headers['user-agent']).toBe('curl');
});

test.each([
  ['nothing', undefined, 'true'],
  ['an address', '10.0.0.1', undefined],
  ['the address of a forger', '127.0.0.1', undefined],
  ['an empty value', '', undefined],
])('with the peer’s own address, a request that forwards %s is internal or not', async (_what, forwarded, internal) => {
  await using app = await startApp(echo());
  const ranges = 'internal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }';
  await using proxy = await story({ app: app.port, manager: `use_remote_address: true\n${ranges}` });
  const headers = { 'x-envoy-max-retries': '7', ...(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }) };
  const seen = echoed(await ask(proxy.port, { headers })).headers;
  expect(seen['x-envoy-internal']).toBe(internal);
  expect(seen['x-envoy-external-address']).toBe(internal === undefined ? '127.0.0.1' : undefined);
});

test('what is no address is not taken for one', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    routes: `- match: { prefix: / }
  route: { cluster: app }
  request_headers_to_add: [{ header: { key: x-remote, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" } }]`,
  });
  const remote = async (forwarded: string) =>
    echoed(await ask(proxy.port, { headers: { 'x-forwarded-for': forwarded } })).headers['x-remote'];
  expect(await remote('1.2.3.4')).toBe('1.2.3.4');
  for (const wrong of ['1.2.3.4:80', '1.2.3', ':::', '1.2.3.4,', 'host']) expect(await remote(wrong)).toBe('127.0.0.1');
});

test('Via grows in the line that is there', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port, manager: 'via: edge' });
  expect(echoed(await ask(proxy.port, { headers: { via: '1.1 first' } })).headers.via).toBe('1.1 first, edge');
});

test.each([
  ['internal when the configuration says so', 'true', 'true'],
  ['external otherwise', 'false', undefined],
])('a client on a Unix socket is %s', async (_what, unixSockets, internal) => {
  const path = join(tmpdir(), `outrigger-internal-${process.pid}-${unixSockets}.sock`);
  onTestFinished(() => rmSync(path, { force: true }));
  await using app = await startApp(echo());
  const manager = `use_remote_address: true\ninternal_address_config: { unix_sockets: ${unixSockets} }`;
  const text = httpConfig(app.port, { manager }).replace(
    /socket_address: \{ address: 127.0.0.1, port_value: 0 \}/,
    `pipe: { path: ${path} }`,
  );
  await using _proxy = await startTestProxy(text);
  expect(echoed(await ask(0, { socketPath: path })).headers['x-envoy-internal']).toBe(internal);
});

test.each([
  ['use_remote_address: true\npreserve_external_request_id: true', '87654321-1111-4111-8111-111111111111'],
  ['preserve_external_request_id: true', '87654321-1111-9111-8111-111111111111'],
])(
  'an id from outside is kept without its word on tracing, one from inside as it is: %s',
  async (manager, expected) => {
    await using app = await startApp(echo());
    await using proxy = await story({ app: app.port, manager });
    const headers = { 'x-request-id': '87654321-1111-9111-8111-111111111111' };
    expect(echoed(await ask(proxy.port, { headers })).headers['x-request-id']).toBe(expected);
  },
);
