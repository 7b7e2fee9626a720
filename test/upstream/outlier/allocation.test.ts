import { expect, it } from 'vitest';
import { answer, detectingCluster, threadShares } from './support.ts';

// A file of its own, for a process of its own: as in the proxy, there is one kind of monitor.
it.each([
  ['one thread', false],
  ['threads that count together', true],
])('%s: counting a response allocates nothing', async (_, shared) => {
  const [share] = threadShares(3, 1);
  using web = await detectingCluster(3, { consecutive_5xx: 5 }, shared && share !== undefined ? { share } : {});
  const [endpoint] = web.cluster.endpoints;
  if (endpoint === undefined) throw new Error('no endpoint');
  const head = { status: 200, has: () => false };
  const bad = { status: 503, has: () => false };
  const count = (rounds: number): void => {
    for (let i = 0; i < rounds; i++) {
      endpoint.failureMonitor?.onConnected();
      endpoint.onResponseHead((i & 3) === 0 ? bad : head);
    }
  };
  count(100_000);
  const before = process.memoryUsage().heapUsed;
  count(100_000);
  expect((process.memoryUsage().heapUsed - before) / 100_000).toBeLessThan(4);
  expect(web.out()).toEqual([]);
  answer(endpoint, 500, 500, 500, 500, 500);
  expect(web.out()).toEqual([1]);
});
