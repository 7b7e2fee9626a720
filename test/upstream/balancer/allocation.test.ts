import { expect, it } from 'vitest';
import { createBalancer } from '../../../src/upstream/balancer/index.ts';
import { hashOf, makeEndpoint, makeEndpoints, makeOptions, POLICIES } from './support.ts';

// A file of its own, for a process of its own: as in the proxy, there is one source of random numbers.
it.each(POLICIES)('a pick allocates nothing ($kind)', (policy) => {
  const options = makeOptions(policy);
  const weighted = Array.from({ length: 20 }, (_, i) => makeEndpoint(i, { weight: 1 + (i % 3) }));
  const hashes = Array.from({ length: 64 }, (_, i) => hashOf(`user-${i}`));
  for (const endpoints of [makeEndpoints(20), weighted]) {
    const balancer = createBalancer(endpoints, options);
    for (let i = 0; i < 100_000; i++) balancer.pick(hashes[i & 63], i & 1);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 100_000; i++) balancer.pick(hashes[i & 63], i & 1);
    expect((process.memoryUsage().heapUsed - before) / 100_000).toBeLessThan(8);
  }
});
