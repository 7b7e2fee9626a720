import type { RateLimit, VH_RATE_LIMITS } from '../../src/config/schema/rate-limit.ts';
import type { RouteRateLimits, RouteView } from '../../src/filter/index.ts';

/** Whether those of the virtual host count besides a route's own: only without any, always, or never. */
export type VirtualHostLimits = (typeof VH_RATE_LIMITS)[number];

/** A limit of a route, or of a filter's own configuration, which has no stage. */
export type AnyRateLimit = Pick<RateLimit, 'actions'> & Partial<RateLimit>;

/**
 * Which `rate_limits` concern a request: the filter's own where it has some, else those of its route and virtual host
 * that have the filter's stage. Compiled once for each route.
 */
export class ApplicableLimits<T> {
  readonly #own: readonly T[] | undefined;
  readonly #stage: number;
  readonly #virtualHost: VirtualHostLimits;
  readonly #compile: (limit: AnyRateLimit) => T;
  readonly #ofRoute = new WeakMap<RouteRateLimits, readonly T[]>();
  /** The last answer: most requests of a connection have one route. */
  #lastRoute: RouteRateLimits | undefined = undefined;
  #lastLimits: readonly T[] = [];

  constructor(
    own: readonly AnyRateLimit[],
    stage: number,
    virtualHost: VirtualHostLimits,
    compile: (limit: AnyRateLimit) => T,
  ) {
    this.#own = own.length === 0 ? undefined : own.map(compile);
    this.#stage = stage;
    this.#virtualHost = virtualHost;
    this.#compile = compile;
  }

  of(route: RouteView | undefined): readonly T[] {
    if (this.#own !== undefined) return this.#own;
    if (route === undefined) return [];
    const { rateLimits } = route;
    if (rateLimits === this.#lastRoute) return this.#lastLimits;
    let limits = this.#ofRoute.get(rateLimits);
    if (limits === undefined) {
      limits = this.#select(rateLimits)
        .filter(({ stage }) => stage === this.#stage)
        .map(this.#compile);
      this.#ofRoute.set(rateLimits, limits);
    }
    this.#lastRoute = rateLimits;
    this.#lastLimits = limits;
    return limits;
  }

  #select({ route, virtualHost, includesVirtualHost }: RouteRateLimits): readonly RateLimit[] {
    if (includesVirtualHost || this.#virtualHost === 'INCLUDE') return [...route, ...virtualHost];
    // A route's own limits take the place of the virtual host's whatever their stage is, as in Envoy.
    return this.#virtualHost === 'IGNORE' || route.length > 0 ? route : virtualHost;
  }
}
