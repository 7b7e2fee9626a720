import type { Http2ProtocolOptions } from '../../config/schema/http2-protocol-options.ts';

/** How one side of the proxy speaks HTTP/2, resolved from its configuration. Times in ms, 0 is off. */
export interface Http2Options {
  /** Of the peer's encoder, and at most of ours. */
  readonly tableBytes: number;
  /** Header fields are Huffman-coded where that is worth it. */
  readonly huffman: boolean;
  readonly maxConcurrentStreams: number;
  /** What the windows may grow to. */
  readonly maxStreamWindowBytes: number;
  readonly maxConnectionWindowBytes: number;
  readonly allowConnect: boolean;
  readonly maxOutboundFrames: number;
  readonly maxOutboundControlFrames: number;
  readonly maxConsecutiveEmptyFrames: number;
  readonly maxPriorityFramesPerStream: number;
  readonly maxWindowUpdatesPerDataFrame: number;
  readonly customSettings: readonly (readonly [id: number, value: number])[];
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Share of the interval that is added to it at most, 0 to 1. */
  readonly keepaliveJitter: number;
  /** A connection that was idle for so long is pinged before it gets a stream. */
  readonly keepaliveIdleMs: number;
  /** Of a decoded header list. */
  readonly maxListBytes: number;
  readonly maxFields: number;
}

/** @param limits of heads, as for HTTP/1 */
export function resolveHttp2Options(
  config: Http2ProtocolOptions,
  limits: { readonly maxHeaderBytes: number; readonly maxHeaderCount: number },
): Http2Options {
  const keepalive = config.connection_keepalive;
  return {
    tableBytes: config.hpack_table_size,
    huffman: config.enable_huffman_encoding,
    maxConcurrentStreams: config.max_concurrent_streams,
    maxStreamWindowBytes: config.initial_stream_window_size,
    maxConnectionWindowBytes: config.initial_connection_window_size,
    allowConnect: config.allow_connect,
    maxOutboundFrames: config.max_outbound_frames,
    maxOutboundControlFrames: config.max_outbound_control_frames,
    maxConsecutiveEmptyFrames: config.max_consecutive_inbound_frames_with_empty_payload,
    maxPriorityFramesPerStream: config.max_inbound_priority_frames_per_stream,
    maxWindowUpdatesPerDataFrame: config.max_inbound_window_update_frames_per_data_frame_sent,
    customSettings: config.custom_settings_parameters.map(({ identifier, value }) => [identifier, value] as const),
    keepaliveIntervalMs: keepalive?.interval ?? 0,
    keepaliveTimeoutMs: keepalive?.timeout ?? 0,
    keepaliveJitter: (keepalive?.interval_jitter.value ?? 0) / 100,
    keepaliveIdleMs: keepalive?.connection_idle_interval ?? 0,
    maxListBytes: limits.maxHeaderBytes,
    maxFields: limits.maxHeaderCount,
  };
}
