import { Hash64 } from '../../matching/hash64.ts';
import type { Gauge } from '../../observe/stats.ts';
import type { Endpoint } from '../endpoint.ts';
import { type Random, randomHash, remix } from '../random.ts';
import type { Balancer } from './balancer.ts';

/**
 * Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016; Envoy's `hash_balance_factor`): where
 * the hashed endpoint has its share of the requests in flight, times the factor, the request goes on to others, in an
 * order that depends on the hash alone. The overflow of one endpoint so spreads over all, and a key still returns to the same ones.
 */
export class BoundedLoadBalancer implements Balancer {
  private readonly hashing: Balancer;
  private readonly endpoints: readonly Endpoint[];
  /** Share of all requests that each endpoint may have in flight, by endpoint: its weight's, times the factor. */
  private readonly capacity: ReadonlyMap<Endpoint, number>;
  private readonly activeRequests: Gauge;
  private readonly random: Random;
  /** A prime not below the number of endpoints: any step from 1 on then visits them all. */
  private readonly cycle: number;
  private readonly scratch = new Hash64();

  /** @param factor percent of the average load, 100 or more. */
  constructor(
    hashing: Balancer,
    endpoints: readonly Endpoint[],
    weights: readonly number[],
    factor: number,
    activeRequests: Gauge,
    random: Random,
  ) {
    const sum = weights.reduce((total, weight) => total + weight, 0);
    this.hashing = hashing;
    this.endpoints = endpoints;
    this.capacity = new Map(
      endpoints.map((endpoint, i) => [endpoint, ((weights[i] as number) / sum) * (factor / 100)]),
    );
    this.activeRequests = activeRequests;
    this.random = random;
    this.cycle = primeFrom(endpoints.length);
  }

  pick(hash: Hash64 | undefined, attempt = 0): Endpoint | undefined {
    const wanted = hash ?? randomHash(this.random, this.scratch);
    const first = this.hashing.pick(wanted, attempt);
    if (first === undefined || this.loadOf(first) < 1) return first;
    const { endpoints, cycle } = this;
    const key = wanted.high ^ wanted.low;
    const step = 1 + (remix(key) % (cycle - 1));
    let least = first;
    let leastLoad = this.loadOf(first);
    for (let i = 0, at = remix(key ^ cycle) % cycle; i < cycle; i++, at = (at + step) % cycle) {
      const endpoint = endpoints[at];
      if (endpoint === undefined) continue;
      const load = this.loadOf(endpoint);
      if (load < 1) return endpoint;
      if (load < leastLoad) {
        least = endpoint;
        leastLoad = load;
      }
    }
    return least;
  }

  /** Requests in flight by what the endpoint may have once this request is counted; 1 and above is full. */
  private loadOf(endpoint: Endpoint): number {
    const slots = Math.ceil((this.activeRequests.value + 1) * (this.capacity.get(endpoint) as number));
    return endpoint.activeRequests / slots;
  }
}

/** The least prime that is 3 or more and not below `minimum`. */
function primeFrom(minimum: number): number {
  let candidate = Math.max(minimum, 3);
  while (!isPrime(candidate)) candidate++;
  return candidate;
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return true;
}
