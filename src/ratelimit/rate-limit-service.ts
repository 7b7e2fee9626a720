import { type RateLimitRequest, type RequestDescriptor, UNIT_SECONDS } from '../http/grpc/rate-limit-request.ts';
import { type DescriptorStatus, RATE_LIMIT_CODE } from '../http/grpc/rate-limit-response.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { HitCounters } from './hit-counters.ts';
import { LimitStats } from './limit-stats.ts';
import type { Limit, LimitTable } from './limit-table.ts';
import { OverLimitMemory } from './over-limit-memory.ts';

/** What is said when the counters cannot be reached: the limit counts as kept, as exceeded, or the call fails. */
export type FailureMode = 'allow' | 'deny' | 'error';

export interface Verdict {
  readonly overallCode: number;
  readonly statuses: readonly DescriptorStatus[];
}

/** A limit that a request meets, from the configuration or brought along. */
interface Met {
  readonly limit: Limit;
  readonly key: string;
  readonly hits: number;
}

const MAX_UINT32 = 0xffffffff;
const UNLIMITED: DescriptorStatus = {
  code: RATE_LIMIT_CODE.OK,
  currentLimit: undefined,
  remaining: MAX_UINT32,
  resetSeconds: 0,
};
const NO_LIMIT: DescriptorStatus = { ...UNLIMITED, remaining: 0 };

/** Decides by its limits whether requests may pass (envoy.service.ratelimit.v3.RateLimitService). */
export class RateLimitService {
  private readonly counters: HitCounters;
  private readonly failureMode: FailureMode;
  private readonly stats: LimitStats;
  private readonly memory = new OverLimitMemory();
  private table: LimitTable;

  constructor(table: LimitTable, counters: HitCounters, failureMode: FailureMode, stats: StatsScope) {
    this.table = table;
    this.counters = counters;
    this.failureMode = failureMode;
    this.stats = new LimitStats(stats);
  }

  /** Takes over other limits; what has been counted stays. */
  replace(table: LimitTable): void {
    this.table = table;
  }

  /** @throws Error (as a rejection) when the counters cannot be reached and the failure mode says so */
  async judge(request: RateLimitRequest): Promise<Verdict> {
    this.stats.calls.inc();
    const met = request.descriptors.map((descriptor) => this.limitOf(request, descriptor));
    const replaced = new Set(met.flatMap((one) => one?.limit.replaces ?? []));
    const statuses = await Promise.all(
      met.map((one) => {
        if (one === undefined || (one.limit.name !== '' && replaced.has(one.limit.name))) return NO_LIMIT;
        return one.limit.isUnlimited ? this.unlimited(request.domain, one) : this.count(request.domain, one);
      }),
    );
    const isOver = statuses.some(({ code }) => code === RATE_LIMIT_CODE.OVER_LIMIT);
    return { overallCode: isOver ? RATE_LIMIT_CODE.OVER_LIMIT : RATE_LIMIT_CODE.OK, statuses };
  }

  private limitOf({ domain, hitsAddend }: RateLimitRequest, descriptor: RequestDescriptor): Met | undefined {
    const limit =
      descriptor.limit === undefined ? this.table.find(domain, descriptor.entries) : broughtLimit(descriptor);
    if (limit === undefined) return undefined;
    let key = `${limit.unit}|${domain}`;
    // No text of a header holds the separator: two descriptors never share a counter.
    for (const entry of descriptor.entries) key += `\0${entry.key}\0${entry.value}`;
    return { limit, key, hits: descriptor.hitsAddend ?? (hitsAddend || 1) };
  }

  private unlimited(domain: string, { limit, hits }: Met): DescriptorStatus {
    this.stats.of(domain, limit).total.add(hits);
    return UNLIMITED;
  }

  private async count(domain: string, { limit, key, hits }: Met): Promise<DescriptorStatus> {
    const stats = this.stats.of(domain, limit);
    stats.total.add(hits);
    const known = this.memory.find(key, limit.requestsPerUnit);
    if (known !== undefined) {
      stats.fromMemory.add(hits);
      return this.status(limit, stats, hits, known.count, known.resetMs);
    }
    try {
      const { count, resetMs } = await this.counters.add(key, UNIT_SECONDS[limit.unit] as number, hits);
      if (count > limit.requestsPerUnit) this.memory.note(key, count, resetMs);
      return this.status(limit, stats, hits, count, resetMs);
    } catch (error) {
      this.stats.failures.inc();
      if (this.failureMode === 'error') throw error;
      return this.failed(limit);
    }
  }

  private status(
    limit: Limit,
    stats: ReturnType<LimitStats['of']>,
    hits: number,
    count: number,
    resetMs: number,
  ): DescriptorStatus {
    const isOver = count > limit.requestsPerUnit;
    if (isOver) stats.overLimit.add(hits);
    else stats.withinLimit.add(hits);
    if (isOver && limit.isShadow) stats.shadow.add(hits);
    return {
      code: isOver && !limit.isShadow ? RATE_LIMIT_CODE.OVER_LIMIT : RATE_LIMIT_CODE.OK,
      currentLimit: limit,
      remaining: isOver ? 0 : limit.requestsPerUnit - count,
      resetSeconds: Math.max(1, Math.ceil(resetMs / 1000)),
    };
  }

  /** What is said of a limit whose counter cannot be reached. */
  private failed(limit: Limit): DescriptorStatus {
    const denies = this.failureMode === 'deny' && !limit.isShadow;
    return {
      code: denies ? RATE_LIMIT_CODE.OVER_LIMIT : RATE_LIMIT_CODE.OK,
      currentLimit: limit,
      remaining: 0,
      resetSeconds: 1,
    };
  }
}

/** A limit that the request brings for its descriptor, in place of the configuration's. */
function broughtLimit({ limit: brought, entries }: RequestDescriptor): Limit | undefined {
  if (brought === undefined || (UNIT_SECONDS[brought.unit] ?? 0) === 0) return undefined;
  return {
    requestsPerUnit: brought.requestsPerUnit,
    unit: brought.unit,
    isUnlimited: false,
    name: '',
    replaces: [],
    isShadow: false,
    statName: entries.map(({ key }) => key).join('.'),
  };
}
