import type { Counter, Gauge, StatsScope } from '../../observe/stats.ts';

/** The `http2.*` statistics under Envoy's names: of all listeners, or below `cluster.<name>.` of an upstream. */
export class Http2Stats {
  readonly droppedHeadersWithUnderscores: Counter;
  readonly goawaySent: Counter;
  readonly headerOverflow: Counter;
  readonly headersCbNoStream: Counter;
  readonly inboundEmptyFramesFlood: Counter;
  readonly inboundPriorityFramesFlood: Counter;
  readonly inboundWindowUpdateFramesFlood: Counter;
  readonly keepaliveTimeout: Counter;
  readonly outboundControlFlood: Counter;
  readonly outboundFlood: Counter;
  readonly requestsRejectedWithUnderscoresInHeaders: Counter;
  readonly rxMessagingError: Counter;
  readonly rxReset: Counter;
  readonly trailers: Counter;
  readonly txFlushTimeout: Counter;
  readonly txReset: Counter;
  readonly streamsActive: Gauge;
  readonly pendingSendBytes: Gauge;

  /** @param scope with prefix `http2.` or `cluster.<name>.http2.` */
  constructor(scope: StatsScope) {
    this.droppedHeadersWithUnderscores = scope.counter('dropped_headers_with_underscores');
    this.goawaySent = scope.counter('goaway_sent');
    this.headerOverflow = scope.counter('header_overflow');
    this.headersCbNoStream = scope.counter('headers_cb_no_stream');
    this.inboundEmptyFramesFlood = scope.counter('inbound_empty_frames_flood');
    this.inboundPriorityFramesFlood = scope.counter('inbound_priority_frames_flood');
    this.inboundWindowUpdateFramesFlood = scope.counter('inbound_window_update_frames_flood');
    this.keepaliveTimeout = scope.counter('keepalive_timeout');
    this.outboundControlFlood = scope.counter('outbound_control_flood');
    this.outboundFlood = scope.counter('outbound_flood');
    this.requestsRejectedWithUnderscoresInHeaders = scope.counter('requests_rejected_with_underscores_in_headers');
    this.rxMessagingError = scope.counter('rx_messaging_error');
    this.rxReset = scope.counter('rx_reset');
    this.trailers = scope.counter('trailers');
    this.txFlushTimeout = scope.counter('tx_flush_timeout');
    this.txReset = scope.counter('tx_reset');
    this.streamsActive = scope.gauge('streams_active');
    this.pendingSendBytes = scope.gauge('pending_send_bytes');
  }
}
