import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, echo, eventually, sleep, startApp, story } from '../support/story.ts';

/** A filter chain that answers with its name. */
const chain = (name: string, match: string): string => `
    - name: ${name}
      filter_chain_match: ${match}
      filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ${name}
          route_config: { virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: ${name} } } }] }] }
          http_filters: [{ name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }]`;

const listener = (address: string, chains: string, more = ''): string => `
static_resources:
  listeners:
  - name: choosy
    address: ${address}${more}
    filter_chains:${chains}
`;
const LOOPBACK = '{ socket_address: { address: 127.0.0.1, port_value: 0 } }';

test('the most specific filter chain serves a connection', async () => {
  await using proxy = await startTestProxy(
    listener(
      LOOPBACK,
      chain('local', '{ source_prefix_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }') +
        chain('six', '{ source_prefix_ranges: [{ address_prefix: 127.0.0.6, prefix_len: 32 }] }') +
        chain('far', '{ prefix_ranges: [{ address_prefix: 10.0.0.0, prefix_len: 8 }] }'),
    ),
  );
  expect((await ask(proxy.port)).body).toBe('local');
  const { connect } = await import('node:net');
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect({ port: proxy.port, host: '127.0.0.1', localAddress: '127.0.0.6' });
    socket.once('error', reject);
    socket.once('data', (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  });
  expect(text).toMatch(/\r\n\r\nsix$/);
});

test('a connection that no chain wants is closed and counted, or served by the default chain', async () => {
  const far = chain('far', '{ source_prefix_ranges: [{ address_prefix: 10.0.0.0, prefix_len: 8 }] }');
  await using closed = await startTestProxy(listener(LOOPBACK, far));
  const client = await TestClient.connect(closed.port);
  await client.untilClosed();
  expect(client.text).toBe('');
  const fallback = chain('fallback', '{}')
    .replace('\n    - name', '\n      name')
    .replace('      filter_chain_match: {}\n', '');
  await using open = await startTestProxy(
    listener(LOOPBACK, far, `\n    default_filter_chain:${fallback.replaceAll('\n      ', '\n      ')}`),
  );
  expect((await ask(open.port)).body).toBe('fallback');
});

test('a Unix socket that a dead process left in the way is replaced, other files are not', async () => {
  const path = join(tmpdir(), `outrigger-stale-${process.pid}.sock`);
  const { spawnSync } = await import('node:child_process');
  spawnSync(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  expect(existsSync(path)).toBe(true);
  const proxy = await startTestProxy(listener(`{ pipe: { path: ${path} } }`, chain('unix', '{}')));
  expect((await ask(0, { socketPath: path })).body).toBe('unix');
  await proxy[Symbol.asyncDispose]();
  expect(existsSync(path)).toBe(false);
  const folder = join(tmpdir(), 'outrigger-not-a-socket');
  const { mkdirSync, rmdirSync } = await import('node:fs');
  mkdirSync(folder, { recursive: true });
  await expect(startTestProxy(listener(`{ pipe: { path: ${folder} } }`, chain('unix', '{}')))).rejects.toThrow(
    /in use/,
  );
  expect(existsSync(folder)).toBe(true);
  rmdirSync(folder);
});

test('a port that is taken is named', async () => {
  const other = createServer();
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  const { port } = other.address() as { port: number };
  await expect(
    startTestProxy(listener(LOOPBACK.replace('port_value: 0', `port_value: ${port}`), chain('x', '{}'))),
  ).rejects.toThrow(`listener choosy: 127.0.0.1:${port} is in use by another process`);
  other.close();
});

test('requests find their clusters at whatever moment of a reload they come', async () => {
  await using app = await startApp(echo());
  await using proxy = await story({ app: app.port });
  let asking = true;
  const statuses = (async () => {
    const seen: number[] = [];
    while (asking) seen.push((await ask(proxy.port)).status);
    return seen;
  })();
  for (let i = 0; i < 10; i++) {
    await proxy.reload(proxy.config({ app: app.port, manager: `via: v${i}` }));
    await ask(proxy.port);
  }
  asking = false;
  const seen = await statuses;
  expect(seen.length).toBeGreaterThan(5);
  expect(seen.every((status) => status === 200)).toBe(true);
});

test('listener statistics count what came and went', async () => {
  await using proxy = await startTestProxy(listener(LOOPBACK, chain('x', '{}')));
  const clients = await Promise.all([0, 1, 2].map(() => TestClient.connect(proxy.port)));
  await eventually('three are active', () => proxy.stat('listener.127.0.0.1_0.downstream_cx_active') === 3);
  for (const client of clients) client.destroy();
  await eventually('none is active', () => proxy.stat('listener.127.0.0.1_0.downstream_cx_active') === 0);
  expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_total')).toBe(3);
  expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_destroy')).toBe(3);
});

test('a connection that comes while other listeners still load waits for the clusters', async () => {
  await using app = await startApp((_request, response) => response.end('served'));
  const spare = createServer();
  await new Promise<void>((done) => spare.listen(0, '127.0.0.1', done));
  const { port } = spare.address() as { port: number };
  await new Promise<void>((done) => spare.close(() => done()));
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-early-'));
  writeFileSync(
    join(dir, 'slow.ts'),
    `await new Promise((done) => setTimeout(done, 300));
export default { name: 'slow', semantics: { side: 'either', state: 'none', body: 'none' }, create: () => ({}) };\n`,
  );
  const first = httpConfig(app.port).replace('port_value: 0 }', `port_value: ${port} }`);
  const second = httpConfig(app.port, {
    filters:
      '- name: slow\n  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./slow.ts }',
  }).replace('name: http\n', 'name: late\n');
  const between = (text: string): string => /listeners:\n([\s\S]*?) {2}clusters:/.exec(text)?.[1] ?? '';
  const text = first.replace(between(first), between(first) + between(second));
  const starting = startTestProxy(text, { dir });
  const answer = (async () => {
    for (;;) {
      try {
        return await ask(port);
      } catch {
        await sleep(5);
      }
    }
  })();
  await using proxy = await starting;
  expect((await answer).body).toBe('served');
  expect(proxy.proxy.listeners()).toHaveLength(2);
  rmSync(dir, { recursive: true });
});

test('a Unix socket gets the permissions that the configuration gives', async () => {
  const path = join(tmpdir(), `outrigger-mode-${process.pid}.sock`);
  await using _proxy = await startTestProxy(listener(`{ pipe: { path: ${path}, mode: 432 } }`, chain('unix', '{}')));
  expect(statSync(path).mode & 0o777).toBe(0o660);
});

test('an IPv6 listener takes IPv4 clients only with ipv4_compat', async () => {
  const any = (compat: boolean) =>
    listener(`{ socket_address: { address: "::", port_value: 0, ipv4_compat: ${compat} } }`, chain('six', '{}'));
  await using six = await startTestProxy(any(false));
  await expect(ask(six.port)).rejects.toThrow('ECONNREFUSED');
  await using both = await startTestProxy(any(true));
  expect((await ask(both.port)).body).toBe('six');
});

test('a port is shared with another process only when the configuration says so', async () => {
  const on = (port: number, fields: string) =>
    listener(`{ socket_address: { address: 127.0.0.1, port_value: ${port} } }`, chain('one', '{}'), fields);
  await using shared = await startTestProxy(on(0, '\n    enable_reuse_port: true'));
  await expect(startTestProxy(on(shared.port, ''))).rejects.toThrow('is in use by another process');
  await using second = await startTestProxy(on(shared.port, '\n    enable_reuse_port: true'));
  expect(second.port).toBe(shared.port);
});
