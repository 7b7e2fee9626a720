import type { Calls } from '../../src/filter/calls.ts';
import type { Logger } from '../../src/filter/env.ts';
import type { Counter } from '../../src/observe/stats.ts';
import { FAILURE, type Failure } from './failure.ts';
import { KeySet, NoKeysError } from './key-set.ts';
import type { KeySource } from './keys.ts';
import type { RemoteJwks } from './schema.ts';

/** A JWKS has a few hundred bytes per key. */
const MAX_JWKS_BYTES = 1024 * 1024;
/** Requests that may wait for a provider's first keys; others are refused at once. */
const MAX_WAITING = 1000;
/** How long a failed fetch answers for those that come behind it, where no `failed_refetch_duration` says. */
const DEFAULT_REFETCH_MS = 1000;
const DEFAULT_BACK_OFF_MS = 1000;
/** setTimeout takes no more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface RemoteKeysEnv {
  readonly provider: string;
  readonly calls: Calls;
  readonly log: Logger;
  readonly success: Counter;
  readonly failed: Counter;
  /** The keys are others than before. */
  readonly onChange: () => void;
}

/**
 * Keys from a server. The first fetch makes requests wait, or begins with the configuration (`async_fetch`); from then
 * on they are fetched again in the background whenever `cache_duration` is over. While a fetch fails the old keys stay,
 * and it is tried again; a set without keys withdraws them. One fetch runs at a time.
 */
export class RemoteKeys implements KeySource {
  readonly #config: RemoteJwks;
  readonly #env: RemoteKeysEnv;
  readonly #path: string;
  readonly #authority: string;
  readonly #stopped = new AbortController();
  #keys: KeySet | undefined;
  /** What the keys were made of. */
  #text = '';
  #running: Promise<KeySet | Failure> | undefined;
  #waiting = 0;
  /** By the clock that nobody sets. */
  #retryAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Why the last fetch failed; '' when it did not. */
  #problem = '';

  constructor(config: RemoteJwks, env: RemoteKeysEnv) {
    this.#config = config;
    this.#env = env;
    const [, authority = '', path = ''] = /^(?:https?:\/\/)?([^/?]+)(.*)$/.exec(config.http_uri.uri) ?? [];
    this.#authority = authority;
    this.#path = path.startsWith('/') ? path : `/${path}`;
  }

  start(): void {
    if (this.#config.async_fetch !== undefined) void this.#fetch();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  current(): KeySet | Failure | Promise<KeySet | Failure> {
    if (this.#keys !== undefined) return this.#keys;
    const isRefused =
      this.#waiting >= MAX_WAITING || (this.#running === undefined && performance.now() < this.#retryAtMs);
    return isRefused ? FAILURE.JWKS_FETCH : this.#wait();
  }

  async #wait(): Promise<KeySet | Failure> {
    this.#waiting++;
    try {
      return await this.#fetch();
    } finally {
      this.#waiting--;
    }
  }

  /** Never rejects. */
  #fetch(): Promise<KeySet | Failure> {
    this.#running ??= this.#fetchOnce().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #fetchOnce(): Promise<KeySet | Failure> {
    clearTimeout(this.#timer);
    const refetchMs = this.#config.async_fetch?.failed_refetch_duration ?? DEFAULT_REFETCH_MS;
    try {
      await this.#requestWithRetries();
      this.#env.success.inc();
      this.#logProblem('');
      this.#schedule(this.#config.cache_duration);
    } catch (error) {
      if (this.#stopped.signal.aborted) return FAILURE.JWKS_FETCH;
      this.#env.failed.inc();
      this.#logProblem((error as Error).message);
      this.#retryAtMs = performance.now() + refetchMs;
      // Without async_fetch, and before there have been any keys, it is requests that ask again.
      if (this.#keys !== undefined || this.#config.async_fetch !== undefined) this.#schedule(refetchMs);
    }
    return this.#keys ?? FAILURE.JWKS_FETCH;
  }

  /** Once for each reason, not for each try: '' is the end of it. */
  #logProblem(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    const { provider, log } = this.#env;
    const what = `provider ${provider}: the JWKS of ${this.#config.http_uri.uri}`;
    if (problem === '') log.info(`${what} is fetched again`);
    else log.warn(`${what} was not fetched: ${problem}${this.#keys === undefined ? '' : '; the old keys stay'}`);
  }

  #schedule(delayMs: number): void {
    if (this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#fetch(), Math.min(delayMs, MAX_TIMER_MS)).unref();
  }

  async #requestWithRetries(): Promise<void> {
    const policy = this.#config.retry_policy;
    const retries = policy?.num_retries ?? 0;
    const baseMs = policy?.retry_back_off?.base_interval ?? DEFAULT_BACK_OFF_MS;
    const maxMs = policy?.retry_back_off?.max_interval ?? 10 * baseMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#request();
      } catch (error) {
        if (attempt >= retries || this.#stopped.signal.aborted) throw error;
        // Full jitter, so that proxies whose server came back do not all ask at once.
        await sleep(Math.random() * Math.min(baseMs * (2 ** (attempt + 1) - 1), maxMs));
      }
    }
  }

  async #request(): Promise<void> {
    const { cluster, timeout } = this.#config.http_uri;
    const response = await this.#env.calls.request(cluster, {
      method: 'GET',
      path: this.#path,
      authority: this.#authority,
      timeoutMs: timeout,
      maxResponseBytes: MAX_JWKS_BYTES,
      signal: this.#stopped.signal,
    });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    const text = response.body.toString('utf8');
    if (text === this.#text) return;
    try {
      this.#replace(KeySet.parse(text), text);
    } catch (error) {
      if (error instanceof NoKeysError && this.#keys !== undefined) this.#replace(undefined, '');
      throw error;
    }
  }

  #replace(keys: KeySet | undefined, text: string): void {
    this.#keys = keys;
    this.#text = text;
    this.#env.onChange();
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms).unref());
}
