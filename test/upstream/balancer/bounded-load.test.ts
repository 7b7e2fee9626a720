import { describe, expect, it } from 'vitest';
import type { Hash64 } from '../../../src/matching/hash64.ts';
import { Gauge } from '../../../src/observe/stats.ts';
import { createBalancer } from '../../../src/upstream/balancer/index.ts';
import { hashOf, makeEndpoint, makeEndpoints, makeOptions } from './support.ts';

const MAGLEV = { kind: 'MAGLEV', tableSize: 65537 } as const;
const HOT_KEY = hashOf('everyone wants this');

function setup(factor: number, endpoints = makeEndpoints(8)) {
  const activeRequests = new Gauge('upstream_rq_active');
  const consistentHashing = { use_hostname_for_hashing: false, hash_balance_factor: factor };
  const balancer = createBalancer(endpoints, makeOptions(MAGLEV, { activeRequests, consistentHashing }));
  const take = (key: Hash64) => {
    const endpoint = balancer.pick(key)!;
    endpoint.activeRequests++;
    activeRequests.inc();
    return endpoint;
  };
  return { endpoints, activeRequests, balancer, take };
}

describe('consistent hashing with bounded loads', () => {
  it('is plain hashing while the load is spread', () => {
    const { endpoints, balancer } = setup(150);
    const plain = createBalancer(endpoints, makeOptions(MAGLEV));
    for (let i = 0; i < 1000; i++) expect(balancer.pick(hashOf(`${i}`))).toBe(plain.pick(hashOf(`${i}`)));
  });

  it('keeps every endpoint within the factor of the average, however hot one key is', () => {
    const { endpoints, take } = setup(150);
    for (let i = 0; i < 800; i++) take(HOT_KEY);
    for (const { activeRequests } of endpoints) expect(activeRequests).toBeLessThanOrEqual(Math.ceil(100 * 1.5));
  });

  it('lets heavier endpoints take more', () => {
    const endpoints = [makeEndpoint(1, { weight: 6 }), ...[2, 3, 4].map((i) => makeEndpoint(i, { weight: 2 }))];
    const { take } = setup(100, endpoints);
    for (let i = 0; i < 1200; i++) take(HOT_KEY);
    // Places are rounded up for each, so the one that comes first may have one more than its share.
    for (const { weight, activeRequests } of endpoints) {
      expect(Math.abs(activeRequests - weight * 100)).toBeLessThanOrEqual(1);
    }
  });

  it('overflows in an order that depends on the key', () => {
    const { endpoints, activeRequests, balancer } = setup(100);
    const second = (key: Hash64) => {
      const first = balancer.pick(key)!;
      first.activeRequests = 4;
      activeRequests.set(4);
      const next = balancer.pick(key);
      expect(balancer.pick(key)).toBe(next);
      expect(next).not.toBe(first);
      first.activeRequests = 0;
      activeRequests.set(0);
      return next;
    };
    const seconds = new Set(Array.from({ length: 200 }, (_, i) => second(hashOf(`key ${i}`))));
    expect(seconds.size).toBe(endpoints.length);
  });

  it('takes the least loaded when all are full', () => {
    const { endpoints, balancer } = setup(100);
    // The gauge does not know of these requests, so nobody has room.
    for (const endpoint of endpoints) endpoint.activeRequests = 10;
    endpoints[5]!.activeRequests = 3;
    expect(balancer.pick(HOT_KEY)).toBe(endpoints[5]);
  });
});

describe('hashing by host name', () => {
  it('keeps the keys of an endpoint whose address changes', () => {
    const consistentHashing = { use_hostname_for_hashing: true };
    const named = (shift: number) => [1, 2, 3, 4, 5].map((i) => makeEndpoint(i + shift, { hostname: `pod-${i}` }));
    const [before, after] = [named(0), named(50)];
    for (const policy of [MAGLEV, { kind: 'RING_HASH', minimumRingSize: 64, maximumRingSize: 1024 } as const]) {
      const one = createBalancer(before, makeOptions(policy, { consistentHashing }));
      const other = createBalancer(after, makeOptions(policy, { consistentHashing }));
      for (let i = 0; i < 500; i++) {
        expect(other.pick(hashOf(`${i}`))!.hostname).toBe(one.pick(hashOf(`${i}`))!.hostname);
      }
    }
  });
});

describe('hashing by a key in the metadata', () => {
  it('comes before address and host name', () => {
    const consistentHashing = { use_hostname_for_hashing: true };
    const keyed = (hostname: string) => [1, 2, 3, 4].map((i) => makeEndpoint(i, { hostname, hashKey: `key-${i}` }));
    const one = createBalancer(keyed('a'), makeOptions(MAGLEV, { consistentHashing }));
    const other = createBalancer(keyed('b'), makeOptions(MAGLEV));
    for (let i = 0; i < 500; i++) {
      expect(other.pick(hashOf(`${i}`))!.hashKey).toBe(one.pick(hashOf(`${i}`))!.hashKey);
    }
  });
});
