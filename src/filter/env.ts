import type { StatsScope } from '../observe/stats.ts';
import type { Calls } from './calls.ts';
import type { HttpStream } from './http.ts';
import type { Taps } from './taps.ts';

/** What a filter gets at load besides its own configuration. */
export interface FilterEnv<R = unknown> {
  /** The name under which the configuration lists the filter. */
  readonly name: string;
  /** Statistics of the filter chain: names are put behind the connection manager's `http.<stat_prefix>.` or the listener's own. */
  readonly stats: StatsScope;
  /** Overrides from `typed_per_filter_config`, the least specific first (route configuration, virtual host, route, weighted cluster); [] in the base chain. */
  readonly routeConfigs: readonly R[];
  readonly log: Logger;
  /** Reserves a place for per-stream state. Call it at load, never per request. */
  slot<T>(): Slot<T>;
  /** Memory that every worker thread of the process shares, by key: limits mean the same at any concurrency. Zeroed when first made. */
  shared(key: string, bytes: number): SharedArrayBuffer;
  /** A count over all worker threads of what is held at the moment, by key: what a thread that crashes held is given back. */
  sharedCount(key: string): SharedCount;
  /** Facts about the proxy around the filter. */
  readonly proxy: ProxyFacts;
  /** Requests to the clusters of the configuration. */
  readonly calls: Calls;
  /** Makes the filter known to the admin server's `POST /tap`. */
  readonly taps: Taps;
}

export interface SharedCount {
  readonly value: number;
  /** One more; what was held before. */
  add(): number;
  /** One less. */
  remove(): void;
}

export interface ProxyFacts {
  /** False once health checks are failed from outside (`POST /healthcheck/fail`) or a drain has begun. */
  healthy(): boolean;
  /** Share of healthy endpoints of a cluster, 0…100; undefined when there is no such cluster. */
  healthyPercent(cluster: string): number | undefined;
  /** Statistics of a cluster, `cluster.<name>.`; undefined when there is no such cluster. */
  clusterStats(cluster: string): StatsScope | undefined;
  readonly node: { readonly id: string; readonly cluster: string; readonly zone?: string };
}

/** A place for one filter's state in every stream. */
export class Slot<T> {
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }

  get(stream: HttpStream): T | undefined {
    return stream.slots[this.index] as T | undefined;
  }

  set(stream: HttpStream, value: T): void {
    stream.slots[this.index] = value;
  }
}

export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}
