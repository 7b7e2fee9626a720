import type { Endpoint } from '../endpoint.ts';

/** Chooses an endpoint for each request or connection. Built anew when the membership changes, so `pick` only reads. */
export interface Balancer {
  /**
   * @param hash of the request under the route's hash policy, unsigned 32 bits; only the hashing balancers look at it,
   * and take a random one when it is undefined.
   * @returns undefined when there is no endpoint to choose.
   */
  pick(hash: number | undefined): Endpoint | undefined;
}

/** For no endpoint, or for one: there is nothing to balance. */
export class FixedBalancer implements Balancer {
  private readonly endpoint: Endpoint | undefined;

  constructor(endpoint: Endpoint | undefined) {
    this.endpoint = endpoint;
  }

  pick(): Endpoint | undefined {
    return this.endpoint;
  }
}
