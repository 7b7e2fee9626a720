import { Hash64 } from '../../matching/hash64.ts';
import type { Counter } from '../../observe/stats.ts';
import type { Endpoint } from '../endpoint.ts';
import { below, type Random, randomHash } from '../random.ts';
import type { Balancer } from './balancer.ts';

/** One share of a cluster's load: the endpoints of one priority that are healthy, or degraded, or (in panic) all. */
export interface LoadShare {
  readonly percent: number;
  readonly balancer: Balancer;
  readonly panic: boolean;
}

/** Chooses among priorities and healths by their share of the load, then lets the share's own balancer choose. */
export class PriorityBalancer implements Balancer {
  private readonly shares: readonly LoadShare[];
  private readonly byHash: boolean;
  private readonly random: Random;
  private readonly panics: Counter;
  private readonly scratch = new Hash64();

  /**
   * @param shares percents add up to 100.
   * @param byHash whether requests of the same hash go to the same priority.
   * @param panics counts picks from a share in panic.
   */
  constructor(shares: readonly LoadShare[], byHash: boolean, random: Random, panics: Counter) {
    this.shares = shares;
    this.byHash = byHash;
    this.random = random;
    this.panics = panics;
  }

  pick(hash: Hash64 | undefined, attempt = 0): Endpoint | undefined {
    const key = this.byHash ? (hash ?? randomHash(this.random, this.scratch)) : undefined;
    const point = key === undefined ? below(this.random, 100) : key.modulo(100);
    let upTo = 0;
    for (const share of this.shares) {
      upTo += share.percent;
      if (point >= upTo) continue;
      if (share.panic) this.panics.inc();
      return share.balancer.pick(key, attempt);
    }
    return undefined;
  }
}
