import type { Endpoint } from '../endpoint.ts';
import type { Balancer, Random } from './balancer.ts';

/** RANDOM: each endpoint is as likely as the others. Weights do not count, as in Envoy. */
export class RandomBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly random: Random;

  constructor(endpoints: readonly Endpoint[], random: Random) {
    this.endpoints = endpoints;
    this.random = random;
  }

  pick(): Endpoint | undefined {
    return this.endpoints[Math.floor(this.random() * this.endpoints.length)];
  }
}
