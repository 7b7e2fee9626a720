import { defineHttpFilter, type FilterEnv, type HttpStream, type Reply, reply } from '../../src/filter/index.ts';
import { HeaderMap } from '../../src/http/headers.ts';
import type { ResponseHead } from '../../src/http/message.ts';
import { compileHeaderMutations } from '../../src/http/route/header-mutations.ts';
import { compileFraction } from '../../src/matching/fraction.ts';
import type { ConnectionInfo } from '../../src/observe/stream-info.ts';
import { sharedKey } from '../shared-key.ts';
import { Limiter, limiterWords } from './limiter.ts';
import { LocalRateLimit, LocalRateLimitPerRoute } from './schema.ts';
import { processNowMs, type TokenBucket } from './token-bucket.ts';

/** gRPC's RESOURCE_EXHAUSTED. */
const RESOURCE_EXHAUSTED = 8;

/**
 * Limits the rate of requests with token buckets that all threads share (Envoy: envoy.filters.http.local_ratelimit):
 * one for all, and one for each descriptor that `rate_limits` finds in a request. As in Envoy nothing is limited unless
 * `filter_enabled` and `filter_enforced` say so.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
 * stat_prefix: edge
 * token_bucket: { max_tokens: 100, tokens_per_fill: 100, fill_interval: 1s }
 * filter_enabled: { default_value: { numerator: 100, denominator: HUNDRED } }
 * filter_enforced: { default_value: { numerator: 100, denominator: HUNDRED } }
 * rate_limits:
 *   - actions:
 *       - request_headers: { header_name: x-client, descriptor_key: client }
 * descriptors:
 *   - entries: [{ key: client, value: free }]
 *     token_bucket: { max_tokens: 10, tokens_per_fill: 10, fill_interval: 1s }
 */
export const localRateLimit = defineHttpFilter<LocalRateLimit>({
  name: 'envoy.filters.http.local_ratelimit',
  configType: 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
  config: LocalRateLimit,
  routeConfigType: 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
  routeConfig: LocalRateLimitPerRoute,
  semantics: { side: 'either', state: 'process', body: 'none' },
  create(base, env) {
    const config = env.routeConfigs.at(-1) ?? base;
    if (config.filter_enabled === undefined) return {};
    const isEnabled = compileFraction(config.filter_enabled);
    const isEnforced = config.filter_enforced === undefined ? never : compileFraction(config.filter_enforced);
    const limiterOf = compileLimiter(config, env);
    const refuse = compileRefusal(config);
    const markUnenforced = compileHeaderMutations(config.request_headers_to_add_when_not_enforced, []);
    const stats = env.stats.root.scope(config.stat_prefix).scope('http_local_rate_limit');
    const enabled = stats.counter('enabled');
    const ok = stats.counter('ok');
    const limited = stats.counter('rate_limited');
    const enforced = stats.counter('enforced');
    const showsLimits = config.enable_x_ratelimit_headers === 'DRAFT_VERSION_03';
    const decisive = env.slot<TokenBucket | undefined>();

    return {
      onRequest(request, stream) {
        if (!isEnabled()) return undefined;
        enabled.inc();
        const limiter = limiterOf(stream.connection);
        const allowed = limiter.allow(request, stream, processNowMs());
        if (showsLimits) decisive.set(stream, limiter.decisive);
        if (allowed) {
          ok.inc();
          return undefined;
        }
        limited.inc();
        if (!isEnforced()) {
          markUnenforced?.(request, stream);
          return undefined;
        }
        enforced.inc();
        return refuse(stream);
      },
      ...(showsLimits && {
        onResponse(response, stream) {
          const bucket = decisive.get(stream);
          if (bucket !== undefined) showLimit(response, bucket);
        },
      }),
    };
  },
});

const never = () => false;

/** The limiters of configurations, so that routes under one virtual host share its buckets. */
const limiters = new WeakMap<LocalRateLimit, Limiter>();

/** Finds the limiter of a connection: the same for all, unless each has its own. */
function compileLimiter(config: LocalRateLimit, env: FilterEnv): (connection: ConnectionInfo) => Limiter {
  const sourceCluster = env.proxy.node.cluster;
  if (config.local_rate_limit_per_downstream_connection) {
    const byConnection = new WeakMap<ConnectionInfo, Limiter>();
    return (connection) => {
      let limiter = byConnection.get(connection);
      if (limiter === undefined) {
        limiter = new Limiter(config, sourceCluster, new Uint32Array(limiterWords(config)));
        byConnection.set(connection, limiter);
      }
      return limiter;
    };
  }
  let shared = limiters.get(config);
  if (shared === undefined) {
    const bytes = limiterWords(config) * Uint32Array.BYTES_PER_ELEMENT;
    shared = new Limiter(config, sourceCluster, new Uint32Array(env.shared(sharedKey(env.name, config), bytes)));
    limiters.set(config, shared);
  }
  const limiter = shared;
  return () => limiter;
}

/** The answer to a request over the limit; made once where its headers are always the same. */
function compileRefusal(config: LocalRateLimit): (stream: HttpStream) => Reply {
  const code = config.status?.code ?? 429;
  // Envoy takes only errors.
  const status = code < 400 ? 429 : code;
  const addHeaders = compileHeaderMutations(config.response_headers_to_add, []);
  const make = (headers: Record<string, string>): Reply =>
    reply(status, {
      body: 'local_rate_limited',
      headers,
      flag: 'RL',
      details: 'local_rate_limited',
      ...(config.rate_limited_as_resource_exhausted && { grpcStatus: RESOURCE_EXHAUSTED }),
    });
  if (addHeaders === undefined) {
    const always = make({});
    return () => always;
  }
  return (stream) => {
    const head = new HeaderMap();
    addHeaders(head, stream);
    return make(Object.fromEntries(head.entries()));
  };
}

function showLimit(response: ResponseHead, bucket: TokenBucket): void {
  const nowMs = processNowMs();
  response.add('x-ratelimit-limit', String(bucket.maxTokens));
  response.add('x-ratelimit-remaining', String(bucket.remaining(nowMs)));
  response.add('x-ratelimit-reset', String(bucket.resetSeconds(nowMs)));
}
