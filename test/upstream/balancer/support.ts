import { Hash64, hash64 } from '../../../src/matching/hash64.ts';
import { Counter, Gauge } from '../../../src/observe/stats.ts';
import type { Balancer, BalancerOptions, BalancerPolicy } from '../../../src/upstream/balancer/index.ts';
import { Endpoint, type EndpointTraits } from '../../../src/upstream/endpoint.ts';
import { CounterRandom, type Random } from '../../../src/upstream/random.ts';

export const NO_LOCALITY = { region: '', zone: '', subZone: '', weight: 0 };

export const POLICIES: readonly BalancerPolicy[] = [
  { kind: 'ROUND_ROBIN' },
  { kind: 'LEAST_REQUEST', choiceCount: 2, activeRequestBias: 1 },
  { kind: 'RANDOM' },
  { kind: 'RING_HASH', minimumRingSize: 1024, maximumRingSize: 8388608 },
  { kind: 'MAGLEV', tableSize: 65537 },
];

/** An endpoint at 10.0.x.y, different for each number. */
export function makeEndpoint(number: number, traits: Partial<EndpointTraits> = {}): Endpoint {
  const host = `10.0.${number >> 8}.${number & 255}`;
  return new Endpoint(
    { host, port: 80, pipe: undefined },
    { hostname: '', hashKey: '', weight: 1, priority: 0, health: 'healthy', locality: NO_LOCALITY, ...traits },
  );
}

export function makeEndpoints(count: number, traits: Partial<EndpointTraits> = {}): Endpoint[] {
  return Array.from({ length: count }, (_, i) => makeEndpoint(i + 1, traits));
}

/** Draws the given fractions of the range, one after the other, and the last one for ever. */
export function drawing(...fractions: number[]): Random {
  let draw = 0;
  return { next: () => Math.floor((fractions[Math.min(draw++, fractions.length - 1)] as number) * 0x8000_0000) };
}

export function makeOptions(policy: BalancerPolicy, options: Partial<BalancerOptions> = {}): BalancerOptions {
  return {
    policy,
    weightedPriorityHealth: false,
    overprovisioningFactor: 140,
    panicThreshold: 50,
    localityWeighted: false,
    consistentHashing: undefined,
    random: new CounterRandom(1),
    activeRequests: new Gauge('upstream_rq_active'),
    panics: new Counter('lb_healthy_panic'),
    ...options,
  };
}

/** The hash of a text, or the one that is a number. */
export function hashOf(key: string | number): Hash64 {
  return typeof key === 'number' ? new Hash64().set(0, key) : hash64(key, new Hash64());
}

/** How often each endpoint is picked; `hashes` gives each pick its hash, without it there is none. */
export function countPicks(
  balancer: Balancer,
  picks: number,
  hashOfPick: (pick: number) => Hash64 | undefined = () => undefined,
): Map<Endpoint | undefined, number> {
  const counts = new Map<Endpoint | undefined, number>();
  for (let i = 0; i < picks; i++) {
    const endpoint = balancer.pick(hashOfPick(i));
    counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
  }
  return counts;
}

/** The picks of each endpoint, in the endpoints' order. */
export function picksOf(counts: Map<Endpoint | undefined, number>, endpoints: readonly Endpoint[]): number[] {
  return endpoints.map((endpoint) => counts.get(endpoint) ?? 0);
}
