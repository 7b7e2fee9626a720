import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { RunningCli } from '../cli/run-cli.ts';
import { Load, type LoadAnswer } from '../support/load.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, eventually, quiet, sleep, startApp, story } from '../support/story.ts';

const GET = { head: 'GET / HTTP/1.1\r\nhost: a\r\n\r\n' };
const mustBeOk = ({ status, body }: LoadAnswer): string | undefined =>
  status === 200 ? undefined : `${status} ${body.slice(0, 100)}`;

test('50 reloads under load fail no request', async () => {
  await using one = await startApp((_request, response) => response.end('one'));
  await using two = await startApp((_request, response) => response.end('two'));
  await using proxy = await story({ app: one.port });
  const load = new Load(proxy.port, 12, () => GET, mustBeOk);
  await eventually('the load runs', () => load.ok > 50);
  let updates = 0;
  for (let i = 0; i < 50; i++) {
    const bad = i % 10 === 9;
    const text = bad
      ? proxy.config({ app: one.port }).replace('cluster: app', 'cluster: missing')
      : proxy.config({ app: i % 2 === 0 ? two.port : one.port, manager: i % 3 === 0 ? `via: v${i}` : '' });
    const reload = async () => proxy.reload(text);
    if (bad) await expect(reload()).rejects.toThrow(/missing/);
    else if ((await reload()) === 'updated') updates++;
    await sleep(60);
  }
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(updates).toBeGreaterThan(40);
  expect(load.ok).toBeGreaterThan(500);
  await quiet(proxy);
  expect(proxy.stat('http.test.downstream_rq_total')).toBe(load.ok);
  expect(proxy.stat('http.test.downstream_rq_2xx')).toBe(load.ok);
  await eventually('old connections to the apps are gone', () => proxy.stat('cluster.app.upstream_cx_active') <= 12);
  expect((await proxy.log()).length).toBe(load.ok);
}, 30_000);

test('50 reloads under load fail no request of two threads', async () => {
  await using app = await startApp((_request, response) => response.end('app'));
  await using proxy = await startTestProxy(httpConfig(app.port), { concurrency: 2 });
  const load = new Load(proxy.port, 8, () => GET, mustBeOk);
  await eventually('the load runs', () => load.ok > 50);
  for (let i = 0; i < 50; i++) {
    expect(await proxy.reload(httpConfig(app.port, { manager: `via: v${i}` }))).toBe('updated');
    await sleep(20);
  }
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.ok).toBeGreaterThan(200);
}, 30_000);

test('a listener that does not change keeps its connections, one that does lets them finish', async () => {
  let release = (): void => {};
  await using app = await startApp((request, response) => {
    response.write('first ');
    if (request.url === '/long') release = () => response.end('last');
    else response.end('last');
  });
  await using proxy = await story({ app: app.port });
  const client = await TestClient.connect(proxy.port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.untilText('last');
  // A cluster beside it is added: nothing that concerns this listener.
  await proxy.reload(
    proxy.config({ app: app.port, clusters: '- name: more\n  load_assignment: { cluster_name: more }' }),
  );
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.until(({ text }) => text.split('last').length === 3);
  expect(client.text).not.toContain('connection: close');
  client.write('GET /long HTTP/1.1\r\nhost: a\r\n\r\n');
  await client.until(({ text }) => text.split('first').length === 4);
  await proxy.reload(proxy.config({ app: app.port, manager: 'via: new' }));
  expect((await ask(proxy.port)).headers.via).toBe('new');
  expect(client.ended).toBe(false);
  release();
  await client.until(({ text }) => text.split('last').length === 4);
  client.destroy();
  await quiet(proxy);
});

test('an idle connection of a changed listener is told with its next response, and closed when it stays idle', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await story({ app: app.port, drainTimeMs: 300 });
  const [asks, idles] = [await TestClient.connect(proxy.port), await TestClient.connect(proxy.port)];
  for (const client of [asks, idles]) {
    client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await client.untilText('\r\n\r\n');
  }
  await proxy.reload(proxy.config({ app: app.port, manager: 'via: new' }));
  asks.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await asks.untilText('connection: close');
  await asks.untilClosed();
  await idles.untilClosed(2000);
  await quiet(proxy);
});

test('a removed listener closes, an added one opens', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await startTestProxy(httpConfig(app.port));
  expect((await ask(proxy.port)).status).toBe(200);
  await proxy.reload(httpConfig(app.port).replace('name: http\n', 'name: other\n'));
  const [{ name, port } = { name: '', port: 0 }] = proxy.proxy.listeners();
  expect(name).toBe('other');
  expect((await ask(port)).status).toBe(200);
  await expect(ask(proxy.port)).rejects.toThrow(/ECONNREFUSED/);
});

test('a configuration whose second listener cannot be bound changes nothing', async () => {
  await using app = await startApp((_request, response) => response.end('old'));
  await using other = await startApp((_request, response) => response.end('new'));
  await using proxy = await startTestProxy(httpConfig(app.port));
  const taken = httpConfig(other.port)
    .replace('port_value: 0 }', `port_value: ${app.port} }`)
    .replace('name: http\n', 'name: b\n');
  await expect(proxy.reload(taken)).rejects.toThrow(/in use/);
  expect((await ask(proxy.port)).body).toBe('old');
  expect(proxy.proxy.listeners()).toHaveLength(1);
});

test('reloads that meet each other happen one after the other', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await startTestProxy(httpConfig(app.port));
  const outcomes = await Promise.all(
    ['a', 'b', 'b', 'c'].map((via) => proxy.reload(httpConfig(app.port, { manager: `via: ${via}` }))),
  );
  expect(outcomes).toEqual(['updated', 'updated', 'unchanged', 'updated']);
  expect((await ask(proxy.port)).headers.via).toBe('c');
});

const filterText = (version: string): string => `import { version } from './version.ts';
export default {
  name: 'stamp', semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({ onResponse(response) { response.set('x-version', version + ${JSON.stringify(version)}); } }),
};\n`;

test('a filter, its helper and a ConfigMap’s folder change under load: within a second, and no request fails', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-hot-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  // As kubelet does it: ..data points to a folder with the files, and is replaced by a rename.
  const publish = (name: string, helper: string, filter: string): void => {
    const files = mkdtempSync(join(dir, '..v-'));
    writeFileSync(join(files, 'version.ts'), `export const version: string = '${helper}';\n`);
    writeFileSync(join(files, 'x.ts'), filterText(filter));
    symlinkSync(files, join(dir, `${name}-tmp`));
    renameSync(join(dir, `${name}-tmp`), join(dir, name));
  };
  publish('..data', '1', 'a');
  for (const file of ['x.ts', 'version.ts']) symlinkSync(join('..data', file), join(dir, file));
  const text = httpConfig(app.port, {
    filters:
      '- name: x\n  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./x.ts }',
  });
  await using proxy = await startTestProxy(text, { dir });
  const load = new Load(proxy.port, 6, () => GET, mustBeOk);
  const version = async () => (await ask(proxy.port)).headers['x-version'];
  const becomes = async (wanted: string): Promise<void> => {
    const deadline = Date.now() + 1000;
    while ((await version()) !== wanted) {
      if (Date.now() > deadline) throw new Error(`still ${await version()}, not ${wanted}, after a second`);
      await sleep(10);
    }
  };
  await becomes('1a');
  for (let i = 2; i < 8; i++) {
    publish('..data', String(i), 'b');
    await becomes(`${i}b`);
  }
  rmSync(join(dir, 'x.ts'));
  rmSync(join(dir, 'version.ts'));
  writeFileSync(join(dir, 'version.ts'), `export const version: string = 'plain';\n`);
  writeFileSync(join(dir, 'x.ts'), filterText('!'));
  await becomes('plain!');
  writeFileSync(join(dir, 'version.ts'), `export const version: string = 'helper';\n`);
  await becomes('helper!');
  writeFileSync(join(dir, 'x.ts'), 'export default {');
  await sleep(600);
  expect(await version()).toBe('helper!');
  expect(proxy.logLines.some((line) => line.includes('x.ts'))).toBe(true);
  writeFileSync(join(dir, 'x.ts'), filterText('?'));
  await becomes('helper?');
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.ok).toBeGreaterThan(200);
}, 30_000);

test.each([1, 2])(
  'SIGTERM under load: what runs finishes, nothing is cut (concurrency %d)',
  async (concurrency) => {
    await using app = await startApp((_request, response) => setTimeout(() => response.end('ok'), 20));
    const dir = mkdtempSync(join(tmpdir(), 'outrigger-term-'));
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
    const file = join(dir, 'envoy.yaml');
    writeFileSync(file, httpConfig(app.port));
    const cli = new RunningCli(['run', '-c', file, '--concurrency', String(concurrency), '--drain-time', '5']);
    const [, port] = await cli.output(/127\.0\.0\.1:(\d+)/);
    const load = new Load(Number(port), 10, () => GET, mustBeOk);
    await eventually('the load runs', () => load.ok > 50, 5000);
    expect(load.failures).toEqual([]);
    cli.child.kill('SIGTERM');
    await eventually('new connections are refused', () => load.failures.length > 0, 5000);
    await load.stop();
    // Every connection ended between two requests: the only failures are those of connecting anew.
    expect(new Set(load.failures.map((text) => text.split(' ')[0]))).toEqual(new Set(['ECONNREFUSED']));
    const { code } = await cli.ended();
    expect(code).toBe(0);
  },
  20_000,
);
