import type { Hash64 } from '../matching/hash64.ts';

/** Draws integers. `Math.random` would do, but each of its numbers is an object on the heap. */
export interface Random {
  /** An integer from 0 to 2³¹ − 1. */
  next(): number;
}

const RANGE = 0x8000_0000;
const STEP = 0x9e3779b9 | 0;

/** A counter, scrambled: quick, evenly spread, and of no use where an adversary must not guess. */
export class CounterRandom implements Random {
  private state: number;

  /** @param seed any number; a random one by default. */
  constructor(seed: number = Math.random() * 0x1_0000_0000) {
    this.state = seed | 0;
  }

  next(): number {
    this.state = (this.state + STEP) | 0;
    return remix(this.state) >>> 1;
  }
}

/** An integer from 0 up to but not including the bound, which is at most 2²². */
export function below(random: Random, bound: number): number {
  return Math.floor((random.next() / RANGE) * bound);
}

/** A number from 0 up to but not including 1. */
export function fraction(random: Random): number {
  return random.next() / RANGE;
}

/** Writes a random hash, in place of one that a request does not have, into `into`, which is returned. */
export function randomHash(random: Random, into: Hash64): Hash64 {
  return into.set(random.next() ^ (random.next() << 1), random.next() ^ (random.next() << 1));
}

/** Another unsigned 32-bit integer that depends on the given one alone, with no visible relation to it. */
export function remix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
