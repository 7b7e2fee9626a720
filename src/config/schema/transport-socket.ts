import type * as v from 'valibot';
import { anyConfig, message, nonEmptyString } from './building-blocks.ts';

/** envoy.config.core.v3.TransportSocket: what lies between the socket and the filters. */
export const TransportSocket = message({ name: nonEmptyString(), typed_config: anyConfig('transport_socket') });
export type TransportSocket = v.InferOutput<typeof TransportSocket>;

/** envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer: plain bytes. */
export const RawBuffer = message({});
export type RawBuffer = v.InferOutput<typeof RawBuffer>;
