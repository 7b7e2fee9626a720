import type { Counter, StatsScope } from '../observe/stats.ts';
import type { Limit } from './limit-table.ts';

/** Limits that requests bring make statistics too, but only so many. */
const MAX_LIMITS = 10_000;

/** Statistics of one limit, in hits. */
export interface OneLimitStats {
  readonly total: Counter;
  readonly withinLimit: Counter;
  readonly overLimit: Counter;
  /** Hits over the limit that passed since it is in shadow mode. */
  readonly shadow: Counter;
  /** Hits that were over the limit by what was remembered: no counter was asked. */
  readonly fromMemory: Counter;
}

/** `ratelimit_service.*`: what the service was asked, and how it went for each limit. */
export class LimitStats {
  readonly calls: Counter;
  /** Counters that could not be reached. */
  readonly failures: Counter;
  private readonly scope: StatsScope;
  private readonly byName = new Map<string, OneLimitStats>();
  private others: OneLimitStats | undefined = undefined;

  constructor(root: StatsScope) {
    this.scope = root.scope('ratelimit_service');
    this.calls = this.scope.counter('calls');
    this.failures = this.scope.counter('counter_failures');
  }

  of(domain: string, limit: Limit): OneLimitStats {
    const name = `${domain.replaceAll('.', '_')}.${limit.statName}`;
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    if (this.byName.size >= MAX_LIMITS) {
      this.others ??= this.make('others.others');
      return this.others;
    }
    const stats = this.make(name);
    this.byName.set(name, stats);
    return stats;
  }

  private make(name: string): OneLimitStats {
    const scope = this.scope.scope('rate_limit').scope(name);
    return {
      total: scope.counter('total_hits'),
      withinLimit: scope.counter('within_limit'),
      overLimit: scope.counter('over_limit'),
      shadow: scope.counter('shadow_mode'),
      fromMemory: scope.counter('over_limit_with_local_cache'),
    };
  }
}
