import type * as v from 'valibot';
import {
  boolValue,
  check,
  duration,
  list,
  mapOf,
  message,
  optional,
  Problem,
} from '../src/config/schema/building-blocks.ts';
import { Percent } from '../src/config/schema/percent.ts';
import { HeaderMatcher } from '../src/config/schema/route-matchers.ts';
import { defineHttpFilter, type ProxyFacts, type Reply, reply } from '../src/filter/index.ts';
import { compileHeaderMatchers } from '../src/matching/header-matcher.ts';
import type { StatsScope } from '../src/observe/stats.ts';

/** envoy.extensions.filters.http.health_check.v3.HealthCheck; cache_time in milliseconds. */
export const HealthCheck = message(
  {
    pass_through_mode: boolValue(),
    cache_time: optional(duration()),
    headers: optional(list(HeaderMatcher), []),
    cluster_min_healthy_percentages: optional(mapOf(Percent), {}),
  },
  check((config) => {
    if (!config.pass_through_mode && (config.cache_time ?? 0) > 0) {
      return new Problem('needs pass_through_mode: true', { path: ['cache_time'] });
    }
    if (config.pass_through_mode && Object.keys(config.cluster_min_healthy_percentages).length > 0) {
      return new Problem('needs pass_through_mode: false', { path: ['cluster_min_healthy_percentages'] });
    }
    return undefined;
  }),
);
export type HealthCheck = v.InferOutput<typeof HealthCheck>;

/**
 * Answers health checks of this proxy (Envoy: envoy.filters.http.health_check), or passes them on to the application and
 * remembers the answer for `cache_time`. Once the proxy is told to fail, checks get 503 and other responses carry
 * `x-envoy-immediate-health-check-fail`.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck
 * pass_through_mode: false
 * headers:
 *   - name: ':path'
 *     string_match: { exact: /healthz }
 * cluster_min_healthy_percentages:
 *   app: { value: 50 }
 */
export const healthCheck = defineHttpFilter<HealthCheck>({
  name: 'envoy.filters.http.health_check',
  configType: 'envoy.extensions.filters.http.health_check.v3.HealthCheck',
  config: HealthCheck,
  semantics: { side: 'ingress', state: 'process', body: 'none' },
  create(base, env) {
    const config = env.routeConfigs.at(-1) ?? base;
    const isCheck = compileHeaderMatchers(config.headers) ?? (() => true);
    const answer = compileAnswer(config, env.proxy, env.stats.scope('health_check'));
    const cacheMs = config.cache_time ?? 0;
    const cluster = env.proxy.node.cluster;
    const isCheckStream = env.slot<boolean>();
    let cachedStatus = 0;
    let cachedUntilMs = 0;
    return {
      onRequest(request, stream) {
        if (!isCheck(request)) return undefined;
        isCheckStream.set(stream, true);
        // not_health_check_filter of access logs asks for this.
        stream.setFilterState('envoy.filters.http.health_check', true);
        if (!config.pass_through_mode || !env.proxy.healthy()) return answer(0);
        return cacheMs > 0 && performance.now() < cachedUntilMs ? answer(cachedStatus) : undefined;
      },
      onResponse(response, stream) {
        if (isCheckStream.get(stream) !== true) {
          if (!env.proxy.healthy()) response.set('x-envoy-immediate-health-check-fail', 'true');
          return;
        }
        response.set('x-envoy-upstream-healthchecked-cluster', cluster);
        if (cacheMs === 0 || performance.now() < cachedUntilMs) return;
        cachedStatus = response.status;
        cachedUntilMs = performance.now() + cacheMs;
      },
    };
  },
});

/** Answers a check: with the cached status where there is one, else from the state of proxy and clusters. */
function compileAnswer(config: HealthCheck, proxy: ProxyFacts, stats: StatsScope): (cachedStatus: number) => Reply {
  const total = stats.counter('request_total');
  const ok = stats.counter('ok');
  const failed = stats.counter('failed');
  const cached = stats.counter('cached_response');
  const notFound = stats.counter('failed_cluster_not_found');
  const unhealthy = stats.counter('failed_cluster_unhealthy');
  const minimums = Object.entries(config.cluster_min_healthy_percentages);
  const healthyReply = reply(200, {
    details: minimums.length === 0 ? 'health_check_ok' : 'health_check_ok_cluster_healthy',
  });
  const failedReply = failure('health_check_failed');
  const notFoundReply = failure('health_check_failed_no_cluster_found');
  const unhealthyReply = failure('health_check_failed_cluster_unhealthy');

  const decide = (cachedStatus: number): Reply => {
    if (!proxy.healthy()) return failedReply;
    if (cachedStatus !== 0) {
      cached.inc();
      const details = 'health_check_cached';
      return isSuccess(cachedStatus) ? reply(cachedStatus, { details }) : reply(cachedStatus, { details, flag: 'LH' });
    }
    for (const [cluster, { value: minimum }] of minimums) {
      const healthy = proxy.healthyPercent(cluster);
      if (healthy === undefined) {
        notFound.inc();
        return notFoundReply;
      }
      if (healthy < minimum) {
        unhealthy.inc();
        return unhealthyReply;
      }
    }
    return healthyReply;
  };
  return (cachedStatus) => {
    const verdict = decide(cachedStatus);
    total.inc();
    (isSuccess(verdict.status) ? ok : failed).inc();
    return verdict;
  };
}

function failure(details: string): Reply {
  return reply(503, { details, flag: 'LH' });
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
