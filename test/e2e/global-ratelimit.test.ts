import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { ROUTES_BY_CLIENT, rateLimitCluster, rateLimitFilter, startRateLimitServer } from '../support/ratelimit.ts';
import { ask } from '../support/story.ts';

const LIMITS = `
domain: shop
descriptors:
- key: client
  rate_limit: { unit: hour, requests_per_unit: 200, name: by-client }
`;

async function startApp(): Promise<number> {
  const app = createServer((_, response) => response.end('ok'));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    app.closeAllConnections();
    app.close();
  });
  return (app.address() as AddressInfo).port;
}

function config(app: number, service: number, fields = '', moreFilters = '', host?: string): string {
  const filters = `${moreFilters}${rateLimitFilter(fields)}`;
  return httpConfig(app, { routes: ROUTES_BY_CLIENT, filters, clusters: rateLimitCluster(service, host) });
}

/** Sends requests, some at a time, to ports in turn; how many of each status came back. */
async function load(ports: readonly number[], requests: number, client: string): Promise<Record<number, number>> {
  const seen: Record<number, number> = {};
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < requests) {
      const port = ports[sent++ % ports.length] as number;
      const { status } = await ask(port, { headers: { 'x-client': client } });
      seen[status] = (seen[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  return seen;
}

test('a limit holds over two proxies, to the request', async () => {
  await using service = await startRateLimitServer(LIMITS);
  const app = await startApp();
  await using one = await startTestProxy(config(app, service.port, 'failure_mode_deny: true'));
  await using two = await startTestProxy(config(app, service.port, 'failure_mode_deny: true'));
  expect(await load([one.port, two.port], 320, 'a')).toEqual({ 200: 200, 429: 120 });
  expect(await load([one.port, two.port], 50, 'b')).toEqual({ 200: 50 });
  const over = (proxy: TestProxy) => proxy.stat('cluster.app.ratelimit.over_limit');
  expect(over(one) + over(two)).toBe(120);
  // Each proxy has one connection to the service, whatever its load.
  expect(one.stat('cluster.ratelimit.upstream_cx_total')).toBe(1);
  expect(service.stat('rate_limit.shop.client.within_limit')).toBe(250);
  expect(service.stat('rate_limit.shop.client.over_limit')).toBe(120);
});

test('a limit holds over two worker threads of one proxy, to the request', async () => {
  await using service = await startRateLimitServer(LIMITS);
  const app = await startApp();
  await using proxy = await startTestProxy(config(app, service.port, 'failure_mode_deny: true'), { concurrency: 2 });
  expect(await load([proxy.port], 300, 'a')).toEqual({ 200: 200, 429: 100 });
});

test('headers tell how much is left, and a refusal says why', async () => {
  await using service = await startRateLimitServer(LIMITS.replace('200', '2'));
  const app = await startApp();
  await using proxy = await startTestProxy(config(app, service.port, 'enable_x_ratelimit_headers: DRAFT_VERSION_03'));
  const answers = [];
  for (let i = 0; i < 3; i++) answers.push(await ask(proxy.port, { headers: { 'x-client': 'a' } }));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(answers.map(({ headers }) => headers['x-ratelimit-remaining'])).toEqual(['1', '0', '0']);
  expect(answers[0]?.headers['x-ratelimit-limit']).toBe('2, 2;w=3600;name="by-client"');
  expect(Number(answers[0]?.headers['x-ratelimit-reset'])).toBeGreaterThan(3000);
  expect(answers.map(({ headers }) => headers['x-envoy-ratelimited'])).toEqual([undefined, undefined, 'true']);
});

test('a service that is away lets requests pass or refuses them, and is asked again when it is back', async () => {
  // An address that nobody else uses: the port is still free when the service comes back.
  const host = '127.7.0.1';
  const gone = await startRateLimitServer(LIMITS, { listen: { host, port: 0 } });
  const { port } = gone;
  await gone[Symbol.asyncDispose]();
  const app = await startApp();
  await using open = await startTestProxy(config(app, port, '', '', host));
  await using closed = await startTestProxy(config(app, port, 'failure_mode_deny: true', '', host));
  expect((await ask(open.port, { headers: { 'x-client': 'a' } })).status).toBe(200);
  expect(open.stat('cluster.app.ratelimit.failure_mode_allowed')).toBe(1);
  expect((await ask(closed.port, { headers: { 'x-client': 'a' } })).status).toBe(500);
  expect(closed.stat('cluster.app.ratelimit.error')).toBe(1);
  await using back = await startRateLimitServer(LIMITS, { listen: { host, port } });
  await expect.poll(async () => (await ask(closed.port, { headers: { 'x-client': 'a' } })).status).toBe(200);
  expect(back.stat('calls')).toBeGreaterThan(0);
});

test('a local limit in front saves calls to the service', async () => {
  await using service = await startRateLimitServer(LIMITS);
  const app = await startApp();
  const local = `- name: envoy.filters.http.local_ratelimit
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
    stat_prefix: local
    token_bucket: { max_tokens: 100, tokens_per_fill: 100, fill_interval: 3600s }
    filter_enabled: { default_value: { numerator: 100 } }
    filter_enforced: { default_value: { numerator: 100 } }
    # The route's limits are for the service: they describe requests to both.
    descriptors:
    - entries: [{ key: client, value: greedy }]
      token_bucket: { max_tokens: 10, tokens_per_fill: 10, fill_interval: 3600s }
`;
  await using proxy = await startTestProxy(config(app, service.port, '', local));
  expect(await load([proxy.port], 50, 'greedy')).toEqual({ 200: 10, 429: 40 });
  expect(service.stat('calls')).toBe(10);
});

test('a request whose client goes away while the service is asked harms nobody', async () => {
  await using service = await startRateLimitServer(LIMITS);
  const app = await startApp();
  await using proxy = await startTestProxy(config(app, service.port, 'failure_mode_deny: true'));
  for (let i = 0; i < 20; i++) {
    const leaving = fetch(`http://127.0.0.1:${proxy.port}/`, {
      headers: { 'x-client': 'a' },
      signal: AbortSignal.timeout(1 + (i % 3)),
    });
    await leaving.catch(() => {});
  }
  expect((await ask(proxy.port, { headers: { 'x-client': 'b' } })).status).toBe(200);
  await expect.poll(() => proxy.stat('cluster.ratelimit.upstream_rq_active')).toBe(0);
});
