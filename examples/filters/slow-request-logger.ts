import { defineHttpFilter, type HttpStream } from 'outrigger';
import * as v from 'valibot';

/**
 * Writes a line for requests that took too long and says where the time went: until the request was complete, until the
 * upstream's first byte, and until its last. At most so many lines a second, so that an outage does not fill the disk.
 */
const duration = v.pipe(v.number(), v.minValue(1));

export default defineHttpFilter({
  name: 'slow-request-logger',
  config: v.object({
    threshold_ms: v.optional(duration, 1000),
    /** Other thresholds by the beginning of the path; the longest that fits counts: { "/reports/": 10000 }. */
    paths: v.optional(v.record(v.string(), duration), {}),
    max_lines_per_second: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 10),
  }),
  semantics: { side: 'either', state: 'process', body: 'none' },
  create(config, env) {
    const slow = env.stats.counter('slow_requests');
    const paths = Object.entries(config.paths).sort(([a], [b]) => b.length - a.length);
    let windowStartMs = 0;
    let lines = 0;
    let unwritten = 0;

    const thresholdMs = (path: string): number => {
      for (const [prefix, limitMs] of paths) if (path.startsWith(prefix)) return limitMs;
      return config.threshold_ms;
    };

    return {
      onDone(stream) {
        const tookMs = stream.endMs - stream.startMs;
        // An upgraded connection lives long because it should.
        if (stream.isUpgrade || tookMs < thresholdMs(stream.request.path)) return;
        slow.inc();
        if (stream.endMs - windowStartMs >= 1000) {
          if (unwritten > 0) env.log.warn('more slow requests than lines', { unwritten });
          windowStartMs = stream.endMs;
          lines = 0;
          unwritten = 0;
        }
        if (lines++ >= config.max_lines_per_second) unwritten++;
        else env.log.warn('slow request', facts(stream, tookMs));
      },
    };
  },
});

function facts(stream: HttpStream, tookMs: number): Record<string, unknown> {
  const since = (fromMs: number, toMs: number): number | undefined =>
    fromMs > 0 && toMs > 0 ? Math.round(toMs - fromMs) : undefined;
  const all = {
    method: stream.request.method,
    path: stream.request.path.split('?')[0],
    status: stream.responseCode,
    took_ms: Math.round(tookMs),
    request_ms: since(stream.startMs, stream.requestEndMs),
    first_byte_ms: since(stream.upstreamTxEndMs, stream.upstreamRxBeginMs),
    body_ms: since(stream.upstreamRxBeginMs, stream.upstreamRxEndMs),
    upstream: stream.upstreamHost,
    request_id: stream.request.get('x-request-id'),
    details: stream.responseCodeDetails,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== ''));
}
