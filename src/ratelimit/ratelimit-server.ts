import type { LoadedConfig } from '../config/load.ts';
import { FilterRegistry } from '../filter/registry.ts';
import type { RootLogger } from '../observe/log.ts';
import type { HitCounters } from './hit-counters.ts';
import type { LimitTable } from './limit-table.ts';
import { loadLimits } from './load-limits.ts';
import { type FailureMode, RateLimitService } from './rate-limit-service.ts';
import { type ListenAddress, serviceConfig } from './service-config.ts';
import { serviceFilter } from './service-filter.ts';

export interface RateLimitServerOptions {
  readonly listen: ListenAddress;
  /** File or folder of limits. */
  readonly limits: string;
  /** URL of the Redis that counts; undefined counts in this process. */
  readonly redis: string | undefined;
  readonly redisTimeoutMs: number;
  readonly failureMode: FailureMode;
  readonly log: RootLogger;
}

/** A rate limit service, to be run as a proxy whose one filter answers. */
export interface RateLimitServer {
  readonly registry: FilterRegistry;
  /** Reads the limits, which take effect at once; the configuration of the proxy stays the same. @throws ConfigError */
  load(): LoadedConfig;
  close(): Promise<void>;
}

export async function createRateLimitServer(options: RateLimitServerOptions): Promise<RateLimitServer> {
  const log = options.log.component('ratelimit');
  let table: LimitTable = loadLimits(options.limits);
  const counters = await createCounters(options);
  let service: RateLimitService | undefined;
  let isTold = false;
  const filter = serviceFilter((stats) => {
    service = new RateLimitService(table, counters, options.failureMode, stats);
    return service;
  });
  const registry = new FilterRegistry([filter], []);
  const config = serviceConfig(options.listen, registry);
  return {
    registry,
    load() {
      const next = loadLimits(options.limits);
      // A folder reports whatever happens in it, perhaps to the log of this process.
      if (isTold && next.fingerprint === table.fingerprint) return config;
      table = next;
      isTold = true;
      service?.replace(table);
      log.info('limits loaded', { limits: table.limits.length, domains: table.domains.join(', ') });
      return config;
    },
    close: () => counters.close(),
  };
}

/** Each kind is loaded when it is used. */
async function createCounters({ redis, redisTimeoutMs, log }: RateLimitServerOptions): Promise<HitCounters> {
  if (redis === undefined) {
    const { MemoryCounters } = await import('./memory-counters.ts');
    return new MemoryCounters();
  }
  const { RedisCounters } = await import('./redis-counters.ts');
  const counters = new RedisCounters(redis, redisTimeoutMs, log.component('redis'));
  await counters.ready();
  return counters;
}
