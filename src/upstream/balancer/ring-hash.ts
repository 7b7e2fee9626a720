import { hash32 } from '../../matching/hash.ts';
import type { Endpoint } from '../endpoint.ts';
import { type Random, randomHash } from '../random.ts';
import type { Balancer } from './balancer.ts';

/** Owners share a number with their position while sorting: 32 + 21 bits fit a double exactly. */
const MAX_ENDPOINTS = 2 ** 21;

/**
 * RING_HASH: every endpoint owns points on a circle of 2³² hashes, in number by weight; a request goes to the owner of
 * the first point at or after its hash. When an endpoint comes or goes, about its own share of the requests moves.
 *
 * Points are XXH32 of `address_i` where Envoy takes XXH64 or MurmurHash2, so a key's endpoint differs from Envoy's.
 */
export class RingHashBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly random: Random;
  /** Points in ascending order, and beside each the index of its owner. */
  private readonly points: Uint32Array;
  private readonly owners: Uint32Array;

  /**
   * @param minimumSize points that the ring has at least, so far as `maximumSize` allows: more share more evenly.
   * @param names what is hashed for each endpoint, usually its address.
   */
  constructor(
    endpoints: readonly Endpoint[],
    weights: ArrayLike<number>,
    names: readonly string[],
    minimumSize: number,
    maximumSize: number,
    random: Random,
  ) {
    if (endpoints.length > MAX_ENDPOINTS) throw new RangeError(`a ring has at most ${MAX_ENDPOINTS} endpoints`);
    this.endpoints = endpoints;
    this.random = random;
    const sorted = placePoints(names, pointsPerEndpoint(weights, minimumSize, maximumSize));
    this.points = new Uint32Array(sorted.length);
    this.owners = new Uint32Array(sorted.length);
    for (let i = 0; i < sorted.length; i++) {
      const key = sorted[i] as number;
      this.points[i] = Math.floor(key / MAX_ENDPOINTS);
      this.owners[i] = key % MAX_ENDPOINTS;
    }
  }

  /** Points on the ring. */
  get size(): number {
    return this.points.length;
  }

  pick(hash: number | undefined): Endpoint | undefined {
    const wanted = hash === undefined ? randomHash(this.random) : hash >>> 0;
    const { points } = this;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return this.endpoints[this.owners[low === points.length ? 0 : low] as number];
  }
}

/** As in Envoy, the lightest endpoint gets a whole number of points, unless that exceeds the maximum. */
function pointsPerEndpoint(weights: ArrayLike<number>, minimumSize: number, maximumSize: number): Uint32Array {
  let sum = 0;
  let lightest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i] as number;
    lightest = Math.min(lightest, weights[i] as number);
  }
  const size = Math.min((Math.ceil((lightest / sum) * minimumSize) * sum) / lightest, maximumSize);
  const counts = new Uint32Array(weights.length);
  let target = 0;
  let placed = 0;
  for (let i = 0; i < weights.length; i++) {
    target += ((weights[i] as number) / sum) * size;
    // The sum is rounded, not each share, so that the rounding of many small weights does not add up.
    counts[i] = Math.max(Math.round(target) - placed, 0);
    placed += counts[i] as number;
  }
  return counts;
}

function placePoints(names: readonly string[], counts: Uint32Array): Float64Array {
  const keys = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  let at = 0;
  for (let owner = 0; owner < names.length; owner++) {
    for (let i = 0; i < (counts[owner] as number); i++) {
      keys[at++] = hash32(`${names[owner]}_${i}`) * MAX_ENDPOINTS + owner;
    }
  }
  return keys.sort();
}
