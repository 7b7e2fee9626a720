import type { Calls } from '../../src/filter/calls.ts';
import type { Logger } from '../../src/filter/index.ts';
import type { Counter, StatsScope } from '../../src/observe/stats.ts';

/** `http.<prefix>.jwt_authn.*`; Envoy shows all of them from the start. */
export class JwtStats {
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly bypassed: Counter;
  readonly fetchSuccess: Counter;
  readonly fetchFailed: Counter;
  readonly cacheHit: Counter;
  readonly cacheMiss: Counter;

  constructor(scope: StatsScope) {
    this.allowed = scope.counter('allowed');
    this.denied = scope.counter('denied');
    this.bypassed = scope.counter('cors_preflight_bypassed');
    this.fetchSuccess = scope.counter('jwks_fetch_success');
    this.fetchFailed = scope.counter('jwks_fetch_failed');
    this.cacheHit = scope.counter('jwt_cache_hit');
    this.cacheMiss = scope.counter('jwt_cache_miss');
  }
}

/** What a provider needs of the filter around it. */
export interface ProviderEnv {
  readonly calls: Calls;
  readonly log: Logger;
  readonly stats: JwtStats;
}
