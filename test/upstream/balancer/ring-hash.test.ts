import { describe, expect, it } from 'vitest';
import { hash32 } from '../../../src/matching/hash.ts';
import { RingHashBalancer } from '../../../src/upstream/balancer/ring-hash.ts';
import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { makeEndpoint, makeEndpoints } from './support.ts';

function makeRing(endpoints: readonly Endpoint[], minimumSize = 1024, maximumSize = 8388608): RingHashBalancer {
  const weights = endpoints.map((endpoint) => endpoint.weight);
  const names = endpoints.map((endpoint) => endpoint.address);
  return new RingHashBalancer(endpoints, weights, names, minimumSize, maximumSize, new CounterRandom(1));
}

const KEYS = Array.from({ length: 20_000 }, (_, i) => hash32(`user-${i}`));

describe('ring hash', () => {
  it('goes to the owner of the first point at or after the hash, and round the end', () => {
    const endpoints = makeEndpoints(5);
    const ring = makeRing(endpoints, 40);
    const points = endpoints
      .flatMap((endpoint) =>
        Array.from({ length: 8 }, (_, i) => ({ at: hash32(`${endpoint.address}_${i}`), endpoint })),
      )
      .sort((a, b) => a.at - b.at);
    expect(ring.size).toBe(points.length);
    for (const key of [0, 1, 0xffffffff, ...KEYS.slice(0, 500), ...points.map(({ at }) => at)]) {
      const expected = points.find(({ at }) => at >= key) ?? points[0]!;
      expect(ring.pick(key)).toBe(expected.endpoint);
    }
  });

  it('has whole numbers of points by weight, at least the minimum and at most the maximum', () => {
    expect(makeRing(makeEndpoints(3)).size).toBe(1026);
    expect(makeRing(makeEndpoints(2000)).size).toBe(2000);
    expect(makeRing(makeEndpoints(10), 1000, 500).size).toBe(500);
    expect(makeRing([makeEndpoint(1), makeEndpoint(2, { weight: 9 })], 10).size).toBe(10);
    expect(makeRing([makeEndpoint(1), makeEndpoint(2, { weight: 999 })], 10).size).toBe(1000);
  });

  it('does not depend on the order of the endpoints', () => {
    const endpoints = makeEndpoints(9);
    const [ring, reversed] = [makeRing(endpoints), makeRing(endpoints.toReversed())];
    for (const key of KEYS) expect(reversed.pick(key)).toBe(ring.pick(key));
  });

  it('moves little more than the share of an endpoint that leaves or joins', () => {
    const endpoints = makeEndpoints(10);
    const all = makeRing(endpoints);
    const without = makeRing(endpoints.slice(0, 9));
    const moved = KEYS.filter((key) => all.pick(key) !== without.pick(key));
    const fromOthers = moved.filter((key) => all.pick(key) !== endpoints[9]);
    expect(moved.length / KEYS.length).toBeLessThan(0.25);
    // The ring is refilled to its size, so the others get a tenth more points and pass a few keys among themselves.
    expect(fromOthers.length / KEYS.length).toBeLessThan(0.12);
  });

  it('moves nothing between endpoints that stay when the number of points of each stays', () => {
    const endpoints = makeEndpoints(10);
    const [all, without] = [makeRing(endpoints, 1000), makeRing(endpoints.slice(0, 9), 900)];
    for (const key of KEYS) {
      const before = all.pick(key);
      if (before !== endpoints[9]) expect(without.pick(key)).toBe(before);
    }
  });
});
