import type { Endpoint } from '../endpoint.ts';
import { below, type Random } from '../random.ts';
import type { Balancer } from './balancer.ts';
import { EdfScheduler } from './edf.ts';

/**
 * LEAST_REQUEST of equal weights: of `choiceCount` endpoints drawn at random (with replacement, as Envoy draws) the one
 * with the fewest requests in flight.
 */
export class LeastRequestBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly choiceCount: number;
  private readonly random: Random;

  constructor(endpoints: readonly Endpoint[], choiceCount: number, random: Random) {
    this.endpoints = endpoints;
    this.choiceCount = choiceCount;
    this.random = random;
  }

  pick(): Endpoint | undefined {
    const { endpoints } = this;
    let best = endpoints[below(this.random, endpoints.length)] as Endpoint;
    for (let choice = 1; choice < this.choiceCount; choice++) {
      const other = endpoints[below(this.random, endpoints.length)] as Endpoint;
      if (other.activeRequests < best.activeRequests) best = other;
    }
    return best;
  }
}

/**
 * LEAST_REQUEST with weights: weighted round robin in which an endpoint's weight is divided by its requests in flight,
 * `weight / (activeRequests + 1) ** bias`, taken when it has had its turn (`least_request_lb_config` in
 * config/cluster/v3/cluster.proto).
 */
export class WeightedLeastRequestBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly weights: ArrayLike<number>;
  private readonly bias: number;
  private readonly scheduler: EdfScheduler;

  constructor(endpoints: readonly Endpoint[], weights: ArrayLike<number>, bias: number, random: Random) {
    this.endpoints = endpoints;
    this.weights = weights;
    this.bias = bias;
    this.scheduler = new EdfScheduler(weights);
    for (let skip = below(random, endpoints.length); skip > 0; skip--) this.pick();
  }

  pick(): Endpoint | undefined {
    const item = this.scheduler.peek();
    const endpoint = this.endpoints[item] as Endpoint;
    const load = endpoint.activeRequests + 1;
    this.scheduler.advance((this.weights[item] as number) / (this.bias === 1 ? load : load ** this.bias));
    return endpoint;
  }
}
