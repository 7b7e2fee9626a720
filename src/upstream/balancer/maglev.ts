import { Hash64, hash64 } from '../../matching/hash64.ts';
import type { Endpoint } from '../endpoint.ts';
import { type Random, randomHash } from '../random.ts';
import type { Balancer } from './balancer.ts';

const EMPTY = 0xffffffff;
const SKIP_SEED = 1;

/**
 * MAGLEV: a table of prime size in which every endpoint has entries by its weight; a request takes the entry at its
 * hash modulo the size, in one step. The table is filled as in Eisenbud et al., "Maglev" (NSDI 2016), §3.4: endpoints
 * take turns, each claiming the next free entry of its own permutation; heavier ones have more turns. Order, turns and
 * permutations are Envoy's, so that a key lands on the same endpoint.
 */
export class MaglevBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly random: Random;
  private readonly table: Uint32Array;
  private readonly scratch = new Hash64();

  /**
   * @param weights add up to 1, as for a ring.
   * @param names what is hashed for each endpoint, usually its address: latin1 text.
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

  pick(hash: Hash64 | undefined, attempt = 0): Endpoint | undefined {
    const { scratch, table } = this;
    let wanted = hash ?? randomHash(this.random, scratch);
    if (attempt > 0) wanted = scratch.set(~wanted.high, wanted.low ^ -attempt);
    return this.endpoints[table[wanted.modulo(table.length)] as number];
  }
}

function fillTable(weights: ArrayLike<number>, names: readonly string[], size: number): Uint32Array {
  const table = new Uint32Array(size).fill(EMPTY);
  const position = new Float64Array(names.length);
  const skip = new Float64Array(names.length);
  const taken = new Float64Array(names.length);
  const hash = new Hash64();
  let heaviest = 0;
  for (let i = 0; i < names.length; i++) {
    position[i] = hash64(names[i] as string, hash).modulo(size);
    skip[i] = hash64(names[i] as string, hash, SKIP_SEED).modulo(size - 1) + 1;
    heaviest = Math.max(heaviest, weights[i] as number);
  }
  // Turns go in the order of names: the table must not depend on the order in which DNS lists addresses.
  const order = names.map((_, i) => i).sort((a, b) => ((names[a] as string) < (names[b] as string) ? -1 : 1));
  let free = size;
  for (let round = 1; free > 0; round++) {
    for (const i of order) {
      // Weights are summed up and compared in the way in which Envoy does, or rounding would give turns to others.
      if (round * (weights[i] as number) < (taken[i] as number)) continue;
      taken[i] = (taken[i] as number) + heaviest;
      let at = position[i] as number;
      while (table[at] !== EMPTY) at = (at + (skip[i] as number)) % size;
      table[at] = i;
      position[i] = (at + (skip[i] as number)) % size;
      if (--free === 0) break;
    }
  }
  return table;
}
