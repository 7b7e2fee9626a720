import type { Hash64 } from '../../matching/hash64.ts';
import type { Endpoint } from '../endpoint.ts';

/** Chooses an endpoint for each request or connection. Built anew when the membership changes, so `pick` only reads. */
export interface Balancer {
  /**
   * @param hash of the request under the route's hash policy; only the hashing balancers look at it, take a random one
   * when it is undefined, and keep none.
   * @param attempt how many endpoints that came out for this hash were turned down: the hashing balancers then go on
   * to another one.
   * @returns undefined when there is no endpoint to choose.
   */
  pick(hash: Hash64 | undefined, attempt?: number): Endpoint | undefined;
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
