import { describe, expect, it } from 'vitest';
import { RoundRobinBalancer } from '../../../src/upstream/balancer/round-robin.ts';
import { SlowStartBalancer, slowStartFactor } from '../../../src/upstream/balancer/slow-start.ts';
import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { HEALTH_FLAG } from '../../../src/upstream/health-flags.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { clusterConfig, makeCluster } from '../support.ts';
import { countPicks, makeEndpoints, picksOf } from './support.ts';

const START = { windowMs: 10_000, aggression: 1, minWeight: 0.1 };

describe('the share of an endpoint that has just become healthy', () => {
  it.each([
    [0, 0.1],
    [500, 0.1],
    [2000, 0.2],
    [9000, 0.9],
    [10_000, 1],
    [99_000, 1],
  ])('is, after %d ms of 10 s, %d', (healthyMs, share) => {
    expect(slowStartFactor(START, healthyMs)).toBeCloseTo(share);
  });

  it('grows faster in the beginning with more aggression', () => {
    expect(slowStartFactor({ ...START, aggression: 2 }, 2500)).toBeCloseTo(0.5);
    expect(slowStartFactor({ ...START, aggression: 0.5, minWeight: 0 }, 5000)).toBeCloseTo(0.25);
  });
});

/** Three old endpoints and a fresh one, at a time that the test sets. */
function freshAmongOld(weightOf: (endpoint: Endpoint) => number = () => 1) {
  const endpoints = makeEndpoints(4);
  for (const endpoint of endpoints) endpoint.healthySinceMs = -100_000;
  const fresh = endpoints[3] as Endpoint;
  fresh.healthySinceMs = 0;
  const clock = { ms: 0 };
  const random = new CounterRandom(1);
  const balancer = new SlowStartBalancer(
    endpoints,
    (index) => weightOf(endpoints[index] as Endpoint),
    START,
    random,
    () => new RoundRobinBalancer(endpoints, random),
    () => clock.ms,
  );
  return { endpoints, fresh, balancer, clock };
}

describe('a balancer with slow start', () => {
  it('gives a fresh endpoint its growing share', () => {
    const { endpoints, balancer, clock } = freshAmongOld();
    for (const [ms, share] of [
      [0, 0.1],
      [3000, 0.3],
      [6000, 0.6],
      [9000, 0.9],
    ] as const) {
      clock.ms = ms;
      // What was planned before the clock moved comes first.
      countPicks(balancer, 100);
      const picks = picksOf(countPicks(balancer, 10_000), endpoints);
      expect((picks[3] as number) / 10_000).toBeCloseTo(share / (3 + share), 2);
    }
  });

  it('is the ordinary one once all have their share', () => {
    const { endpoints, balancer, clock } = freshAmongOld();
    clock.ms = 10_000;
    expect(picksOf(countPicks(balancer, 400), endpoints)).toEqual([100, 100, 100, 100]);
  });

  it('counts requests in flight where the policy does', () => {
    const { endpoints, balancer, fresh, clock } = freshAmongOld((endpoint) => 1 / (endpoint.activeRequests + 1));
    clock.ms = 5000;
    fresh.activeRequests = 4;
    countPicks(balancer, 100);
    const picks = picksOf(countPicks(balancer, 10_000), endpoints);
    expect((picks[3] as number) / 10_000).toBeCloseTo(0.1 / 3.1, 2);
  });
});

describe('a cluster with slow start', () => {
  const config = (lb: Record<string, unknown>) => clusterConfig(lb, ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']);
  const start = { slow_start_config: { slow_start_window: '100000s' } };

  it.each([
    ['ROUND_ROBIN', { round_robin_lb_config: start }],
    ['LEAST_REQUEST', { lb_policy: 'LEAST_REQUEST', least_request_lb_config: start }],
  ])('%s: starts an endpoint slowly when its checks begin to pass', async (_, lb) => {
    const { cluster } = makeCluster(config(lb));
    await cluster.start();
    const [a, b, c] = cluster.endpoints as [Endpoint, Endpoint, Endpoint];
    for (const endpoint of [a, b]) endpoint.healthySinceMs -= 200_000_000;
    c.markHealth(HEALTH_FLAG.FAILED_ACTIVE_HC, 0);
    cluster.onHealthChanged();
    expect(countPicks(cluster, 300).get(c)).toBeUndefined();
    c.markHealth(0, HEALTH_FLAG.FAILED_ACTIVE_HC);
    cluster.onHealthChanged();
    const share = (countPicks(cluster, 10_000).get(c) ?? 0) / 10_000;
    expect(share).toBeCloseTo(0.1 / 2.1, 2);
  });

  it('treats endpoints alike that start together', async () => {
    const { cluster } = makeCluster(config({ round_robin_lb_config: start }));
    await cluster.start();
    for (const count of countPicks(cluster, 3000).values()) expect(Math.abs(count - 1000)).toBeLessThan(20);
  });
});
