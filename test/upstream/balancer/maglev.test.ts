import { describe, expect, it } from 'vitest';
import { hash32 } from '../../../src/matching/hash.ts';
import { MaglevBalancer } from '../../../src/upstream/balancer/maglev.ts';
import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { countPicks, makeEndpoint, makeEndpoints, picksOf } from './support.ts';

function makeMaglev(endpoints: readonly Endpoint[], tableSize = 65537): MaglevBalancer {
  const weights = endpoints.map((endpoint) => endpoint.weight);
  const names = endpoints.map((endpoint) => endpoint.address);
  return new MaglevBalancer(endpoints, weights, names, tableSize, new CounterRandom(1));
}

const KEYS = Array.from({ length: 20_000 }, (_, i) => hash32(`user-${i}`));

describe('maglev', () => {
  it('gives equal endpoints table entries that differ by one at most', () => {
    const endpoints = makeEndpoints(10);
    const entries = picksOf(
      countPicks(makeMaglev(endpoints), 65537, (i) => i),
      endpoints,
    );
    expect(Math.max(...entries) - Math.min(...entries)).toBeLessThanOrEqual(1);
    expect(entries.reduce((a, b) => a + b, 0)).toBe(65537);
  });

  it('gives entries by weight', () => {
    const endpoints = [1, 5, 94].map((weight) => makeEndpoint(weight, { weight }));
    const entries = picksOf(
      countPicks(makeMaglev(endpoints), 65537, (i) => i),
      endpoints,
    );
    for (const [i, weight] of [1, 5, 94].entries()) {
      expect(Math.abs(entries[i]! - (65537 * weight) / 100)).toBeLessThan(100);
    }
  });

  it('does not depend on the order of the endpoints', () => {
    const endpoints = makeEndpoints(9);
    const [table, reversed] = [makeMaglev(endpoints), makeMaglev(endpoints.toReversed())];
    for (const key of KEYS) expect(reversed.pick(key)).toBe(table.pick(key));
  });

  it('moves little more than the share of an endpoint that leaves', () => {
    const endpoints = makeEndpoints(10);
    const [all, without] = [makeMaglev(endpoints), makeMaglev(endpoints.slice(0, 9))];
    const fromOthers = KEYS.filter((key) => all.pick(key) !== endpoints[9] && all.pick(key) !== without.pick(key));
    expect(fromOthers.length / KEYS.length).toBeLessThan(0.05);
    expect(fromOthers.length).toBeGreaterThan(0);
  });

  it('fills a table that has hardly more entries than there are endpoints', () => {
    const endpoints = makeEndpoints(11);
    const counts = countPicks(makeMaglev(endpoints, 11), 11, (i) => i);
    expect(picksOf(counts, endpoints)).toEqual(new Array(11).fill(1));
  });

  it('survives the smallest table', () => {
    const endpoints = makeEndpoints(2);
    const counts = countPicks(makeMaglev(endpoints, 2), 2, (i) => i);
    expect(counts.size).toBe(2);
  });
});
