import { Agent, request } from 'node:http';
import { expect, test } from 'vitest';
import { type CheckedServer, httpServer } from '../../support/health-servers.ts';
import { checkedConfig, checkedProxy } from './checks.ts';

const CHECK = { healthy_threshold: 1, http_health_check: { path: '/healthz' } };
/** Health counts, however few endpoints have it. */
const NO_PANIC = 'common_lb_config: { healthy_panic_threshold: { value: 0 } }';

interface App extends CheckedServer {
  healthy: boolean;
  served: number;
}

async function app(): Promise<App> {
  const server = await httpServer((incoming, response) => {
    if (incoming.url !== '/healthz') {
      self.served++;
      if (incoming.url === '/leave') response.setHeader('x-envoy-immediate-health-check-fail', 'true');
    }
    response.statusCode = incoming.url !== '/healthz' || self.healthy ? 200 : 503;
    response.end();
  });
  const self: App = Object.assign(server, { healthy: true, served: 0 });
  return self;
}

/** Statuses of so many requests, some at a time. */
async function load(port: number, count: number, path = '/'): Promise<Map<number, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const statuses = new Map<number, number>();
  const one = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ port, host: '127.0.0.1', path, agent }, (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.on('error', reject);
      sent.end();
    });
  for (const status of await Promise.all(Array.from({ length: count }, one)))
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  agent.destroy();
  return statuses;
}

test('traffic moves away from what fails, and back, and no request is lost', { timeout: 60_000 }, async () => {
  await using a = await app();
  await using b = await app();
  await using proxy = await checkedProxy([a.port, b.port], CHECK, NO_PANIC);
  let stop = false;
  const statuses: Map<number, number>[] = [];
  const running = (async () => {
    while (!stop) statuses.push(await load(proxy.port, 50));
  })();
  for (const [failing, other] of [
    [a, b],
    [b, a],
  ] as const) {
    failing.healthy = false;
    await proxy.until('healthy', (count) => count === 1);
    // What was on its way when the check failed may still arrive.
    await load(proxy.port, 20);
    const before = failing.served;
    await load(proxy.port, 100);
    expect(failing.served).toBe(before);
    const served = other.served;
    await load(proxy.port, 10);
    expect(other.served).toBeGreaterThanOrEqual(served + 10);
    failing.healthy = true;
    await proxy.until('healthy', (count) => count === 2);
    const again = failing.served;
    await load(proxy.port, 20);
    expect(failing.served).toBeGreaterThan(again);
  }
  stop = true;
  await running;
  expect([...new Set(statuses.flatMap((map) => [...map.keys()]))]).toEqual([200]);
});

test('without a healthy endpoint there is no upstream, or any, as the panic threshold says', async () => {
  await using a = await app();
  a.healthy = false;
  await using strict = await checkedProxy(a.port, CHECK, NO_PANIC);
  expect([...(await load(strict.port, 5))]).toEqual([[503, 5]]);
  expect([a.served, strict.stat('cluster.app.upstream_cx_none_healthy')]).toEqual([0, 5]);
  await using panicking = await checkedProxy(a.port, CHECK);
  expect([...(await load(panicking.port, 5))]).toEqual([[200, 5]]);
  expect(panicking.stat('cluster.app.lb_healthy_panic')).toBe(5);
});

test('an endpoint leaves by a header of an ordinary response', async () => {
  await using a = await app();
  const slow = { ...CHECK, interval: '600s', no_traffic_interval: '600s' };
  await using proxy = await checkedProxy(a.port, slow, NO_PANIC);
  expect([...(await load(proxy.port, 1, '/leave'))]).toEqual([[200, 1]]);
  expect(await proxy.flags()).toEqual(['/failed_active_hc/excluded_via_immediate_hc_fail']);
  expect(proxy.check('passive_failure')).toBe(1);
  expect([...(await load(proxy.port, 1))]).toEqual([[503, 1]]);
});

test('a proxy that starts waits for the first checks', async () => {
  await using server = await httpServer((_request, response) => {
    setTimeout(() => response.end(), 300);
  });
  await using proxy = await checkedProxy(server.port, CHECK, NO_PANIC);
  expect(proxy.check('healthy')).toBe(1);
});

test('a reload takes what is unchanged along, and ends the checks of what is gone', async () => {
  await using a = await app();
  await using b = await app();
  await using proxy = await checkedProxy(a.port, CHECK);
  await proxy.until('success', (count) => count > 2);
  const attempts = proxy.check('attempt');
  expect(await proxy.reload(checkedConfig(a.port, CHECK, 'max_requests_per_connection: 7'))).toBe('updated');
  expect(proxy.check('healthy')).toBe(1);
  await proxy.until('attempt', (count) => count > attempts + 3);
  expect(await proxy.reload(checkedConfig(b.port, CHECK))).toBe('updated');
  expect([proxy.check('healthy'), (await proxy.flags()).length]).toEqual([1, 1]);
  while (a.sockets.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const { length } = a.seen;
  await proxy.until('attempt', (count) => count > attempts + 10);
  expect(a.seen.length).toBe(length);
});

test('one of several threads checks, and all know what it finds', { timeout: 60_000 }, async () => {
  await using a = await app();
  await using b = await app();
  b.healthy = false;
  await using proxy = await checkedProxy(
    [a.port, b.port],
    { ...CHECK, interval: '600s', no_traffic_interval: '600s' },
    NO_PANIC,
    2,
  );
  const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
  const stats = await (await fetch(`http://${host}:${port}/stats?filter=cluster.app`)).text();
  const value = (name: string): number => Number(new RegExp(`cluster.app.${name}: (\\d+)`).exec(stats)?.[1]);
  expect(['health_check.attempt', 'health_check.healthy', 'membership_healthy'].map(value)).toEqual([2, 1, 1]);
  expect(await proxy.flags()).toEqual(['healthy', '/failed_active_hc']);
  expect([...(await load(proxy.port, 40))]).toEqual([[200, 40]]);
  expect([a.served, b.served]).toEqual([40, 0]);
});

test('what one thread hears or finds out, the others act on', { timeout: 60_000 }, async () => {
  await using a = await app();
  await using b = await app();
  await using proxy = await checkedProxy([a.port, b.port], CHECK, NO_PANIC, 2);
  const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
  const healthy = async (): Promise<string> =>
    /health_check.healthy: (\d)/.exec(await (await fetch(`http://${host}:${port}/stats`)).text())?.[1] ?? '';
  b.healthy = false;
  await expect.poll(healthy, { timeout: 20_000 }).toBe('1');
  await load(proxy.port, 20);
  const served = b.served;
  await load(proxy.port, 100);
  expect(b.served).toBe(served);
  b.healthy = true;
  await expect.poll(healthy, { timeout: 20_000 }).toBe('2');
  await load(proxy.port, 100);
  expect(b.served).toBeGreaterThan(served);
});
