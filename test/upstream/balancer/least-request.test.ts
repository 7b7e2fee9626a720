import { describe, expect, it } from 'vitest';
import { createBalancer } from '../../../src/upstream/balancer/index.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { countPicks, drawing, makeEndpoint, makeEndpoints, makeOptions, picksOf } from './support.ts';

const policy = (choiceCount: number, activeRequestBias = 1) =>
  ({ kind: 'LEAST_REQUEST', choiceCount, activeRequestBias }) as const;

describe('least request', () => {
  it('takes the less busy of two that it draws', () => {
    const endpoints = makeEndpoints(2);
    endpoints[0]!.activeRequests = 5;
    const balancer = createBalancer(
      endpoints,
      makeOptions(policy(2), { random: drawing(0, 0.5, 0.5, 0, 0, 0, 0.5, 0.5) }),
    );
    const picks = Array.from({ length: 4 }, () => endpoints.indexOf(balancer.pick(undefined)!));
    expect(picks).toEqual([1, 1, 0, 1]);
  });

  it('sees the busiest of n only when it draws nothing else: 1/n² of the picks', () => {
    const endpoints = makeEndpoints(5);
    endpoints[2]!.activeRequests = 1;
    const picks = picksOf(countPicks(createBalancer(endpoints, makeOptions(policy(2))), 50_000), endpoints);
    expect(picks[2]! / 50_000).toBeGreaterThan(0.03);
    expect(picks[2]! / 50_000).toBeLessThan(0.05);
  });

  it('avoids a busy endpoint the better the more it draws', () => {
    const share = (choices: number): number => {
      const endpoints = makeEndpoints(5);
      endpoints[0]!.activeRequests = 9;
      return countPicks(createBalancer(endpoints, makeOptions(policy(choices))), 20_000).get(endpoints[0]) ?? 0;
    };
    expect(share(3)).toBeLessThan(share(2) / 2);
    expect(share(8)).toBeLessThan(20);
  });

  it('keeps queues much shorter than random choice', () => {
    const longest = (kind: 'LEAST_REQUEST' | 'RANDOM'): number => {
      const random = new CounterRandom(3);
      const endpoints = makeEndpoints(50);
      const balancer = createBalancer(endpoints, makeOptions(kind === 'RANDOM' ? { kind } : policy(2), { random }));
      for (let i = 0; i < 5000; i++) balancer.pick(undefined)!.activeRequests++;
      return Math.max(...endpoints.map((endpoint) => endpoint.activeRequests));
    };
    expect(longest('LEAST_REQUEST')).toBeLessThan(106);
    expect(longest('RANDOM')).toBeGreaterThan(112);
  });

  it('divides weights by the requests in flight', () => {
    const endpoints = [makeEndpoint(1, { weight: 2 }), makeEndpoint(2, { weight: 1 })];
    endpoints[0]!.activeRequests = 3;
    const picks = picksOf(countPicks(createBalancer(endpoints, makeOptions(policy(2))), 9000), endpoints);
    expect(picks[0]! / 3000).toBeCloseTo(1, 1);
  });

  it('ignores the requests in flight at bias 0', () => {
    const endpoints = [makeEndpoint(1, { weight: 2 }), makeEndpoint(2, { weight: 1 })];
    endpoints[0]!.activeRequests = 100;
    const picks = picksOf(countPicks(createBalancer(endpoints, makeOptions(policy(2, 0))), 9000), endpoints);
    expect(picks[0]! / 6000).toBeCloseTo(1, 1);
  });
});
