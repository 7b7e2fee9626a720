import type { HealthCheck } from '../../config/schema/health-check.ts';
import { fraction, type Random } from '../random.ts';

/** What a check made of its endpoint. */
export type Transition =
  | 'unchanged'
  | 'changed'
  /** Further checks like it will change the endpoint's health. */
  | 'pending';

/** When the next check is due, by the outcome of the one before. */
export class CheckIntervals {
  private readonly config: HealthCheck;
  private readonly random: Random;

  constructor(config: HealthCheck, random: Random) {
    this.config = config;
    this.random = random;
  }

  /** Milliseconds until an endpoint's first check; 0 is now. */
  initialDelayMs(): number {
    const { initial_jitter: jitterMs } = this.config;
    return jitterMs === 0 ? 0 : Math.max(1, this.upTo(jitterMs));
  }

  /** @param hadTraffic whether the cluster ever had a connection for a request. */
  nextDelayMs(passed: boolean, transition: Transition, hadTraffic: boolean): number {
    const { interval_jitter: jitterMs, interval_jitter_percent: percent } = this.config;
    const baseMs = this.baseMs(passed, transition === 'pending', hadTraffic);
    return Math.max(1, baseMs + this.upTo((baseMs * percent) / 100) + this.upTo(jitterMs));
  }

  private baseMs(passed: boolean, isPending: boolean, hadTraffic: boolean): number {
    const { config } = this;
    if (!hadTraffic) {
      return passed && !isPending
        ? (config.no_traffic_healthy_interval ?? config.no_traffic_interval)
        : config.no_traffic_interval;
    }
    if (passed) return isPending ? (config.healthy_edge_interval ?? config.interval) : config.interval;
    const unhealthyMs = config.unhealthy_interval ?? config.interval;
    return isPending ? (config.unhealthy_edge_interval ?? unhealthyMs) : unhealthyMs;
  }

  /** A whole number of milliseconds below the bound. */
  private upTo(boundMs: number): number {
    return Math.floor(fraction(this.random) * Math.floor(boundMs));
  }
}
