import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, startApp } from '../support/story.ts';

/** A filter that tells its thread, and ends it in every way that a filter can. */
const CRASHER = `import { threadId } from 'node:worker_threads';
export default {
  name: 'crasher',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({
    onRequest(request) {
      if (request.path === '/exit') process.exit(1);
      if (request.path === '/throw') process.nextTick(() => { process.removeAllListeners('uncaughtException'); throw new Error('in a tick'); });
      if (request.path === '/exhaust') { const kept = []; for (;;) kept.push(new Array(100000).fill(kept.length)); }
    },
    onResponse(response) { response.set('x-thread', String(threadId)); },
  }),
};
`;
const FILTER = `- name: crasher
  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./crasher.ts }`;

async function threads(config: string, more: { readonly workerHeapMiB?: number } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-crash-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'crasher.ts'), CRASHER);
  const proxy = await startTestProxy(config, {
    dir,
    concurrency: 2,
    adminAddress: { host: '127.0.0.1', port: 0 },
    ...more,
  });
  const stat = async (name: string): Promise<number> => {
    const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
    const text = await (await fetch(`http://${host}:${port}/stats?filter=${name}`)).text();
    return Number(new RegExp(`^${name.replaceAll('.', '\\.')}: (\\d+)$`, 'm').exec(text)?.[1] ?? -1);
  };
  return Object.assign(proxy, { values: stat });
}

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

const gone = (client: TestClient): boolean => client.closed || client.ended;

/** An open connection that a thread has answered on, and that thread. */
async function connectTo(port: number): Promise<{ client: TestClient; thread: string }> {
  const client = await TestClient.connect(port);
  client.write(GET('/'));
  await client.untilText('\r\n\r\n');
  return { client, thread: /x-thread: (\d+)/.exec(client.text)?.[1] ?? '' };
}

/** One connection to each of both threads. */
async function bothThreads(port: number) {
  const first = await connectTo(port);
  for (let i = 0; i < 200; i++) {
    const other = await connectTo(port);
    if (other.thread !== first.thread) return [first, other] as const;
    other.client.socket.destroy();
  }
  throw new Error('one thread serves alone');
}

test.each(['/exit', '/throw'])(
  'a thread that ends by %s loses its own connections alone, none that waits, and no count',
  {
    timeout: 60_000,
  },
  async (path) => {
    await using app = await startApp((_request, response) => response.end('ok'));
    await using proxy = await threads(httpConfig(app.port, { filters: FILTER }));
    const [doomed, bystander] = await bothThreads(proxy.port);
    const before = await proxy.values('http.test.downstream_rq_total');
    expect(before).toBeGreaterThan(1);
    doomed.client.write(GET(path));
    await expect.poll(() => gone(doomed.client)).toBe(true);
    // About half of them come to the queue of the thread that is no more, and wait there for the next one.
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(proxy.port)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    bystander.client.write(GET('/again'));
    await expect.poll(() => bystander.client.text.match(/200 OK/g)?.length).toBe(2);
    expect(await proxy.values('http.test.downstream_rq_total')).toBeGreaterThanOrEqual(before + 41);
    await expect
      .poll(
        async () =>
          new Set(
            (await Promise.all(Array.from({ length: 16 }, () => ask(proxy.port)))).map(
              ({ headers }) => headers['x-thread'],
            ),
          ).size,
      )
      .toBe(2);
  },
);

test('a thread that runs out of memory is replaced', { timeout: 60_000 }, async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await threads(httpConfig(app.port, { filters: FILTER }), { workerHeapMiB: 96 });
  const [doomed] = await bothThreads(proxy.port);
  doomed.client.write(GET('/exhaust'));
  await expect.poll(() => gone(doomed.client), { timeout: 40_000 }).toBe(true);
  await expect.poll(() => proxy.logLines.join(''), { timeout: 20_000 }).toMatch(/crashed.*a new one takes its place/s);
  expect((await ask(proxy.port)).status).toBe(200);
});

test('crashes that go on are answered more slowly, and told', { timeout: 60_000 }, async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  await using proxy = await threads(httpConfig(app.port, { filters: FILTER }));
  for (let i = 0; i < 6; i++) {
    await ask(proxy.port, { path: '/exit' }).catch(() => undefined);
    await expect.poll(() => proxy.logLines.filter((line) => line.includes('worker thread crashed')).length).toBe(i + 1);
  }
  const told = proxy.logLines.filter((line) => line.includes('worker thread crashed'));
  expect(told[3]).not.toContain('in a short time');
  expect(told[4]).toContain('one of 5 in a short time; a new one takes its place in 0.25 s');
  expect((await ask(proxy.port)).status).toBe(200);
});

test('a reload and a crash at once leave every thread with the new configuration', { timeout: 60_000 }, async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const config = (manager: string): string => httpConfig(app.port, { filters: FILTER, manager });
  await using proxy = await threads(config(''));
  for (let round = 0; round < 3; round++) {
    const crash = ask(proxy.port, { path: '/exit' }).catch(() => undefined);
    const reload = proxy.reload(config(`server_name: round-${round}`));
    await Promise.all([crash, reload]);
    await expect
      .poll(
        async () => {
          const answers = await Promise.all(Array.from({ length: 16 }, () => ask(proxy.port)));
          return [
            new Set(answers.map(({ headers }) => headers.server)),
            new Set(answers.map(({ headers }) => headers['x-thread'])).size,
          ];
        },
        { timeout: 20_000 },
      )
      .toEqual([new Set([`round-${round}`]), 2]);
  }
});

test('what a crashed thread held of a connection limit is given back', { timeout: 60_000 }, async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const text = httpConfig(app.port, { filters: FILTER }).replace(
    '    - filters:\n',
    `    - filters:
      - name: limit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit
          stat_prefix: limit
          max_connections: 20
`,
  );
  await using proxy = await threads(text);
  const open: { client: TestClient; thread: string }[] = [];
  for (let i = 0; i < 20; i++) open.push(await connectTo(proxy.port));
  const refused = await TestClient.connect(proxy.port);
  await expect.poll(() => gone(refused)).toBe(true);
  const doomed = open[0] as (typeof open)[number];
  doomed.client.write(GET('/exit'));
  await expect.poll(() => gone(doomed.client)).toBe(true);
  const left = open.filter(({ client }) => !gone(client)).length;
  expect(left).toBeLessThan(20);
  // As many as are missing have room again.
  for (let i = left; i < 20; i++) await connectTo(proxy.port);
  const again = await TestClient.connect(proxy.port);
  await expect.poll(() => gone(again)).toBe(true);
});
