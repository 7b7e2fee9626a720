import { describe, expect, it } from 'vitest';
import { Hash64 } from '../../../src/matching/hash64.ts';
import { RingHashBalancer } from '../../../src/upstream/balancer/ring-hash.ts';
import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { hashOf, makeEndpoint, makeEndpoints } from './support.ts';

function makeRing(endpoints: readonly Endpoint[], minimumSize = 1024, maximumSize = 8388608): RingHashBalancer {
  const sum = endpoints.reduce((total, { weight }) => total + weight, 0);
  const weights = endpoints.map((endpoint) => endpoint.weight / sum);
  const names = endpoints.map((endpoint) => endpoint.address);
  return new RingHashBalancer(endpoints, weights, names, minimumSize, maximumSize, new CounterRandom(1));
}

const KEYS = Array.from({ length: 20_000 }, (_, i) => hashOf(`user-${i}`));

describe('ring hash', () => {
  it('goes to the owner of the first point at or after the hash, and round the end', () => {
    const endpoints = makeEndpoints(5);
    const ring = makeRing(endpoints, 40);
    const points = endpoints
      .flatMap((endpoint) =>
        Array.from({ length: 8 }, (_, i) => ({ hash: hashOf(`${endpoint.address}_${i}`), endpoint })),
      )
      .map(({ hash, endpoint }) => ({ hash, at: BigInt(`0x${hash}`), endpoint }))
      .sort((a, b) => (a.at < b.at ? -1 : 1));
    expect(ring.size).toBe(points.length);
    const edges = [hashOf(0), hashOf(1), new Hash64().set(-1, -1), ...points.map(({ hash }) => hash)];
    for (const key of [...edges, ...KEYS.slice(0, 500)]) {
      const first = points.findIndex(({ at }) => at >= BigInt(`0x${key}`));
      const owner = Math.max(first, 0);
      expect(ring.pick(key)).toBe(points[owner]!.endpoint);
      expect(ring.pick(key, 7)).toBe(points[(owner + 7) % points.length]!.endpoint);
    }
  });

  it('has whole numbers of points by weight, at least the minimum and at most the maximum', () => {
    expect(makeRing(makeEndpoints(3)).size).toBe(1026);
    expect(makeRing(makeEndpoints(2000)).size).toBe(2000);
    expect(makeRing(makeEndpoints(10), 1000, 500).size).toBe(500);
    expect(makeRing([makeEndpoint(1), makeEndpoint(2, { weight: 9 })], 10).size).toBe(10);
    expect(makeRing([makeEndpoint(1), makeEndpoint(2, { weight: 999 })], 10).size).toBe(1000);
  });

  it('tells points apart by all 64 bits', () => {
    const endpoints = makeEndpoints(200);
    const ring = makeRing(endpoints, 200_000, 200_000);
    const owner = new Map<string, Endpoint>();
    for (const endpoint of endpoints) {
      for (let i = 0; i < 1000; i++) owner.set(String(hashOf(`${endpoint.address}_${i}`)), endpoint);
    }
    const highs = Map.groupBy(owner.keys(), (hash) => hash.slice(0, 8));
    const close = [...highs.values()].filter((hashes) => hashes.length > 1).flat();
    expect(close.length).toBeGreaterThan(1);
    for (const hash of close) {
      const key = new Hash64().set(Number.parseInt(hash.slice(0, 8), 16), Number.parseInt(hash.slice(8), 16));
      expect(ring.pick(key)).toBe(owner.get(hash));
    }
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
