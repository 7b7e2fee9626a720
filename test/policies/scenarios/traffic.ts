import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type App, ask, echo, echoed, startApp } from '../../support/story.ts';
import { type PolicyScenario, policy, status, withPolicies } from '../scenario.ts';
import { startCollector, startRateLimitService } from '../services.ts';

/** How often, how many at a time, again, and what is told of it. */
export const TRAFFIC: readonly PolicyScenario[] = [
  {
    kind: 'RateLimit',
    name: 'asks the service, which counts for the whole mesh',
    async act(start) {
      await using app = await startApp(echo());
      await using service = await startRateLimitService(3);
      const spec = {
        domain: 'shop',
        service: { address: `127.0.0.1:${service.port}`, timeout: '5s' },
        onFailure: 'DENY',
        limits: [{ by: { header: 'x-user' }, requests: 3, per: 'minute' }],
      };
      const bootstrap = withPolicies(policy('RateLimit', spec), [app.port]);
      await using one = await start(bootstrap);
      await using other = await start(bootstrap);
      const call = (port: number, user: string): Promise<number> => status(port, '/', { 'x-user': user });
      expect([await call(one.port, 'ann'), await call(other.port, 'ann'), await call(one.port, 'ann')]).toEqual([
        200, 200, 200,
      ]);
      expect(await call(other.port, 'ann')).toBe(429);
      expect(await call(one.port, 'bob')).toBe(200);
      expect(service.asked).toContain('shop x-user=ann');
    },
  },
  {
    kind: 'Tracing',
    name: 'gives the request to the app a trace, and the collector its span',
    async act(start) {
      await using app = await startApp(echo());
      await using collector = await startCollector();
      const otlp = { address: `127.0.0.1:${collector.port}`, protocol: 'HTTP' };
      const spec = { sampling: 100, service: 'shop-of-the-test', otlp, tags: { team: 'checkout' } };
      await using proxy = await start(withPolicies(policy('Tracing', spec), [app.port]));
      const answer = await ask(proxy.port);
      const [, trace] = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(echoed(answer).headers.traceparent ?? '') ?? [];
      expect(trace).toBeDefined();
      await expect.poll(() => collector.received(), { timeout: 15_000 }).toContain('shop-of-the-test');
      expect(collector.received()).toContain('checkout');
      expect(collector.received()).toContain(Buffer.from(trace!, 'hex').toString('latin1'));
    },
  },
  {
    kind: 'AccessLog',
    name: 'writes a line for the requests that it is about, and none for others',
    async act(start) {
      await using app = await startApp((request, response) => {
        response.statusCode = request.url === '/broken' ? 500 : 200;
        response.end();
      });
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-log-'));
      const file = join(dir, 'access.log');
      const to = { to: file, json: { path: '%REQ(:PATH)%', code: '%RESPONSE_CODE%' } };
      const text = policy('AccessLog', { to, when: { minStatus: 500 } });
      await using proxy = await start(withPolicies(text, [app.port]));
      await status(proxy.port, '/fine');
      await status(proxy.port, '/broken');
      const lines = async (): Promise<string> => {
        await proxy.flush();
        return existsSync(file) ? readFileSync(file, 'utf8') : '';
      };
      await expect.poll(lines, { timeout: 10_000 }).not.toBe('');
      expect(JSON.parse(await lines())).toEqual({ path: '/broken', code: 500 });
      rmSync(dir, { recursive: true });
    },
  },
  {
    kind: 'RetryPolicy',
    name: 'tries a request again, so often and not oftener',
    async act(start) {
      let calls = 0;
      await using app = await startApp((request, response) => {
        calls++;
        response.statusCode = request.url === '/flaky' && calls === 3 ? 200 : 503;
        request.resume().on('end', () => response.end());
      });
      const text = policy('RetryPolicy', {
        attempts: 2,
        on: ['gateway-error'],
        backOff: { base: '1ms' },
        budget: { percent: 100 },
      });
      await using proxy = await start(withPolicies(text, [app.port], 'sender'));
      expect((await ask(proxy.port, { path: '/flaky', method: 'POST', body: 'kept' })).status).toBe(200);
      calls = 0;
      expect(await status(proxy.port, '/down')).toBe(503);
      expect(calls).toBe(3);
    },
  },
  {
    kind: 'CircuitBreaker',
    name: 'lets so many requests at a time to a cluster, and answers the others itself',
    async act(start) {
      const waiting: (() => void)[] = [];
      await using app = await startApp((_, response) => void waiting.push(() => response.end()));
      const text = policy('CircuitBreaker', { limits: { maxConnections: 1, maxPendingRequests: 1 } });
      await using proxy = await start(withPolicies(text, [app.port], 'receiver'));
      const served = (count: number): Promise<void> =>
        expect.poll(() => waiting.length, { timeout: 10_000 }).toBe(count);
      // One is served, one waits for its connection, and one is too many.
      const first = ask(proxy.port);
      await served(1);
      const others = [ask(proxy.port), ask(proxy.port)];
      const refused = await Promise.race(others);
      expect(refused.status).toBe(503);
      expect(refused.headers['x-envoy-overloaded']).toBe('true');
      waiting[0]!();
      await served(2);
      waiting[1]!();
      const answers = [first, ...others];
      const codes = (await Promise.all(answers)).map((answer) => answer.status);
      expect(codes.toSorted()).toEqual([200, 200, 503]);
    },
  },
  {
    kind: 'CircuitBreaker',
    name: 'leaves out an endpoint that keeps failing',
    async act(start) {
      const hits = { good: 0, bad: 0 };
      const count = (name: 'good' | 'bad', code: number): Promise<App> =>
        startApp((_, response) => {
          hits[name]++;
          response.statusCode = code;
          response.end();
        });
      await using good = await count('good', 200);
      await using bad = await count('bad', 500);
      const outlierDetection = { consecutive5xx: 3, baseEjectionTime: '60s', maxEjectionPercent: 50 };
      const text = policy('CircuitBreaker', { outlierDetection });
      await using proxy = await start(withPolicies(text, [good.port, bad.port], 'sender'));
      for (let tries = 0; hits.bad < 3 && tries < 100; tries++) await status(proxy.port);
      expect(hits.bad).toBe(3);
      const after = hits.good;
      for (let i = 0; i < 10; i++) expect(await status(proxy.port)).toBe(200);
      expect(hits).toEqual({ good: after + 10, bad: 3 });
    },
  },
];
