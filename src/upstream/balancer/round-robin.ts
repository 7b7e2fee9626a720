import type { Endpoint } from '../endpoint.ts';
import { below, type Random } from '../random.ts';
import type { Balancer } from './balancer.ts';
import { EdfScheduler } from './edf.ts';

/** ROUND_ROBIN of equal weights: one after the other, from a random start so that workers and proxies do not march in step. */
export class RoundRobinBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private next: number;

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints;
    this.next = below(random, endpoints.length);
  }

  pick(): Endpoint | undefined {
    const endpoint = this.endpoints[this.next];
    this.next = this.next + 1 === this.endpoints.length ? 0 : this.next + 1;
    return endpoint;
  }
}

/** ROUND_ROBIN with weights: of every sum-of-weights picks each endpoint gets its weight, spread evenly. */
export class WeightedRoundRobinBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly weights: ArrayLike<number>;
  private readonly scheduler: EdfScheduler;

  constructor(endpoints: readonly Endpoint[], weights: ArrayLike<number>, random: Random) {
    this.endpoints = endpoints;
    this.weights = weights;
    this.scheduler = new EdfScheduler(weights);
    for (let skip = below(random, endpoints.length); skip > 0; skip--) this.pick();
  }

  pick(): Endpoint | undefined {
    const item = this.scheduler.peek();
    this.scheduler.advance(this.weights[item] as number);
    return this.endpoints[item];
  }
}
