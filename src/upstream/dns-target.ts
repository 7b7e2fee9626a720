import { MAX_DELAY_MS } from '../network/timer.ts';
import type { DnsLookupFamily, DnsResolver } from './dns.ts';
import { fraction, type Random } from './random.ts';

export interface DnsTargetOptions {
  readonly name: string;
  readonly family: DnsLookupFamily;
  readonly resolver: DnsResolver;
  /** Milliseconds between the end of one resolution and the start of the next. */
  readonly refreshRateMs: number;
  /** Up to so many milliseconds are added at random, so that proxies that started together spread out. */
  readonly jitterMs: number;
  /** Whether the answer's TTL, where it has one above 0, takes the place of the refresh rate. */
  readonly respectTtl: boolean;
  /** Waiting times after failures, growing from `baseMs` to `maximumMs`; undefined waits the refresh rate. */
  readonly failureBackOff: { readonly baseMs: number; readonly maximumMs: number } | undefined;
  readonly random: Random;
  /** Called before each resolution. */
  onAttempt(): void;
  /** Called for each answer. Answers whether it could be used; if not, the next attempt comes as after a failure. */
  onAnswer(addresses: readonly string[]): boolean;
  onFailure(error: unknown): void;
}

/** Keeps resolving one name, again and again, until it is stopped. The last answer stays with whoever took it. */
export class DnsTarget {
  private readonly options: DnsTargetOptions;
  private timer: NodeJS.Timeout | undefined = undefined;
  private failures = 0;
  private stopped = false;

  constructor(options: DnsTargetOptions) {
    this.options = options;
  }

  /** Begins to resolve. The promise fulfils after the first attempt, whether it succeeded or not. */
  async start(): Promise<void> {
    await this.resolve();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private async resolve(): Promise<void> {
    const { options } = this;
    options.onAttempt();
    let nextMs: number;
    try {
      const { addresses, ttlMs } = await options.resolver.resolve(options.name, options.family);
      if (this.stopped) return;
      nextMs = options.onAnswer(addresses) ? this.afterSuccess(ttlMs) : this.afterFailure();
    } catch (error) {
      if (this.stopped) return;
      options.onFailure(error);
      nextMs = this.afterFailure();
    }
    this.timer = setTimeout(() => void this.resolve(), Math.min(Math.ceil(nextMs), MAX_DELAY_MS));
    this.timer.unref();
  }

  private afterSuccess(ttlMs: number | undefined): number {
    const { options } = this;
    this.failures = 0;
    if (options.respectTtl && ttlMs !== undefined && ttlMs > 0) return ttlMs;
    return this.afterRefreshRate();
  }

  private afterFailure(): number {
    const { failureBackOff, random } = this.options;
    if (failureBackOff === undefined) return this.afterRefreshRate();
    const { baseMs, maximumMs } = failureBackOff;
    const waitMs = Math.min(baseMs * 2 ** this.failures, maximumMs);
    if (waitMs < maximumMs) this.failures++;
    // Half of it at random: proxies that lost the same server do not all come back to it at once.
    return waitMs / 2 + (fraction(random) * waitMs) / 2;
  }

  private afterRefreshRate(): number {
    const { refreshRateMs, jitterMs, random } = this.options;
    return refreshRateMs + fraction(random) * jitterMs;
  }
}
