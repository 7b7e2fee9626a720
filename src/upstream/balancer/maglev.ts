import { hash32 } from '../../matching/hash.ts';
import type { Endpoint } from '../endpoint.ts';
import { type Random, randomHash } from '../random.ts';
import type { Balancer } from './balancer.ts';

const EMPTY = 0xffffffff;
const SKIP_SEED = 1;

/**
 * MAGLEV: a table of prime size in which every endpoint has entries by its weight; a request takes the entry at its
 * hash modulo the size, in one step. The table is filled as in Eisenbud et al., "Maglev" (NSDI 2016), §3.4: endpoints
 * take turns, each claiming the next free entry of its own permutation; heavier ones have more turns.
 *
 * Permutations come from XXH32 where Envoy takes XXH64, so a key's endpoint differs from Envoy's.
 */
export class MaglevBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly random: Random;
  private readonly table: Uint32Array;

  /**
   * @param names what is hashed for each endpoint, usually its address.
   * @param tableSize a prime, much larger than the number of endpoints.
   */
  constructor(
    endpoints: readonly Endpoint[],
    weights: ArrayLike<number>,
    names: readonly string[],
    tableSize: number,
    random: Random,
  ) {
    this.endpoints = endpoints;
    this.random = random;
    this.table = fillTable(weights, names, tableSize);
  }

  pick(hash: number | undefined): Endpoint | undefined {
    const wanted = hash === undefined ? randomHash(this.random) : hash >>> 0;
    return this.endpoints[this.table[wanted % this.table.length] as number];
  }
}

function fillTable(weights: ArrayLike<number>, names: readonly string[], size: number): Uint32Array {
  const table = new Uint32Array(size).fill(EMPTY);
  const position = new Float64Array(names.length);
  const skip = new Float64Array(names.length);
  const credit = new Float64Array(names.length);
  let heaviest = 0;
  for (let i = 0; i < names.length; i++) {
    position[i] = hash32(names[i] as string) % size;
    skip[i] = (hash32(names[i] as string, SKIP_SEED) % (size - 1)) + 1;
    heaviest = Math.max(heaviest, weights[i] as number);
  }
  // Turns go in the order of names: the table must not depend on the order in which DNS lists addresses.
  const order = names.map((_, i) => i).sort((a, b) => ((names[a] as string) < (names[b] as string) ? -1 : 1));
  let free = size;
  while (free > 0) {
    for (const i of order) {
      credit[i] = (credit[i] as number) + (weights[i] as number);
      if ((credit[i] as number) < heaviest) continue;
      credit[i] = (credit[i] as number) - heaviest;
      let at = position[i] as number;
      while (table[at] !== EMPTY) at = (at + (skip[i] as number)) % size;
      table[at] = i;
      position[i] = (at + (skip[i] as number)) % size;
      if (--free === 0) break;
    }
  }
  return table;
}
