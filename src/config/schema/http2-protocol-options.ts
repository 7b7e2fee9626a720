import type * as v from 'valibot';
import {
  bool,
  boolValue,
  check,
  duration,
  fixedBool,
  list,
  message,
  optional,
  Problem,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { Percent } from './percent.ts';

/** envoy.config.core.v3 options of HTTP/2, for both sides of the proxy; times in milliseconds. */

/** envoy.config.core.v3.KeepaliveSettings: PINGs that find out whether the peer is still there. */
export const KeepaliveSettings = message({
  /** Between two PINGs; none are sent at an interval unless given. */
  interval: optional(duration({ minMs: 1 })),
  /** The connection is closed when neither the answer nor any other frame came for so long. */
  timeout: duration({ minMs: 1 }),
  /** Up to this share of `interval` is added to each interval. */
  interval_jitter: optional(Percent, { value: 15 }),
  /** A connection that was idle for so long is pinged before it gets a stream; never unless given. */
  connection_idle_interval: optional(duration({ minMs: 1 })),
});
export type KeepaliveSettings = v.InferOutput<typeof KeepaliveSettings>;

/** envoy.config.core.v3.Http2ProtocolOptions.SettingsParameter. */
const SettingsParameter = message({ identifier: uint32Value({ max: 65535 }), value: uint32Value() });
type SettingsParameter = v.InferOutput<typeof SettingsParameter>;

const WINDOW = { min: 65535, max: 2147483647 } as const;

/** envoy.config.core.v3.Http2ProtocolOptions. Windows are in bytes, the limits of frames are numbers of frames. */
export const Http2ProtocolOptions = message(
  {
    /** Bytes that the dynamic table of the peer's encoder may have, and the one of ours at most; 0 has no table. */
    hpack_table_size: optional(uint32Value(), 4096),
    max_concurrent_streams: optional(uint32Value({ min: 1, max: 2147483647 }), 1024),
    initial_stream_window_size: optional(uint32Value(WINDOW), 16777216),
    initial_connection_window_size: optional(uint32Value(WINDOW), 25165824),
    /** Extended CONNECT (RFC 8441): WebSockets and other upgrades over HTTP/2. */
    allow_connect: optional(bool(), false),
    allow_metadata: optional(fixedBool(false, 'METADATA frames are an extension of Envoy'), false),
    max_outbound_frames: optional(uint32Value({ min: 1 }), 10000),
    max_outbound_control_frames: optional(uint32Value({ min: 1 }), 1000),
    max_consecutive_inbound_frames_with_empty_payload: optional(uint32Value(), 1),
    max_inbound_priority_frames_per_stream: optional(uint32Value(), 100),
    max_inbound_window_update_frames_per_data_frame_sent: optional(uint32Value({ min: 1 }), 10),
    stream_error_on_invalid_http_messaging: optional(bool(), false),
    /** Wins over the field before it, which is its older name. */
    override_stream_error_on_invalid_http_message: optional(boolValue()),
    /** Further parameters of our SETTINGS frame, by number. */
    custom_settings_parameters: optional(list(SettingsParameter), []),
    connection_keepalive: optional(KeepaliveSettings),
    enable_huffman_encoding: optional(boolValue(), true),
  },
  unsupported('METADATA frames are an extension of Envoy', 'max_metadata_size'),
  unsupported('there is one codec', 'use_oghttp2_codec'),
  check((options) => customSettingsProblem(options.custom_settings_parameters)),
);
export type Http2ProtocolOptions = v.InferOutput<typeof Http2ProtocolOptions>;

/** Parameters with a field of their own, or that the proxy decides (RFC 9113 §6.5.2, RFC 8441 §3). */
const RESERVED_SETTINGS: ReadonlyMap<number, string> = new Map([
  [0x1, 'use hpack_table_size'],
  [0x2, 'there is no server push'],
  [0x3, 'use max_concurrent_streams'],
  [0x4, 'use initial_stream_window_size'],
  [0x5, 'frames have the size that every peer accepts'],
  [0x6, 'use max_request_headers_kb'],
  [0x8, 'use allow_connect'],
]);

function customSettingsProblem(parameters: readonly SettingsParameter[]): Problem | undefined {
  const values = new Map<number, number>();
  for (const [index, { identifier, value }] of parameters.entries()) {
    const path = ['custom_settings_parameters', index];
    const reason = RESERVED_SETTINGS.get(identifier);
    if (reason !== undefined) return new Problem(`the parameter ${identifier} is not supported: ${reason}`, { path });
    const earlier = values.get(identifier);
    if (earlier !== undefined && earlier !== value) {
      return new Problem(`the parameter ${identifier} is given twice, with different values`, { path });
    }
    values.set(identifier, value);
  }
  return undefined;
}
