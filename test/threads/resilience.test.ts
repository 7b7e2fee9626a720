import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpServer } from '../support/health-servers.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { ask, sleep } from '../support/story.ts';

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
const FILTER = `- name: tell
  typed_config: { "@type": type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./tell.ts }`;

const configOf = (port: number, cluster: string): string => httpConfig(port, { filters: FILTER, cluster });

async function twoThreads(port: number, cluster: string) {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-resilience-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'tell.ts'), TELL);
  const proxy = await startTestProxy(configOf(port, cluster), {
    dir,
    concurrency: 2,
    adminAddress: { host: '127.0.0.1', port: 0 },
  });
  const admin = async (path: string): Promise<string> => {
    const address = proxy.proxy.adminAddress as { host: string; port: number };
    return (await fetch(`http://${address.host}:${address.port}${path}`)).text();
  };
  const stat = async (name: string): Promise<number> =>
    Number(new RegExp(`^cluster\\.app\\.${name}: (\\d+)$`, 'm').exec(await admin('/stats'))?.[1] ?? -1);
  return { ...proxy, admin, stat };
}

const NO_PANIC = 'common_lb_config: { healthy_panic_threshold: { value: 0 } }\n';

test('failures that any thread sees eject an endpoint for all of them', { timeout: 60_000 }, async () => {
  let served = 0;
  await using app = await httpServer((_request, response) => {
    served++;
    response.statusCode = 500;
    response.end();
  });
  await using proxy = await twoThreads(
    app.port,
    `${NO_PANIC}outlier_detection: { consecutive_5xx: 12, interval: 1000s, max_ejection_percent: 100 }`,
  );
  const threads = new Set<unknown>();
  const statuses: number[] = [];
  // Connections go to either thread by chance: of so many, neither gets none.
  for (let i = 0; i < 60; i++) {
    const { status, headers } = await ask(proxy.port);
    threads.add(headers['x-thread']);
    statuses.push(status);
  }
  expect(threads.size).toBe(2);
  expect(statuses).toEqual([...Array(12).fill(500), ...Array(48).fill(503)]);
  expect(served).toBe(12);
  expect(await proxy.stat('outlier_detection.ejections_active')).toBe(1);
  expect(await proxy.stat('outlier_detection.ejections_enforced_total')).toBe(1);
  expect(await proxy.stat('membership_healthy')).toBe(0);
  expect(await proxy.admin('/clusters')).toContain('::health_flags::/failed_outlier_check\n');
});

test('an ejected endpoint comes back in all threads', { timeout: 60_000 }, async () => {
  let status = 500;
  await using app = await httpServer((_request, response) => {
    response.statusCode = status;
    response.end();
  });
  await using proxy = await twoThreads(
    app.port,
    `${NO_PANIC}outlier_detection: { consecutive_5xx: 1, interval: 0.05s, base_ejection_time: 0.05s, max_ejection_percent: 100 }`,
  );
  await ask(proxy.port);
  status = 200;
  await expect.poll(() => proxy.stat('outlier_detection.ejections_active'), { timeout: 20_000 }).toBe(0);
  const statuses = await Promise.all(Array.from({ length: 40 }, async () => (await ask(proxy.port)).status));
  expect(new Set(statuses)).toEqual(new Set([200]));
});

test('when the thread that checks crashes, another one checks', { timeout: 60_000 }, async () => {
  let checks = 0;
  await using app = await httpServer((request, response) => {
    if (request.url === '/healthz') checks++;
    response.end();
  });
  const check = {
    timeout: '20s',
    interval: '0.05s',
    no_traffic_interval: '0.05s',
    unhealthy_threshold: 1,
    healthy_threshold: 1,
    http_health_check: { path: '/healthz' },
  };
  await using proxy = await twoThreads(app.port, `health_checks: [${JSON.stringify(check)}]`);
  // Both threads of now crash, one after the other.
  const first = new Set<unknown>();
  for (let i = 0; first.size < 2 && i < 200; i++) first.add((await ask(proxy.port)).headers['x-thread']);
  for (let round = 0; round < 2; round++) {
    await ask(proxy.port, { path: '/crash' }).catch(() => undefined);
    const before = checks;
    await expect.poll(() => checks, { timeout: 20_000 }).toBeGreaterThan(before + 3);
    for (let tries = 0; tries < 100; tries++) {
      const answers = await Promise.allSettled(Array.from({ length: 16 }, () => ask(proxy.port)));
      const threads = new Set(
        answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.headers['x-thread'] : undefined)),
      );
      if (!threads.has(undefined) && threads.size === 2) break;
      await sleep(50);
    }
  }
  expect(await proxy.stat('health_check.healthy')).toBe(1);
  expect(await proxy.stat('membership_healthy')).toBe(1);
});

test('a reload waits for the first checks of its clusters, in the threads that do not make them too', {
  timeout: 60_000,
}, async () => {
  let healthy = true;
  await using app = await httpServer((request, response) => {
    response.statusCode = request.url !== '/healthz' || healthy ? 200 : 503;
    setTimeout(() => response.end(), request.url === '/healthz' ? 100 : 0);
  });
  const check = {
    timeout: '20s',
    interval: '600s',
    no_traffic_interval: '600s',
    unhealthy_threshold: 1,
    healthy_threshold: 1,
    http_health_check: { path: '/healthz' },
  };
  const cluster = (more: string): string => `${NO_PANIC}health_checks: [${JSON.stringify(check)}]\n${more}`;
  await using proxy = await twoThreads(app.port, cluster(''));
  const statuses = async (): Promise<Set<number>> =>
    new Set((await Promise.all(Array.from({ length: 40 }, () => ask(proxy.port)))).map(({ status }) => status));
  expect(await statuses()).toEqual(new Set([200]));
  healthy = false;
  expect(await proxy.reload(configOf(app.port, cluster('max_requests_per_connection: 7')))).toBe('updated');
  expect(await statuses()).toEqual(new Set([503]));
  healthy = true;
  expect(await proxy.reload(configOf(app.port, cluster('max_requests_per_connection: 8')))).toBe('updated');
  expect(await statuses()).toEqual(new Set([200]));
  expect(await proxy.stat('health_check.attempt')).toBe(3);
});
