import type { Counter, Gauge, Histogram, StatsScope } from '../observe/stats.ts';

/** The `http.<stat_prefix>.*` statistics under Envoy's names, as fields in camel case. */
export class HttpStats {
  readonly downstreamCxTotal: Counter;
  readonly downstreamCxHttp1Total: Counter;
  readonly downstreamCxHttp2Total: Counter;
  readonly downstreamCxActive: Gauge;
  readonly downstreamCxHttp1Active: Gauge;
  readonly downstreamCxHttp2Active: Gauge;
  readonly downstreamCxDestroy: Counter;
  readonly downstreamCxDestroyLocal: Counter;
  readonly downstreamCxDestroyRemote: Counter;
  readonly downstreamCxDestroyActiveRq: Counter;
  readonly downstreamCxDestroyLocalActiveRq: Counter;
  readonly downstreamCxDestroyRemoteActiveRq: Counter;
  readonly downstreamCxDrainClose: Counter;
  readonly downstreamCxIdleTimeout: Counter;
  readonly downstreamCxMaxDurationReached: Counter;
  readonly downstreamCxProtocolError: Counter;
  readonly downstreamCxLengthMs: Histogram;
  readonly downstreamCxRxBytesTotal: Counter;
  readonly downstreamCxTxBytesTotal: Counter;
  readonly downstreamCxUpgradesTotal: Counter;
  readonly downstreamCxUpgradesActive: Gauge;
  readonly downstreamFlowControlPausedReadingTotal: Counter;
  readonly downstreamFlowControlResumedReadingTotal: Counter;
  readonly downstreamRqTotal: Counter;
  readonly downstreamRqHttp1Total: Counter;
  readonly downstreamRqHttp2Total: Counter;
  readonly downstreamRqActive: Gauge;
  readonly downstreamRqCompleted: Counter;
  readonly downstreamRqRxReset: Counter;
  readonly downstreamRqTxReset: Counter;
  readonly downstreamRqTimeout: Counter;
  readonly downstreamRqHeaderTimeout: Counter;
  readonly downstreamRqTooManyPrematureResets: Counter;
  readonly downstreamRqIdleTimeout: Counter;
  readonly downstreamRqMaxDurationReached: Counter;
  readonly downstreamRqNonRelativePath: Counter;
  readonly downstreamRqTooLarge: Counter;
  readonly downstreamRqOverloadClose: Counter;
  readonly downstreamCxOverloadDisableKeepalive: Counter;
  readonly downstreamRqFailedPathNormalization: Counter;
  /** An upgrade that neither route nor manager allows. */
  readonly downstreamRqWsOnNonWsRoute: Counter;
  readonly downstreamRqTime: Histogram;
  readonly noRoute: Counter;
  readonly noCluster: Counter;
  readonly rqDirectResponse: Counter;
  readonly rqRedirect: Counter;
  readonly rqTotal: Counter;
  /** A filter threw, or did not answer in time. */
  readonly filterErrors: Counter;
  /** `downstream_rq_1xx` … `downstream_rq_5xx`; index is the class. */
  private readonly classes: Counter[];

  /** @param scope with prefix `http.<stat_prefix>.` */
  constructor(scope: StatsScope) {
    this.downstreamCxTotal = scope.counter('downstream_cx_total');
    this.downstreamCxHttp1Total = scope.counter('downstream_cx_http1_total');
    this.downstreamCxHttp2Total = scope.counter('downstream_cx_http2_total');
    this.downstreamCxActive = scope.gauge('downstream_cx_active');
    this.downstreamCxHttp1Active = scope.gauge('downstream_cx_http1_active');
    this.downstreamCxHttp2Active = scope.gauge('downstream_cx_http2_active');
    this.downstreamCxDestroy = scope.counter('downstream_cx_destroy');
    this.downstreamCxDestroyLocal = scope.counter('downstream_cx_destroy_local');
    this.downstreamCxDestroyRemote = scope.counter('downstream_cx_destroy_remote');
    this.downstreamCxDestroyActiveRq = scope.counter('downstream_cx_destroy_active_rq');
    this.downstreamCxDestroyLocalActiveRq = scope.counter('downstream_cx_destroy_local_active_rq');
    this.downstreamCxDestroyRemoteActiveRq = scope.counter('downstream_cx_destroy_remote_active_rq');
    this.downstreamCxDrainClose = scope.counter('downstream_cx_drain_close');
    this.downstreamCxIdleTimeout = scope.counter('downstream_cx_idle_timeout');
    this.downstreamCxMaxDurationReached = scope.counter('downstream_cx_max_duration_reached');
    this.downstreamCxProtocolError = scope.counter('downstream_cx_protocol_error');
    this.downstreamCxLengthMs = scope.histogram('downstream_cx_length_ms');
    this.downstreamCxRxBytesTotal = scope.counter('downstream_cx_rx_bytes_total');
    this.downstreamCxTxBytesTotal = scope.counter('downstream_cx_tx_bytes_total');
    this.downstreamCxUpgradesTotal = scope.counter('downstream_cx_upgrades_total');
    this.downstreamCxUpgradesActive = scope.gauge('downstream_cx_upgrades_active');
    this.downstreamFlowControlPausedReadingTotal = scope.counter('downstream_flow_control_paused_reading_total');
    this.downstreamFlowControlResumedReadingTotal = scope.counter('downstream_flow_control_resumed_reading_total');
    this.downstreamRqTotal = scope.counter('downstream_rq_total');
    this.downstreamRqHttp1Total = scope.counter('downstream_rq_http1_total');
    this.downstreamRqHttp2Total = scope.counter('downstream_rq_http2_total');
    this.downstreamRqActive = scope.gauge('downstream_rq_active');
    this.downstreamRqCompleted = scope.counter('downstream_rq_completed');
    this.downstreamRqRxReset = scope.counter('downstream_rq_rx_reset');
    this.downstreamRqTxReset = scope.counter('downstream_rq_tx_reset');
    this.downstreamRqTimeout = scope.counter('downstream_rq_timeout');
    this.downstreamRqHeaderTimeout = scope.counter('downstream_rq_header_timeout');
    this.downstreamRqTooManyPrematureResets = scope.counter('downstream_rq_too_many_premature_resets');
    this.downstreamRqIdleTimeout = scope.counter('downstream_rq_idle_timeout');
    this.downstreamRqMaxDurationReached = scope.counter('downstream_rq_max_duration_reached');
    this.downstreamRqNonRelativePath = scope.counter('downstream_rq_non_relative_path');
    this.downstreamRqTooLarge = scope.counter('downstream_rq_too_large');
    this.downstreamRqOverloadClose = scope.counter('downstream_rq_overload_close');
    this.downstreamCxOverloadDisableKeepalive = scope.counter('downstream_cx_overload_disable_keepalive');
    this.downstreamRqFailedPathNormalization = scope.counter('downstream_rq_failed_path_normalization');
    this.downstreamRqWsOnNonWsRoute = scope.counter('downstream_rq_ws_on_non_ws_route');
    this.downstreamRqTime = scope.histogram('downstream_rq_time');
    this.noRoute = scope.counter('no_route');
    this.noCluster = scope.counter('no_cluster');
    this.rqDirectResponse = scope.counter('rq_direct_response');
    this.rqRedirect = scope.counter('rq_redirect');
    this.rqTotal = scope.counter('rq_total');
    this.filterErrors = scope.counter('filter_errors');
    this.classes = [1, 2, 3, 4, 5].map((digit) => scope.counter(`downstream_rq_${digit}xx`));
  }

  /** Counts the end of a connection; `byPeer` when the client ended it, `active` when a request was under way. */
  countDestroyed(byPeer: boolean, active: boolean): void {
    this.downstreamCxDestroy.inc();
    (byPeer ? this.downstreamCxDestroyRemote : this.downstreamCxDestroyLocal).inc();
    if (!active) return;
    this.downstreamCxDestroyActiveRq.inc();
    (byPeer ? this.downstreamCxDestroyRemoteActiveRq : this.downstreamCxDestroyLocalActiveRq).inc();
  }

  countResponse(status: number): void {
    this.downstreamRqCompleted.inc();
    this.classes[Math.floor(status / 100) - 1]?.inc();
  }
}
