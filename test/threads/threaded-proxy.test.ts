import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, eventually, readAll, sleep, startApp } from '../support/story.ts';

/** A filter that tells its thread, and crashes it on demand. */
const TELL = `import { threadId } from 'node:worker_threads';
export default {
  name: 'tell',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({
    onRequest(request) {
      if (request.path === '/crash') process.exit(1);
    },
    onResponse(response) { response.set('x-thread', String(threadId)); },
  }),
};
`;

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-threads-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'tell.ts'), TELL);
  return dir;
}

const FILTER = `- name: tell
  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./tell.ts }`;

const start = (config: string, dir: string) =>
  startTestProxy(config, { dir, concurrency: 2, adminAddress: { host: '127.0.0.1', port: 0 }, drainTimeMs: 1000 });

async function adminText(proxy: Awaited<ReturnType<typeof start>>, path: string, method = 'GET'): Promise<string> {
  const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
  return new Promise((resolve, reject) => {
    request({ host, port, path, method, agent: false }, (response) => {
      readAll(response).then((body) => resolve(body.toString()), reject);
    })
      .on('error', reject)
      .end();
  });
}

const stat = async (proxy: Awaited<ReturnType<typeof start>>, name: string): Promise<number> =>
  Number(new RegExp(`^${name.replaceAll('.', '\\.')}: (\\d+)$`, 'm').exec(await adminText(proxy, '/stats'))?.[1] ?? -1);

/** Waits until both threads answer: a new one takes its time on a busy machine. */
async function bothServe(port: number): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const answers = await Promise.allSettled(Array.from({ length: 16 }, () => ask(port)));
    const threads = answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value.headers['x-thread'] : undefined,
    );
    if (!threads.includes(undefined) && new Set(threads).size === 2) return;
    await sleep(50);
  }
  throw new Error('not both threads serve');
}

test('both threads serve, and their statistics are one', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const dir = folder();
  await using proxy = await start(httpConfig(app.port, { filters: FILTER }), dir);
  const threads = new Map<string, number>();
  for (let i = 0; i < 60; i++) {
    const { headers } = await ask(proxy.port);
    const thread = String(headers['x-thread']);
    threads.set(thread, (threads.get(thread) ?? 0) + 1);
  }
  expect(threads.size).toBe(2);
  expect(await stat(proxy, 'http.test.downstream_rq_total')).toBe(60);
  expect(await stat(proxy, 'http.test.downstream_rq_active')).toBe(0);
  expect(await stat(proxy, 'cluster.app.membership_total')).toBe(1);
  expect(await stat(proxy, 'cluster_manager.active_clusters')).toBe(1);
  expect(await stat(proxy, 'cluster.app.upstream_rq_2xx')).toBe(60);
});

test('a circuit breaker and a rate limit mean the same as with one thread', async () => {
  let release = (): void => {};
  const gate = new Promise<void>((done) => {
    release = done;
  });
  await using app = await startApp((req, response) => {
    if (req.url === '/held') void gate.then(() => response.end());
    else response.end();
  });
  const limit = `- name: limit
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
    stat_prefix: limit
    token_bucket: { max_tokens: 25, tokens_per_fill: 25, fill_interval: 3600s }
    filter_enabled: { default_value: { numerator: 100 } }
    filter_enforced: { default_value: { numerator: 100 } }`;
  const dir = folder();
  await using proxy = await start(
    httpConfig(app.port, {
      filters: `${FILTER}\n${limit}`,
      cluster: 'circuit_breakers: { thresholds: [{ max_requests: 5 }] }',
    }),
    dir,
  );
  const held = Array.from({ length: 12 }, () => ask(proxy.port, { path: '/held' }));
  const settled: number[] = [];
  for (const answer of held) void answer.then(({ status }) => settled.push(status));
  await eventually('seven are refused', () => settled.length === 7, 5000);
  expect(settled.every((status) => status === 503)).toBe(true);
  await sleep(50);
  expect(await stat(proxy, 'cluster.app.upstream_rq_active')).toBe(5);
  expect(await stat(proxy, 'cluster.app.circuit_breakers.default.rq_open')).toBe(1);
  release();
  const answers = await Promise.all(held);
  const threads = new Set(answers.filter(({ status }) => status === 200).map(({ headers }) => headers['x-thread']));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
  expect(threads.size).toBeGreaterThan(0);
  // 12 tokens are gone; 13 are left for both threads together.
  const statuses: number[] = [];
  for (let i = 0; i < 20; i++) statuses.push((await ask(proxy.port)).status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(13);
  expect(statuses.filter((status) => status === 429)).toHaveLength(7);
});

test('a crashed thread is replaced, takes only its own requests with it and gives its places back', async () => {
  await using app = await startApp((req, response) => {
    if (req.url === '/slow') setTimeout(() => response.end('ok'), 200);
    else if (req.url !== '/held') response.end('ok');
  });
  const dir = folder();
  await using proxy = await start(
    httpConfig(app.port, { filters: FILTER, cluster: 'circuit_breakers: { thresholds: [{ max_requests: 8 }] }' }),
    dir,
  );
  // Requests that stay with their thread, so that it holds places when it crashes.
  const held = await Promise.all(Array.from({ length: 8 }, () => TestClient.connect(proxy.port)));
  for (const client of held) client.write('GET /held HTTP/1.1\r\nhost: a\r\n\r\n');
  await expect.poll(() => stat(proxy, 'cluster.app.circuit_breakers.default.rq_open')).toBe(1);
  const alive = (): number => held.filter(({ ended, closed }) => !ended && !closed).length;
  for (let crashes = 1; alive() > 0 && crashes < 12; crashes++) {
    const before = alive();
    await expect(ask(proxy.port, { path: '/crash' })).rejects.toThrow();
    await eventually(
      'the crash is noticed',
      () => proxy.logLines.filter((line) => line.includes('a worker thread crashed')).length === crashes,
    );
    await bothServe(proxy.port);
    expect(alive()).toBeLessThanOrEqual(before);
  }
  expect(alive()).toBe(0);
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(proxy.port, { path: '/slow' })));
  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
  expect(await stat(proxy, 'cluster.app.circuit_breakers.default.rq_open')).toBe(0);
});

test('a reload reaches every thread, a bad one none', async () => {
  await using one = await startApp((_request, response) => response.end('one'));
  await using two = await startApp((_request, response) => response.end('two'));
  const dir = folder();
  await using proxy = await start(httpConfig(one.port), dir);
  const bodies = async (): Promise<Set<string>> =>
    new Set(await Promise.all(Array.from({ length: 30 }, async () => (await ask(proxy.port)).body)));
  expect(await bodies()).toEqual(new Set(['one']));
  expect(await proxy.reload(httpConfig(two.port))).toBe('updated');
  expect(await bodies()).toEqual(new Set(['two']));
  expect(await proxy.reload(httpConfig(two.port))).toBe('unchanged');
  await expect(
    proxy.reload(httpConfig(one.port, { filters: FILTER.replace('tell.ts', 'missing.ts') })),
  ).rejects.toThrow(/missing\.ts/);
  expect(await bodies()).toEqual(new Set(['two']));
});

test('a Unix socket is served although threads cannot share one', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const dir = folder();
  const path = join(dir, 'proxy.sock');
  const config = httpConfig(app.port, { filters: FILTER }).replace(
    'socket_address: { address: 127.0.0.1, port_value: 0 }',
    `pipe: { path: ${path} }`,
  );
  await using proxy = await start(config, dir);
  expect((await ask(0, { socketPath: path })).status).toBe(200);
  await expect(ask(0, { socketPath: path, path: '/crash' })).rejects.toThrow();
  await eventually('a new thread takes the socket over', () => proxy.logLines.some((line) => line.includes('crashed')));
  const status = (): Promise<number> =>
    ask(0, { socketPath: path }).then(
      (answer) => answer.status,
      () => 0,
    );
  await expect.poll(status, { timeout: 10_000 }).toBe(200);
});

test('a saved filter takes effect in every thread', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const dir = folder();
  await using proxy = await start(httpConfig(app.port, { filters: FILTER }), dir);
  writeFileSync(
    join(dir, 'tell.ts'),
    readFileSync(join(dir, 'tell.ts'), 'utf8').replace('String(threadId)', "threadId + ' new'"),
  );
  await sleep(1000);
  const seen = new Set<unknown>();
  for (let i = 0; i < 30; i++) seen.add((await ask(proxy.port)).headers['x-thread']);
  expect(seen.size).toBe(2);
  expect([...seen].every((text) => String(text).endsWith(' new'))).toBe(true);
});

test('draining finishes what runs in every thread', async () => {
  await using app = await startApp((_request, response) => setTimeout(() => response.end('done'), 200));
  const dir = folder();
  await using proxy = await start(httpConfig(app.port, { filters: FILTER }), dir);
  const running = Array.from({ length: 10 }, () => ask(proxy.port));
  await sleep(100);
  await proxy.proxy.drain();
  const answers = await Promise.all(running);
  expect(answers.map(({ body }) => body)).toEqual(Array(10).fill('done'));
  await expect(ask(proxy.port)).rejects.toThrow(/ECONNREFUSED/);
});

test('a listener that shares its port with nobody is served by one thread', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const dir = folder();
  const config = httpConfig(app.port, { filters: FILTER, listener: 'enable_reuse_port: false' });
  await using proxy = await start(config, dir);
  const threads = new Set<unknown>();
  for (let i = 0; i < 20; i++) threads.add((await ask(proxy.port)).headers['x-thread']);
  expect(threads.size).toBe(1);
});

test('the admin server that a configuration asks for is the main thread’s, and tells of failed health checks', async () => {
  const dir = folder();
  const probe = await startApp(() => {});
  await probe[Symbol.asyncDispose]();
  const admin = `admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${probe.port} } } }`;
  await using proxy = await startTestProxy(`${admin}${httpConfig(1)}`, { dir, concurrency: 2 });
  expect(proxy.proxy.adminAddress?.port).toBe(probe.port);
  expect(await adminText(proxy, '/ready')).toBe('LIVE\n');
  await adminText(proxy, '/healthcheck/fail', 'POST');
  expect(await adminText(proxy, '/ready')).toBe('DRAINING\n');
  await adminText(proxy, '/healthcheck/ok', 'POST');
  expect(await adminText(proxy, '/ready')).toBe('LIVE\n');
});
