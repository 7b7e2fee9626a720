import { describe, expect, it } from 'vitest';
import { MaglevBalancer } from '../../../src/upstream/balancer/maglev.ts';
import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { countPicks, hashOf, makeEndpoint, makeEndpoints, picksOf } from './support.ts';

function makeMaglev(endpoints: readonly Endpoint[], tableSize = 65537): MaglevBalancer {
  const sum = endpoints.reduce((total, { weight }) => total + weight, 0);
  const weights = endpoints.map((endpoint) => endpoint.weight / sum);
  const names = endpoints.map((endpoint) => endpoint.address);
  return new MaglevBalancer(endpoints, weights, names, tableSize, new CounterRandom(1));
}

const KEYS = Array.from({ length: 20_000 }, (_, i) => hashOf(`user-${i}`));

describe('maglev', () => {
  it('gives equal endpoints table entries that differ by one at most', () => {
    const endpoints = makeEndpoints(10);
    const entries = picksOf(countPicks(makeMaglev(endpoints), 65537, hashOf), endpoints);
    expect(Math.max(...entries) - Math.min(...entries)).toBeLessThanOrEqual(1);
    expect(entries.reduce((a, b) => a + b, 0)).toBe(65537);
  });

  it('gives entries by weight', () => {
    const endpoints = [1, 5, 94].map((weight) => makeEndpoint(weight, { weight }));
    const entries = picksOf(countPicks(makeMaglev(endpoints), 65537, hashOf), endpoints);
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
    const counts = countPicks(makeMaglev(endpoints, 11), 11, hashOf);
    expect(picksOf(counts, endpoints)).toEqual(new Array(11).fill(1));
  });

  it('turns to another endpoint at further attempts, by the hash again', () => {
    const maglev = makeMaglev(makeEndpoints(10));
    const second = KEYS.slice(0, 1000).filter((key) => maglev.pick(key, 1) !== maglev.pick(key));
    expect(second.length).toBeGreaterThan(850);
    for (const key of KEYS.slice(0, 100)) expect(maglev.pick(key, 3)).toBe(maglev.pick(key, 3));
  });

  it('survives the smallest table', () => {
    const endpoints = makeEndpoints(2);
    const counts = countPicks(makeMaglev(endpoints, 2), 2, hashOf);
    expect(counts.size).toBe(2);
  });
});
