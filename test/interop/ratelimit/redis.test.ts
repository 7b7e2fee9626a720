import { describe, expect, type TestContext, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { httpConfig } from '../../support/proxy.ts';
import { ProxyProcess } from '../../support/proxy-process.ts';
import {
  ROUTES_BY_CLIENT,
  rateLimitCluster,
  rateLimitFilter,
  startRateLimitServer,
  type TestRateLimitServer,
} from '../../support/ratelimit.ts';
import { ask, echo, startApp } from '../../support/story.ts';
import { hasRedis, NO_REDIS, RedisServer } from './redis-server.ts';

const LIMITS = `
domain: shop
descriptors:
- key: client
  rate_limit: { unit: hour, requests_per_unit: 200, name: by-client }
- key: client
  value: small
  rate_limit: { unit: minute, requests_per_unit: 3 }
`;

function config(app: number, service: number, fields = 'failure_mode_deny: true'): string {
  return httpConfig(app, {
    routes: ROUTES_BY_CLIENT,
    filters: rateLimitFilter(fields),
    clusters: rateLimitCluster(service),
  });
}

/** How many of each status came back when clients send requests to several ports in turn. */
async function statuses(ports: readonly number[], requests: number, client: string): Promise<Record<number, number>> {
  const seen: Record<number, number> = {};
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < requests) {
      const { status } = await ask(ports[sent++ % ports.length] as number, { headers: { 'x-client': client } });
      seen[status] = (seen[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  return seen;
}

const client = (name: string) => ({ headers: { 'x-client': name } });

describe('the rate limit service with a Redis', { timeout: 60_000 }, () => {
  test('a limit holds over two servers, each with a proxy of its own, to the request', async (context) => {
    if (!hasRedis()) return context.skip(NO_REDIS);
    await using redis = await RedisServer.start();
    await using one = await startRateLimitServer(LIMITS, { redis: redis.url });
    await using two = await startRateLimitServer(LIMITS, { redis: redis.url });
    await using app = await startApp(echo());
    await using first = await ProxyProcess.start('outrigger', config(app.port, one.port));
    await using second = await ProxyProcess.start('outrigger', config(app.port, two.port));
    expect(await statuses([first.port, second.port], 300, 'a')).toEqual({ 200: 200, 429: 100 });
    const within = (server: TestRateLimitServer) => server.stat('rate_limit.shop.client.within_limit');
    expect(within(one) + within(two)).toBe(200);
    expect(Math.min(within(one), within(two))).toBeGreaterThan(0);
  });

  test('Envoy and Outrigger are told the same by the same service', async (context: TestContext) => {
    if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
    if (!hasRedis()) return context.skip(NO_REDIS);
    await using app = await startApp((_, response) => response.end('hello'));
    const seen = [];
    for (const name of ['envoy', 'outrigger'] as const) {
      await using redis = await RedisServer.start();
      await using service = await startRateLimitServer(LIMITS, { redis: redis.url });
      const fields = 'failure_mode_deny: true\nenable_x_ratelimit_headers: DRAFT_VERSION_03';
      await using proxy = await ProxyProcess.start(name, config(app.port, service.port, fields));
      const answers = [];
      for (const who of ['small', 'small', 'small', 'small', 'a', 'a']) {
        const { status, headers } = await ask(proxy.port, client(who));
        const shown = Object.entries(headers).filter(([key]) =>
          /^x-(ratelimit-(limit|remaining)|envoy-rate)/.test(key),
        );
        const reset = Number(headers['x-ratelimit-reset']);
        answers.push([status, Object.fromEntries(shown), reset > 50 && reset <= 3600]);
      }
      const stats = await Promise.all(
        ['ok', 'over_limit', 'error'].map((key) => proxy.stat(`cluster.app.ratelimit.${key}`)),
      );
      seen.push({ answers, stats, calls: service.stat('calls') });
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0]?.answers.map(([status]) => status)).toEqual([200, 200, 200, 429, 200, 200]);
    expect(seen[0]?.stats).toEqual([5, 1, 0]);
  });

  test('limits hold over an Envoy and an Outrigger that ask the same service', async (context: TestContext) => {
    if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
    await using service = await startRateLimitServer(LIMITS);
    await using app = await startApp(echo());
    await using envoy = await ProxyProcess.start('envoy', config(app.port, service.port));
    await using outrigger = await ProxyProcess.start('outrigger', config(app.port, service.port));
    expect(await statuses([envoy.port, outrigger.port], 300, 'a')).toEqual({ 200: 200, 429: 100 });
  });

  test('a Redis that is away fails, allows or denies calls as told, is named once, and is used again', async (context) => {
    if (!hasRedis()) return context.skip(NO_REDIS);
    await using redis = await RedisServer.start();
    await using app = await startApp(echo());
    for (const [failureMode, open, closed] of [
      ['error', 200, 500],
      ['allow', 200, 200],
      ['deny', 429, 429],
    ] as const) {
      await using service = await startRateLimitServer(LIMITS, { redis: redis.url, failureMode });
      await using lenient = await ProxyProcess.start('outrigger', config(app.port, service.port, ''));
      await using strict = await ProxyProcess.start('outrigger', config(app.port, service.port));
      expect((await ask(strict.port, client(failureMode))).status).toBe(200);
      await redis.down();
      await expect.poll(() => service.logLines.filter((line) => line.includes('Redis does not answer')).length).toBe(1);
      for (let i = 0; i < 5; i++) {
        expect((await ask(lenient.port, client(failureMode))).status).toBe(open);
        expect((await ask(strict.port, client(failureMode))).status).toBe(closed);
      }
      expect(service.stat('counter_failures')).toBe(10);
      await redis.up();
      await expect
        .poll(() => service.logLines.filter((line) => line.includes('Redis answers again')).length, { timeout: 10_000 })
        .toBe(1);
      expect((await ask(strict.port, client(failureMode))).status).toBe(200);
      expect(service.logLines.filter((line) => line.includes('Redis does not answer')).length).toBe(1);
    }
  });

  test('a Redis that stalls holds no call for longer than its time', async (context) => {
    if (!hasRedis()) return context.skip(NO_REDIS);
    await using redis = await RedisServer.start();
    await using app = await startApp(echo());
    await using service = await startRateLimitServer(LIMITS, { redis: redis.url, redisTimeoutMs: 200 });
    await using proxy = await ProxyProcess.start('outrigger', config(app.port, service.port));
    expect((await ask(proxy.port, client('a'))).status).toBe(200);
    redis.freeze(true);
    const beganMs = performance.now();
    expect((await ask(proxy.port, client('a'))).status).toBe(500);
    // The filter's own limit of time is 10 s.
    expect(performance.now() - beganMs).toBeLessThan(8000);
    redis.freeze(false);
    await expect.poll(async () => (await ask(proxy.port, client('a'))).status, { timeout: 10_000 }).toBe(200);
  });

  test('a service that starts before its Redis serves once it is there', async (context) => {
    if (!hasRedis()) return context.skip(NO_REDIS);
    await using redis = await RedisServer.start();
    await redis.down();
    await using app = await startApp(echo());
    await using service = await startRateLimitServer(LIMITS, { redis: redis.url, failureMode: 'error' });
    await using proxy = await ProxyProcess.start('outrigger', config(app.port, service.port));
    expect((await ask(proxy.port, client('a'))).status).toBe(500);
    await redis.up();
    await expect.poll(async () => (await ask(proxy.port, client('a'))).status, { timeout: 10_000 }).toBe(200);
  });
});
