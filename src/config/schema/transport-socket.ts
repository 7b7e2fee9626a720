import type * as v from 'valibot';
import { anyConfig, message, nonEmptyString } from './building-blocks.ts';

/** envoy.config.core.v3.TransportSocket of a filter chain: what lies between the socket and the filters. */
export const DownstreamTransportSocket = message({
  name: nonEmptyString(),
  typed_config: anyConfig('downstream_transport_socket'),
});
export type DownstreamTransportSocket = v.InferOutput<typeof DownstreamTransportSocket>;

/** envoy.config.core.v3.TransportSocket of a cluster: what lies between the codec and the socket. */
export const UpstreamTransportSocket = message({
  name: nonEmptyString(),
  typed_config: anyConfig('upstream_transport_socket'),
});
export type UpstreamTransportSocket = v.InferOutput<typeof UpstreamTransportSocket>;

/** envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer: plain bytes. */
export const RawBuffer = message({});
export type RawBuffer = v.InferOutput<typeof RawBuffer>;
