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

/** A number from 0 up to but not including 1. */
export type Random = () => number;

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

/** A random unsigned 32-bit integer, in place of a hash that the request does not have. */
export function randomHash(random: Random): number {
  return (random() * 0x1_0000_0000) >>> 0;
}

/** Another unsigned 32-bit integer that depends on the hash alone, with no visible relation to it. */
export function remix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
