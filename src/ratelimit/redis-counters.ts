import { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { Logger } from '../filter/env.ts';
import type { HitCount, HitCounters } from './hit-counters.ts';

/** Longest pause between two attempts to connect. */
const MAX_RECONNECT_MS = 1000;

/** Counters in a Redis, which all servers that use it share. */
export class RedisCounters implements HitCounters {
  private readonly redis: Redis;
  private readonly log: Logger;
  private readonly limiters = new Map<number, RateLimiterRedis>();
  /** What is logged is that Redis went away, and that it came back; not every call in between. */
  private isDown = false;

  /**
   * @param url as in `redis://127.0.0.1:6379/0`, `rediss://` for TLS
   * @param timeoutMs for connecting, and for each command
   */
  constructor(url: string, timeoutMs: number, log: Logger) {
    this.log = log;
    this.redis = new Redis(url, {
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      // A call that waits for a connection holds a request up: better it fails at once.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      enableAutoPipelining: true,
      retryStrategy: (times) => Math.min(50 * times, MAX_RECONNECT_MS),
    });
    this.redis.on('error', (error: Error) => this.onDown(error));
    this.redis.on('ready', () => this.onUp());
  }

  /** Waits for the first connection, at most as long as connecting may take; whether there is one. */
  async ready(): Promise<boolean> {
    if (this.redis.status === 'ready') return true;
    return new Promise((resolve) => {
      this.redis.once('ready', () => resolve(true));
      this.redis.once('close', () => resolve(false));
    });
  }

  async add(key: string, windowSeconds: number, hits: number): Promise<HitCount> {
    let limiter = this.limiters.get(windowSeconds);
    if (limiter === undefined) {
      limiter = new RateLimiterRedis({
        storeClient: this.redis,
        points: Number.MAX_SAFE_INTEGER,
        duration: windowSeconds,
        keyPrefix: 'ratelimit',
        rejectIfRedisNotReady: true,
      });
      this.limiters.set(windowSeconds, limiter);
    }
    try {
      const { consumedPoints, msBeforeNext } = await limiter.penalty(key, hits);
      this.onUp();
      return { count: consumedPoints, resetMs: msBeforeNext };
    } catch (error) {
      this.onDown(error as Error);
      throw error;
    }
  }

  private onDown(error: Error): void {
    if (this.isDown) return;
    this.isDown = true;
    this.log.error('Redis does not answer', { error: error.message });
  }

  private onUp(): void {
    if (!this.isDown) return;
    this.isDown = false;
    this.log.info('Redis answers again');
  }

  async close(): Promise<void> {
    this.redis.disconnect();
  }
}
