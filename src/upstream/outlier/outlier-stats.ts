import type { Counter, Gauge, StatsScope } from '../../observe/stats.ts';

/** Why an endpoint is ejected, with Envoy's names as they stand in statistics. */
export type EjectionCause =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'local_origin_success_rate'
  | 'failure_percentage'
  | 'local_origin_failure_percentage';

const CAUSES: readonly EjectionCause[] = [
  'consecutive_5xx',
  'consecutive_gateway_failure',
  'consecutive_local_origin_failure',
  'success_rate',
  'local_origin_success_rate',
  'failure_percentage',
  'local_origin_failure_percentage',
];

interface CauseCounters {
  /** Found out, whether ejected or not. */
  readonly detected: Counter;
  readonly enforced: Counter;
}

/** Statistics of outlier detection, with Envoy's names under `cluster.<name>.outlier_detection.`. */
export class OutlierStats {
  /** Endpoints that are ejected now; every thread says the same. */
  readonly active: Gauge;
  readonly enforcedTotal: Counter;
  /** Endpoints that stayed because enough others were ejected. */
  readonly overflow: Counter;
  private readonly byCause: ReadonlyMap<EjectionCause, CauseCounters>;
  /** Envoy calls these deprecated, and still counts them. */
  private readonly total: Counter;
  private readonly oldCounters: ReadonlyMap<EjectionCause, Counter>;

  /** @param scope the cluster's */
  constructor(scope: StatsScope) {
    const own = scope.scope('outlier_detection');
    this.active = own.gauge('ejections_active');
    this.enforcedTotal = own.counter('ejections_enforced_total');
    this.overflow = own.counter('ejections_overflow');
    this.total = own.counter('ejections_total');
    this.byCause = new Map(
      CAUSES.map((cause) => [
        cause,
        {
          detected: own.counter(`ejections_detected_${cause}`),
          enforced: own.counter(`ejections_enforced_${cause}`),
        },
      ]),
    );
    this.oldCounters = new Map([
      ['consecutive_5xx', own.counter('ejections_consecutive_5xx')],
      ['success_rate', own.counter('ejections_success_rate')],
    ]);
  }

  countDetected(cause: EjectionCause): void {
    this.byCause.get(cause)?.detected.inc();
    this.oldCounters.get(cause)?.inc();
  }

  /** An endpoint may be ejected: fewer are than the configuration allows. */
  countAllowed(cause: EjectionCause): void {
    if (this.oldCounters.has(cause)) this.total.inc();
  }

  countEnforced(cause: EjectionCause): void {
    this.byCause.get(cause)?.enforced.inc();
    this.enforcedTotal.inc();
  }
}
