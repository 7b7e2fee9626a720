import * as v from 'valibot';
import { bool, message, oneof, optional, uint32Value } from '../src/config/schema/building-blocks.ts';
import { bufferBody, defineHttpFilter } from '../src/filter/index.ts';

/** envoy.extensions.filters.http.buffer.v3.Buffer. */
export const BufferConfig = message({ max_request_bytes: uint32Value({ min: 1 }) });
export type BufferConfig = v.InferOutput<typeof BufferConfig>;

/** envoy.extensions.filters.http.buffer.v3.BufferPerRoute. */
export const BufferPerRoute = message(
  {
    disabled: optional(v.pipe(bool(), v.literal(true, 'must be true'))),
    buffer: optional(BufferConfig),
  },
  oneof(['disabled', 'buffer'], { required: true }),
);
export type BufferPerRoute = v.InferOutput<typeof BufferPerRoute>;

/**
 * Collects the whole request before it goes on (Envoy: envoy.filters.http.buffer); a longer one is answered with 413.
 * Upgraded connections have no end and pass.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
 * max_request_bytes: 65536
 */
export const buffer = defineHttpFilter<BufferConfig, BufferPerRoute>({
  name: 'envoy.filters.http.buffer',
  configType: 'envoy.extensions.filters.http.buffer.v3.Buffer',
  config: BufferConfig,
  routeConfigType: 'envoy.extensions.filters.http.buffer.v3.BufferPerRoute',
  routeConfig: BufferPerRoute,
  semantics: { side: 'either', state: 'none', body: 'read' },
  create(base, env) {
    const override = env.routeConfigs.at(-1);
    if (override?.disabled === true) return {};
    const verdict = bufferBody((override?.buffer ?? base).max_request_bytes);
    return { onRequest: (_request, stream) => (stream.isUpgrade ? undefined : verdict) };
  },
});
