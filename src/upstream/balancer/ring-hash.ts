import { Hash64, hash64 } from '../../matching/hash64.ts';
import type { Endpoint } from '../endpoint.ts';
import { type Random, randomHash } from '../random.ts';
import type { Balancer } from './balancer.ts';

/**
 * RING_HASH: every endpoint owns points on a circle of 2⁶⁴ hashes, in number by weight; a request goes to the owner of
 * the first point at or after its hash. When an endpoint comes or goes, about its own share of the requests moves.
 *
 * Points are Envoy's, XXH64 of `<address>_<number>`, so that a key lands on the same endpoint.
 */
export class RingHashBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly random: Random;
  private readonly ring: Ring;
  private readonly scratch = new Hash64();

  /**
   * @param weights add up to 1, or to less where a locality has a weight but no endpoint.
   * @param minimumSize points that the ring has at least, so far as `maximumSize` allows: more share more evenly.
   * @param names what is hashed for each endpoint, usually its address: latin1 text.
   */
  constructor(
    endpoints: readonly Endpoint[],
    weights: ArrayLike<number>,
    names: readonly string[],
    minimumSize: number,
    maximumSize: number,
    random: Random,
  ) {
    this.endpoints = endpoints;
    this.random = random;
    this.ring = sortPoints(placePoints(names, pointsPerEndpoint(weights, minimumSize, maximumSize)));
  }

  /** Points on the ring. */
  get size(): number {
    return this.ring.owners.length;
  }

  pick(hash: Hash64 | undefined, attempt = 0): Endpoint | undefined {
    const wanted = hash ?? randomHash(this.random, this.scratch);
    const wantedHigh = wanted.high >>> 0;
    const wantedLow = wanted.low >>> 0;
    const { highs, lows, owners } = this.ring;
    let from = 0;
    let to = owners.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const high = highs[middle] as number;
      if (high < wantedHigh || (high === wantedHigh && (lows[middle] as number) < wantedLow)) from = middle + 1;
      else to = middle;
    }
    return this.endpoints[owners[(from === owners.length ? attempt : from + attempt) % owners.length] as number];
  }
}

/** Points by their upper and lower 32 bits, and beside each the index of its owner. */
interface Ring {
  readonly highs: Uint32Array;
  readonly lows: Uint32Array;
  readonly owners: Uint32Array;
}

/**
 * As in Envoy, the lightest endpoint gets a whole number of points, unless that exceeds the maximum. The sum is rounded,
 * not each share, so that the rounding of many small weights does not add up.
 */
function pointsPerEndpoint(weights: ArrayLike<number>, minimumSize: number, maximumSize: number): Uint32Array {
  let lightest = 1;
  for (let i = 0; i < weights.length; i++) lightest = Math.min(lightest, weights[i] as number);
  const size = Math.min(Math.ceil(lightest * minimumSize) / lightest, maximumSize);
  const counts = new Uint32Array(weights.length);
  let target = 0;
  let placed = 0;
  for (let i = 0; i < weights.length; i++) {
    target += size * (weights[i] as number);
    counts[i] = Math.max(Math.ceil(target) - placed, 0);
    placed += counts[i] as number;
  }
  return counts;
}

function placePoints(names: readonly string[], counts: Uint32Array): Ring {
  const ring = emptyRing(counts.reduce((sum, count) => sum + count, 0));
  const hash = new Hash64();
  let at = 0;
  for (let owner = 0; owner < names.length; owner++) {
    for (let i = 0; i < (counts[owner] as number); i++, at++) {
      hash64(`${names[owner]}_${i}`, hash);
      ring.highs[at] = hash.high;
      ring.lows[at] = hash.low;
      ring.owners[at] = owner;
    }
  }
  return ring;
}

function emptyRing(size: number): Ring {
  return { highs: new Uint32Array(size), lows: new Uint32Array(size), owners: new Uint32Array(size) };
}

/** In ascending order: a radix sort, since a ring may have millions of points and a comparing sort would stop the thread. */
function sortPoints(points: Ring): Ring {
  const size = points.owners.length;
  let from = points;
  let to = emptyRing(size);
  const starts = new Uint32Array(257);
  for (let shift = 0; shift < 64; shift += 8) {
    const digits = shift < 32 ? from.lows : from.highs;
    starts.fill(0);
    for (let i = 0; i < size; i++) (starts[(((digits[i] as number) >>> shift) & 255) + 1] as number)++;
    for (let digit = 1; digit < 257; digit++) (starts[digit] as number) += starts[digit - 1] as number;
    for (let i = 0; i < size; i++) {
      const at = (starts[((digits[i] as number) >>> shift) & 255] as number)++;
      to.highs[at] = from.highs[i] as number;
      to.lows[at] = from.lows[i] as number;
      to.owners[at] = from.owners[i] as number;
    }
    [from, to] = [to, from];
  }
  return from;
}
