import { resolve } from 'node:path';
import { defineHttpFilter, type FilterEnv, type HttpStream } from '../../src/filter/index.ts';
import type { HeaderMap } from '../../src/http/headers.ts';
import { FileSink } from './file-sink.ts';
import { Recorder, type RecordOptions, Tap } from './recorder.ts';
import { NO_REDACTION, Redaction } from './redaction.ts';
import { Tap as TapFilterConfig } from './schema.ts';

/**
 * Records whole exchanges, those that match, as traces in JSON (Envoy: envoy.filters.http.tap): into a file each, or
 * live to whoever asks the admin server with `POST /tap`. Secrets are taken out before anything is written.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap
 * common_config:
 *   admin_config: { config_id: sidecar }
 */
export const tap = defineHttpFilter<TapFilterConfig>({
  name: 'envoy.filters.http.tap',
  configType: 'envoy.extensions.filters.http.tap.v3.Tap',
  config: TapFilterConfig,
  semantics: { side: 'either', state: 'process', body: 'read' },
  // Looking at an exchange must not break it.
  onError: 'open',
  create(base, env) {
    const config = env.routeConfigs.at(-1) ?? base;
    const options: RecordOptions = {
      headersReceivedTime: config.record_headers_received_time,
      downstreamConnection: config.record_downstream_connection,
      upstreamConnection: config.record_upstream_connection,
      redaction: config.outrigger.show_secrets ? NO_REDACTION : new Redaction(config.outrigger),
    };
    const { active, dispose } = activeTaps(config, options, env);
    const stats = env.stats.scope('tap');
    const tapped = stats.counter('rq_tapped');
    const sampledOut = stats.counter('rq_sampled_out');
    const lost = stats.counter('rq_lost');
    const slot = env.slot<readonly Recorder[] | undefined>();

    const keep = (stream: HttpStream, goesOn: (recorder: Recorder) => boolean): void => {
      const recorders = slot.get(stream)?.filter(goesOn);
      slot.set(stream, recorders?.length === 0 ? undefined : recorders);
    };
    return {
      onRequest(_request, stream) {
        // Without anybody attached this is all that the filter costs.
        if (active.size === 0) return;
        const recorders: Recorder[] = [];
        for (const one of active.values()) {
          if (!one.isSampled()) {
            sampledOut.inc();
            continue;
          }
          const recorder = Recorder.begin(one, stream);
          if (recorder !== undefined) recorders.push(recorder);
        }
        if (recorders.length > 0) slot.set(stream, recorders);
      },
      onRequestBody(chunk, end, stream) {
        if (slot.get(stream) !== undefined) keep(stream, (recorder) => recorder.onBody('request', chunk, end, stream));
      },
      onRequestTrailers(trailers: HeaderMap, stream) {
        if (slot.get(stream) !== undefined)
          keep(stream, (recorder) => recorder.onTrailers('request', trailers, stream));
      },
      onResponse(_response, stream) {
        if (slot.get(stream) !== undefined) keep(stream, (recorder) => recorder.onResponse(stream));
      },
      onResponseBody(chunk, end, stream) {
        if (slot.get(stream) !== undefined) keep(stream, (recorder) => recorder.onBody('response', chunk, end, stream));
      },
      onResponseTrailers(trailers: HeaderMap, stream) {
        if (slot.get(stream) !== undefined)
          keep(stream, (recorder) => recorder.onTrailers('response', trailers, stream));
      },
      onDone(stream) {
        for (const recorder of slot.get(stream) ?? []) {
          const result = recorder.end(stream);
          if (result.tapped) tapped.inc();
          if (result.lost) lost.inc();
        }
      },
      dispose,
    };
  },
});

/** The taps of a filter: the configured one, or those of whoever is attached at the moment. */
function activeTaps(
  config: TapFilterConfig,
  options: RecordOptions,
  env: FilterEnv<TapFilterConfig>,
): { readonly active: ReadonlyMap<object, Tap>; dispose(): void } {
  const active = new Map<object, Tap>();
  const { admin_config: admin, static_config: fixed } = config.common_config;
  if (admin !== undefined) {
    const close = env.taps.open(admin.config_id, {
      attach: (attached) => void active.set(attached, new Tap(attached.config, options, () => attached)),
      detach: (attached) => void active.delete(attached),
    });
    return { active, dispose: close };
  }
  const prefix = fixed?.output_config.sinks[0]?.file_per_tap?.path_prefix;
  if (fixed !== undefined && prefix !== undefined) {
    const files = new Int32Array(env.shared(`tap files ${resolve(prefix)}`, Int32Array.BYTES_PER_ELEMENT));
    const sink = new FileSink(prefix, config.outrigger.max_files, files, env.log);
    active.set(fixed, new Tap(fixed, options, (id) => sink.open(id)));
  }
  return { active, dispose() {} };
}
