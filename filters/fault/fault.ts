import { defineHttpFilter, type HttpFilterHooks, type HttpStream, type Reply } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { FLAG } from '../../src/http/response-flags.ts';
import { compileHeaderMatchers } from '../../src/matching/header-matcher.ts';
import { FaultStats, passSlowly } from './active-fault.ts';
import { compileAbort, compileDelay, compileRateLimit } from './controls.ts';
import { HttpFault } from './schema.ts';

/**
 * Injects faults (Envoy: envoy.filters.http.fault): holds requests, answers them with an error, or slows responses down;
 * for a share of the requests, for some clusters, nodes or headers, or as the client asks with `x-envoy-fault-*` headers.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
 * delay:
 *   fixed_delay: 0.2s
 *   percentage: { numerator: 5, denominator: HUNDRED }
 * abort:
 *   http_status: 503
 *   percentage: { numerator: 1, denominator: TEN_THOUSAND }
 */
export const fault = defineHttpFilter<HttpFault>({
  name: 'envoy.filters.http.fault',
  configType: 'envoy.extensions.filters.http.fault.v3.HTTPFault',
  config: HttpFault,
  semantics: { side: 'either', state: 'process', body: 'read' },
  // A delay may be as long as the configuration says.
  timeoutMs: 2 ** 31 - 1,
  create(base, env) {
    const config = env.routeConfigs.at(-1) ?? base;
    const applies = compileConditions(config);
    const delayOf = compileDelay(config.delay);
    const abortOf = compileAbort(config.abort);
    const limit = config.response_rate_limit;
    const rateOf = limit === undefined ? undefined : compileRateLimit(limit);
    const stats = new FaultStats(env, config);

    const marks = Object.entries(config.filter_metadata);
    const mark = (stream: HttpStream): void => {
      for (const [key, value] of marks) stream.setMetadata(env.name, key, value);
    };

    const abort = (request: RequestHead, stream: HttpStream): Reply | undefined => {
      const verdict = abortOf(request);
      if (verdict !== undefined) {
        stats.begin(stream);
        mark(stream);
        stats.countAbort(clusterOf(request));
      }
      return verdict;
    };
    const hooks: HttpFilterHooks = {
      onRequest(request, stream) {
        if (stats.overflows() || !applies(request, stream)) return undefined;
        const rate = rateOf?.(request) ?? 0;
        if (rate > 0) {
          stats.begin(stream).bytesPerMs = (rate * 1024) / 1000;
          stats.limited.inc();
        }
        const delayMs = delayOf(request);
        if (delayMs === 0) return abort(request, stream);
        const fault = stats.begin(stream);
        stats.countDelay(clusterOf(request));
        stream.addResponseFlag(FLAG.DI);
        mark(stream);
        return new Promise<Reply | undefined>((resolve) => {
          fault.timer = setTimeout(() => resolve(abort(request, stream)), delayMs);
        });
      },
      onDone: (stream) => stats.end(stream),
    };
    if (rateOf === undefined) return hooks;
    return {
      ...hooks,
      onResponseBody(chunk, _end, stream) {
        const fault = stats.of(stream);
        if (fault === undefined || fault.bytesPerMs === 0 || chunk.length === 0) return undefined;
        return passSlowly(fault, Buffer.from(chunk));
      },
    };
  },
});

function clusterOf(request: RequestHead): string {
  return request.get('x-envoy-downstream-service-cluster') ?? '';
}

/** Which requests may get a fault at all: by upstream cluster, by the client's node and by headers. */
function compileConditions(config: HttpFault): (request: RequestHead, stream: HttpStream) => boolean {
  const cluster = config.upstream_cluster;
  const nodes = new Set(config.downstream_nodes);
  const headersMatch = compileHeaderMatchers(config.headers);
  return (request, stream) => {
    if (cluster !== '' && stream.route?.clusterName !== cluster) return false;
    if (nodes.size > 0 && !nodes.has(request.get('x-envoy-downstream-service-node') ?? '')) return false;
    return headersMatch === undefined || headersMatch(request);
  };
}
