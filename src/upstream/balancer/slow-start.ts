import type { Endpoint } from '../endpoint.ts';
import { below, type Random } from '../random.ts';
import type { Balancer } from './balancer.ts';
import { EdfScheduler } from './edf.ts';

/** `slow_start_config`: how an endpoint that has just become healthy comes to its full share. */
export interface SlowStart {
  readonly windowMs: number;
  /** 1 grows evenly; more grows faster in the beginning. Above 0. */
  readonly aggression: number;
  /** Least share of its weight that an endpoint gets, 0…1. */
  readonly minWeight: number;
}

/**
 * The share of its weight that an endpoint gets (intro/arch_overview/upstream/load_balancing/slow_start).
 * @param healthyMs time since it became healthy
 */
export function slowStartFactor({ windowMs, aggression, minWeight }: SlowStart, healthyMs: number): number {
  if (healthyMs >= windowMs) return 1;
  const time = Math.max(1, healthyMs) / windowMs;
  return Math.max(aggression === 1 ? time : time ** (1 / aggression), minWeight);
}

/** When the last of the endpoints will have its full share, in ms of `performance.now()`. */
export function slowStartEndMs(endpoints: readonly Endpoint[], { windowMs }: SlowStart): number {
  return endpoints.reduce((latest, { healthySinceMs }) => Math.max(latest, healthySinceMs + windowMs), 0);
}

/**
 * Weighted round robin in which the weights of endpoints that have just become healthy grow with time. Once all have
 * their full share, the balancer that is right without a slow start takes over.
 */
export class SlowStartBalancer implements Balancer {
  private readonly endpoints: readonly Endpoint[];
  private readonly weightOf: (index: number) => number;
  private readonly slowStart: SlowStart;
  private readonly scheduler: EdfScheduler;
  private readonly endMs: number;
  private readonly createSettled: () => Balancer;
  private readonly now: () => number;
  private settled: Balancer | undefined = undefined;

  /**
   * @param weightOf what the endpoint of this index counts with its full share, at the time of the call
   * @param createSettled makes the balancer that takes over
   */
  constructor(
    endpoints: readonly Endpoint[],
    weightOf: (index: number) => number,
    slowStart: SlowStart,
    random: Random,
    createSettled: () => Balancer,
    now: () => number = () => performance.now(),
  ) {
    this.endpoints = endpoints;
    this.weightOf = weightOf;
    this.slowStart = slowStart;
    this.createSettled = createSettled;
    this.now = now;
    this.endMs = slowStartEndMs(endpoints, slowStart);
    const nowMs = now();
    this.scheduler = new EdfScheduler(endpoints.map((_, index) => this.weightAt(index, nowMs)));
    for (let skip = below(random, endpoints.length); skip > 0; skip--) this.next(nowMs);
  }

  pick(): Endpoint | undefined {
    if (this.settled !== undefined) return this.settled.pick(undefined);
    const nowMs = this.now();
    if (nowMs < this.endMs) return this.next(nowMs);
    this.settled = this.createSettled();
    return this.settled.pick(undefined);
  }

  private next(nowMs: number): Endpoint | undefined {
    const index = this.scheduler.peek();
    this.scheduler.advance(this.weightAt(index, nowMs));
    return this.endpoints[index];
  }

  private weightAt(index: number, nowMs: number): number {
    const { healthySinceMs } = this.endpoints[index] as Endpoint;
    return this.weightOf(index) * slowStartFactor(this.slowStart, nowMs - healthySinceMs);
  }
}
