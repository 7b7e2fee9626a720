import type { Counter, Gauge, Histogram, StatsScope } from '../observe/stats.ts';

/**
 * The `cluster.<name>.*` statistics under Envoy's names, as fields in camel case (`upstream_rq_total` is
 * `upstreamRqTotal`). Those of response codes are made when a code first occurs, as Envoy does.
 */
export class ClusterStats {
  readonly scope: StatsScope;

  readonly upstreamCxTotal: Counter;
  readonly upstreamCxActive: Gauge;
  readonly upstreamCxHttp1Total: Counter;
  readonly upstreamCxHttp2Total: Counter;
  readonly upstreamCxConnectFail: Counter;
  readonly upstreamCxConnectTimeout: Counter;
  readonly upstreamCxConnectAttemptsExceeded: Counter;
  readonly upstreamCxIdleTimeout: Counter;
  readonly upstreamCxMaxDurationReached: Counter;
  readonly upstreamCxMaxRequests: Counter;
  readonly upstreamCxNoneHealthy: Counter;
  readonly upstreamCxOverflow: Counter;
  readonly upstreamCxProtocolError: Counter;
  readonly upstreamCxCloseNotify: Counter;
  readonly upstreamCxDestroy: Counter;
  readonly upstreamCxDestroyLocal: Counter;
  readonly upstreamCxDestroyRemote: Counter;
  readonly upstreamCxDestroyWithActiveRq: Counter;
  readonly upstreamCxDestroyLocalWithActiveRq: Counter;
  readonly upstreamCxDestroyRemoteWithActiveRq: Counter;
  readonly upstreamCxRxBytesTotal: Counter;
  readonly upstreamCxTxBytesTotal: Counter;
  /** Milliseconds from the start of connecting until the connection stood. */
  readonly upstreamCxConnectMs: Histogram;
  /** Milliseconds that a connection lasted. */
  readonly upstreamCxLengthMs: Histogram;
  readonly upstreamRqPerCx: Histogram;

  readonly upstreamRqTotal: Counter;
  readonly upstreamRqActive: Gauge;
  readonly upstreamRqActiveOverflow: Counter;
  readonly upstreamRqCompleted: Counter;
  readonly upstreamRqCancelled: Counter;
  readonly upstreamRqTimeout: Counter;
  readonly upstreamRqPerTryTimeout: Counter;
  readonly upstreamRqPerTryIdleTimeout: Counter;
  readonly upstreamRqRxReset: Counter;
  readonly upstreamRqTxReset: Counter;
  readonly upstreamRqPendingTotal: Counter;
  readonly upstreamRqPendingActive: Gauge;
  readonly upstreamRqPendingOverflow: Counter;
  readonly upstreamRqPendingFailureEject: Counter;
  readonly upstreamRqRetry: Counter;
  readonly upstreamRqRetrySuccess: Counter;
  readonly upstreamRqRetryOverflow: Counter;
  readonly upstreamRqRetryLimitExceeded: Counter;
  readonly upstreamRqRetryBackoffExponential: Counter;
  readonly upstreamRqRetryBackoffRatelimited: Counter;
  readonly retryOrShadowAbandoned: Counter;
  /** Milliseconds from the request's last byte sent until the response was complete. */
  readonly upstreamRqTime: Histogram;

  readonly upstreamFlowControlPausedReadingTotal: Counter;
  readonly upstreamFlowControlResumedReadingTotal: Counter;
  readonly upstreamFlowControlBackedUpTotal: Counter;
  readonly upstreamFlowControlDrainedTotal: Counter;
  readonly bindErrors: Counter;

  readonly lbHealthyPanic: Counter;
  readonly membershipTotal: Gauge;
  readonly membershipHealthy: Gauge;
  readonly membershipDegraded: Gauge;
  readonly membershipExcluded: Gauge;
  readonly membershipChange: Counter;
  readonly maxHostWeight: Gauge;
  readonly updateAttempt: Counter;
  readonly updateSuccess: Counter;
  readonly updateFailure: Counter;
  readonly updateNoRebuild: Counter;

  private readonly codeCounters: (Counter | undefined)[] = new Array(600).fill(undefined);
  private readonly classCounters: (Counter | undefined)[] = new Array(6).fill(undefined);

  /** @param scope the cluster's, with prefix `cluster.<name>.`. */
  constructor(scope: StatsScope) {
    this.scope = scope;
    this.upstreamCxTotal = scope.counter('upstream_cx_total');
    this.upstreamCxActive = scope.gauge('upstream_cx_active');
    this.upstreamCxHttp1Total = scope.counter('upstream_cx_http1_total');
    this.upstreamCxHttp2Total = scope.counter('upstream_cx_http2_total');
    this.upstreamCxConnectFail = scope.counter('upstream_cx_connect_fail');
    this.upstreamCxConnectTimeout = scope.counter('upstream_cx_connect_timeout');
    this.upstreamCxConnectAttemptsExceeded = scope.counter('upstream_cx_connect_attempts_exceeded');
    this.upstreamCxIdleTimeout = scope.counter('upstream_cx_idle_timeout');
    this.upstreamCxMaxDurationReached = scope.counter('upstream_cx_max_duration_reached');
    this.upstreamCxMaxRequests = scope.counter('upstream_cx_max_requests');
    this.upstreamCxNoneHealthy = scope.counter('upstream_cx_none_healthy');
    this.upstreamCxOverflow = scope.counter('upstream_cx_overflow');
    this.upstreamCxProtocolError = scope.counter('upstream_cx_protocol_error');
    this.upstreamCxCloseNotify = scope.counter('upstream_cx_close_notify');
    this.upstreamCxDestroy = scope.counter('upstream_cx_destroy');
    this.upstreamCxDestroyLocal = scope.counter('upstream_cx_destroy_local');
    this.upstreamCxDestroyRemote = scope.counter('upstream_cx_destroy_remote');
    this.upstreamCxDestroyWithActiveRq = scope.counter('upstream_cx_destroy_with_active_rq');
    this.upstreamCxDestroyLocalWithActiveRq = scope.counter('upstream_cx_destroy_local_with_active_rq');
    this.upstreamCxDestroyRemoteWithActiveRq = scope.counter('upstream_cx_destroy_remote_with_active_rq');
    this.upstreamCxRxBytesTotal = scope.counter('upstream_cx_rx_bytes_total');
    this.upstreamCxTxBytesTotal = scope.counter('upstream_cx_tx_bytes_total');
    this.upstreamCxConnectMs = scope.histogram('upstream_cx_connect_ms');
    this.upstreamCxLengthMs = scope.histogram('upstream_cx_length_ms');
    this.upstreamRqPerCx = scope.histogram('upstream_rq_per_cx');

    this.upstreamRqTotal = scope.counter('upstream_rq_total');
    this.upstreamRqActive = scope.gauge('upstream_rq_active');
    this.upstreamRqActiveOverflow = scope.counter('upstream_rq_active_overflow');
    this.upstreamRqCompleted = scope.counter('upstream_rq_completed');
    this.upstreamRqCancelled = scope.counter('upstream_rq_cancelled');
    this.upstreamRqTimeout = scope.counter('upstream_rq_timeout');
    this.upstreamRqPerTryTimeout = scope.counter('upstream_rq_per_try_timeout');
    this.upstreamRqPerTryIdleTimeout = scope.counter('upstream_rq_per_try_idle_timeout');
    this.upstreamRqRxReset = scope.counter('upstream_rq_rx_reset');
    this.upstreamRqTxReset = scope.counter('upstream_rq_tx_reset');
    this.upstreamRqPendingTotal = scope.counter('upstream_rq_pending_total');
    this.upstreamRqPendingActive = scope.gauge('upstream_rq_pending_active');
    this.upstreamRqPendingOverflow = scope.counter('upstream_rq_pending_overflow');
    this.upstreamRqPendingFailureEject = scope.counter('upstream_rq_pending_failure_eject');
    this.upstreamRqRetry = scope.counter('upstream_rq_retry');
    this.upstreamRqRetrySuccess = scope.counter('upstream_rq_retry_success');
    this.upstreamRqRetryOverflow = scope.counter('upstream_rq_retry_overflow');
    this.upstreamRqRetryLimitExceeded = scope.counter('upstream_rq_retry_limit_exceeded');
    this.upstreamRqRetryBackoffExponential = scope.counter('upstream_rq_retry_backoff_exponential');
    this.upstreamRqRetryBackoffRatelimited = scope.counter('upstream_rq_retry_backoff_ratelimited');
    this.retryOrShadowAbandoned = scope.counter('retry_or_shadow_abandoned');
    this.upstreamRqTime = scope.histogram('upstream_rq_time');

    this.upstreamFlowControlPausedReadingTotal = scope.counter('upstream_flow_control_paused_reading_total');
    this.upstreamFlowControlResumedReadingTotal = scope.counter('upstream_flow_control_resumed_reading_total');
    this.upstreamFlowControlBackedUpTotal = scope.counter('upstream_flow_control_backed_up_total');
    this.upstreamFlowControlDrainedTotal = scope.counter('upstream_flow_control_drained_total');
    this.bindErrors = scope.counter('bind_errors');

    this.lbHealthyPanic = scope.counter('lb_healthy_panic');
    this.membershipTotal = scope.gauge('membership_total');
    this.membershipHealthy = scope.gauge('membership_healthy');
    this.membershipDegraded = scope.gauge('membership_degraded');
    this.membershipExcluded = scope.gauge('membership_excluded');
    this.membershipChange = scope.counter('membership_change');
    this.maxHostWeight = scope.gauge('max_host_weight');
    this.updateAttempt = scope.counter('update_attempt');
    this.updateSuccess = scope.counter('update_success');
    this.updateFailure = scope.counter('update_failure');
    this.updateNoRebuild = scope.counter('update_no_rebuild');
  }

  /**
   * Counts a complete response in `upstream_rq_completed`, `upstream_rq_<class>xx` and `upstream_rq_<code>`.
   * @param status 100 to 599; another one is counted as completed only.
   */
  countResponse(status: number): void {
    this.upstreamRqCompleted.value++;
    if (status < 100 || status >= 600) return;
    const byCode = this.codeCounters[status] ?? this.addCodeCounter(status);
    byCode.value++;
    const byClass = this.classCounters[(status / 100) | 0] ?? this.addClassCounter((status / 100) | 0);
    byClass.value++;
  }

  /** Counts the end of a connection; `byPeer` when the upstream ended it. */
  countDestroyed(byPeer: boolean): void {
    this.upstreamCxDestroy.value++;
    (byPeer ? this.upstreamCxDestroyRemote : this.upstreamCxDestroyLocal).value++;
  }

  /** Counts besides that a request was under way on it. */
  countDestroyedWithActiveRq(byPeer: boolean): void {
    this.upstreamCxDestroyWithActiveRq.value++;
    (byPeer ? this.upstreamCxDestroyRemoteWithActiveRq : this.upstreamCxDestroyLocalWithActiveRq).value++;
  }

  private addCodeCounter(status: number): Counter {
    const counter = this.scope.counter(`upstream_rq_${status}`);
    this.codeCounters[status] = counter;
    return counter;
  }

  private addClassCounter(firstDigit: number): Counter {
    const counter = this.scope.counter(`upstream_rq_${firstDigit}xx`);
    this.classCounters[firstDigit] = counter;
    return counter;
  }
}
