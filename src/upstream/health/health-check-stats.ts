import type { Counter, Gauge, StatsScope } from '../../observe/stats.ts';

/** Statistics of a cluster's checks, with Envoy's names under `cluster.<name>.health_check.`. */
export class HealthCheckStats {
  readonly attempt: Counter;
  readonly success: Counter;
  readonly failure: Counter;
  /** Endpoints that were failed by what they answered to ordinary requests. */
  readonly passiveFailure: Counter;
  readonly networkFailure: Counter;
  /** Checks that looked at the name of the endpoint's service. */
  readonly verifyCluster: Counter;
  /** Endpoints whose checks pass. */
  readonly healthy: Gauge;
  /** Counts how often endpoints said that they are degraded; taken back when they leave, as by Envoy. */
  readonly degraded: Gauge;

  /** @param scope the cluster's */
  constructor(scope: StatsScope) {
    const own = scope.scope('health_check');
    this.attempt = own.counter('attempt');
    this.success = own.counter('success');
    this.failure = own.counter('failure');
    this.passiveFailure = own.counter('passive_failure');
    this.networkFailure = own.counter('network_failure');
    this.verifyCluster = own.counter('verify_cluster');
    this.healthy = own.gauge('healthy');
    this.degraded = own.gauge('degraded');
  }
}
