import type { RouteConfiguration, VirtualHost } from '../../config/schema/route.ts';
import type { Route, RouteAction, WeightedCluster } from '../../config/schema/route-components.ts';
import { NO_RATE_LIMITS } from '../../filter/http.ts';
import { toWireText } from '../../matching/wire-text.ts';
import { RetryRules } from '../retry.ts';
import { compileDirectResponse } from './direct-response.ts';
import { compileHashPolicies } from './hash-policy.ts';
import { compileMirrorPolicy } from './mirror-policy.ts';
import { compileRedirect } from './redirect.ts';
import { compileHostRewrite, compilePathRewrite, setHost } from './rewrite.ts';
import { RouteChoice } from './route-choice.ts';
import { RouteEntry, type RouteFacts } from './route-entry.ts';
import { combineLevels, compileLevel, type RouteLevel } from './route-level.ts';

/** What stands around a route. */
export interface RouteScope {
  readonly configuration: RouteConfiguration;
  readonly host: VirtualHost;
  /** Of the route configuration and of the virtual host. */
  readonly levels: readonly RouteLevel[];
  readonly suppressEnvoyHeaders: boolean;
  readonly random: () => number;
}

const NOT_FOUND_STATUS = { SERVICE_UNAVAILABLE: 503, NOT_FOUND: 404, INTERNAL_SERVER_ERROR: 500 } as const;
const ONE = [1] as const;

/**
 * Compiles the action of one route.
 *
 * @throws RegexError, FormatError, Error for a body that cannot be read
 */
export function compileRoute(route: Route, scope: RouteScope): RouteChoice {
  const levels = [...scope.levels, compileLevel(route)];
  const base = { ...commonFacts(route, scope), ...combine(levels, scope) };
  const options = {
    header: route.route?.weighted_clusters?.header_name ?? '',
    useHash: route.route?.weighted_clusters?.use_hash_policy ?? false,
    random: scope.random,
  };
  if (route.route === undefined) {
    const { match } = route;
    const entry = new RouteEntry({
      ...base,
      redirect: route.redirect === undefined ? undefined : compileRedirect(route.redirect, match),
      directResponse:
        route.direct_response === undefined
          ? undefined
          : compileDirectResponse(route.direct_response, scope.configuration.max_direct_response_body_size_bytes),
    });
    return new RouteChoice([entry], ONE, options);
  }
  const facts = { ...base, ...actionFacts(route.route, route, scope) };
  const weighted = route.route.weighted_clusters;
  if (weighted === undefined) return new RouteChoice([new RouteEntry(facts)], ONE, options);
  const entries = weighted.clusters.map((cluster) => new RouteEntry(clusterFacts(cluster, facts, levels, scope)));
  return new RouteChoice(
    entries,
    weighted.clusters.map((cluster) => cluster.weight),
    options,
  );
}

function combine(levels: readonly RouteLevel[], scope: RouteScope): ReturnType<typeof combineLevels> {
  return combineLevels(levels, scope.configuration.most_specific_header_mutations_wins);
}

/** The facts of a route that leads nowhere yet. */
function commonFacts(route: Route, scope: RouteScope): Omit<RouteFacts, keyof ReturnType<typeof combineLevels>> {
  return {
    name: route.name,
    virtualHostName: scope.host.name,
    clusterName: '',
    clusterHeader: '',
    metadata: route.metadata?.filter_metadata ?? {},
    rateLimits: NO_RATE_LIMITS,
    clusterNotFoundStatus: 503,
    timeoutMs: 0,
    idleTimeoutMs: undefined,
    maxStreamDurationMs: undefined,
    grpcTimeoutMaxMs: undefined,
    grpcTimeoutOffsetMs: 0,
    priority: 'DEFAULT',
    retry: undefined,
    hash: undefined,
    mirrors: [],
    upgrades: new Map(),
    includeAttemptCount: scope.host.include_request_attempt_count,
    includeAttemptCountInResponse: scope.host.include_attempt_count_in_response,
    hostRewrite: undefined,
    autoHostRewrite: false,
    appendForwardedHost: false,
    pathRewrite: undefined,
    keepOriginal: !scope.suppressEnvoyHeaders,
    redirect: undefined,
    directResponse: undefined,
    tracing: route.tracing,
    decorator: route.decorator,
  };
}

function actionFacts(action: RouteAction, route: Route, scope: RouteScope): Partial<RouteFacts> {
  const retry = action.retry_policy ?? scope.host.retry_policy;
  const duration = action.max_stream_duration;
  return {
    clusterName: action.cluster ?? '',
    clusterHeader: action.cluster_header ?? '',
    clusterNotFoundStatus: NOT_FOUND_STATUS[action.cluster_not_found_response_code],
    // A limit of the stream takes the place of the response's, as in Envoy.
    timeoutMs: duration === undefined ? action.timeout : 0,
    idleTimeoutMs: action.idle_timeout,
    maxStreamDurationMs: duration?.max_stream_duration,
    grpcTimeoutMaxMs: duration?.grpc_timeout_header_max,
    grpcTimeoutOffsetMs: duration?.grpc_timeout_header_offset ?? 0,
    priority: action.priority,
    retry: retry === undefined ? undefined : new RetryRules(retry),
    hash: compileHashPolicies(action.hash_policy),
    mirrors: mirrorConfigs(action, scope).map((policy) => compileMirrorPolicy(policy, scope.random)),
    rateLimits: {
      route: action.rate_limits,
      virtualHost: scope.host.rate_limits,
      includesVirtualHost: action.include_vh_rate_limits,
    },
    upgrades: new Map(action.upgrade_configs.map((upgrade) => [upgrade.upgrade_type.toLowerCase(), upgrade.enabled])),
    hostRewrite: compileHostRewrite(action, !scope.suppressEnvoyHeaders),
    autoHostRewrite: action.auto_host_rewrite ?? false,
    appendForwardedHost: action.append_x_forwarded_host,
    pathRewrite: compilePathRewrite(action.prefix_rewrite, action.regex_rewrite, route.match),
  };
}

/** The policies of the most specific level that has any. */
function mirrorConfigs(action: RouteAction, scope: RouteScope): RouteAction['request_mirror_policies'] {
  if (action.request_mirror_policies.length > 0) return action.request_mirror_policies;
  if (scope.host.request_mirror_policies.length > 0) return scope.host.request_mirror_policies;
  return scope.configuration.request_mirror_policies;
}

function clusterFacts(
  cluster: WeightedCluster['clusters'][number],
  facts: RouteFacts,
  levels: readonly RouteLevel[],
  scope: RouteScope,
): RouteFacts {
  const host = toWireText(cluster.host_rewrite_literal);
  // Envoy leaves the original host behind a route's rewrite only, not behind a weighted cluster's.
  const trace = { forwarded: facts.appendForwardedHost, keepOriginal: false };
  return {
    ...facts,
    ...combine([...levels, compileLevel(cluster)], scope),
    clusterName: cluster.name,
    clusterHeader: cluster.cluster_header ?? '',
    hostRewrite: host === '' ? facts.hostRewrite : (request) => setHost(request, host, trace),
  };
}
