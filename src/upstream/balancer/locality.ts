import type { Hash64 } from '../../matching/hash64.ts';
import type { Endpoint } from '../endpoint.ts';
import type { Balancer } from './balancer.ts';
import { EdfScheduler } from './edf.ts';

/** Chooses a locality by its weight in a weighted round robin, then lets the locality's own balancer choose. */
export class LocalityBalancer implements Balancer {
  private readonly balancers: readonly Balancer[];
  private readonly weights: ArrayLike<number>;
  private readonly scheduler: EdfScheduler;

  /** @param weights above 0, by balancer. */
  constructor(balancers: readonly Balancer[], weights: ArrayLike<number>) {
    this.balancers = balancers;
    this.weights = weights;
    this.scheduler = new EdfScheduler(weights);
  }

  pick(hash: Hash64 | undefined): Endpoint | undefined {
    const item = this.scheduler.peek();
    this.scheduler.advance(this.weights[item] as number);
    return (this.balancers[item] as Balancer).pick(hash);
  }
}
