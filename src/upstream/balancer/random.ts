import type { Endpoint } from '../endpoint.ts';
import { below, type Random } from '../random.ts';
import type { Balancer } from './balancer.ts';

/** RANDOM: each endpoint is as likely as the others. Weights do not count, as in Envoy. */
export class RandomBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly random: Random;

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints;
    this.random = random;
  }

  pick(): Endpoint | undefined {
    return this.endpoints[below(this.random, this.endpoints.length)];
  }
}
