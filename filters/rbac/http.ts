import { defineHttpFilter, type HttpStream, reply } from '../../src/filter/index.ts';
import type { Reply } from '../../src/filter/verdict.ts';
import type { RequestHead } from '../../src/http/message.ts';
import type { Counter, StatsScope } from '../../src/observe/stats.ts';
import { compileEngine, type Engine, isAllowed, NO_POLICY_DETAILS, statPrefix } from './engine.ts';
import { HttpRbac, HttpRbacPerRoute } from './schema.ts';

/**
 * Role-based access control of requests (Envoy: envoy.filters.http.rbac). Policies of permissions and principals allow
 * or deny; shadow rules only count and leave their result in dynamic metadata. Policies are indexed by exact values,
 * prefixes and address ranges, so that thousands cost little more than one.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
 * rules:
 *   action: ALLOW
 *   policies:
 *     readers:
 *       permissions:
 *         - and_rules:
 *             rules:
 *               - header: { name: ':method', string_match: { exact: GET } }
 *               - url_path: { path: { prefix: /public } }
 *       principals:
 *         - direct_remote_ip: { address_prefix: 10.0.0.0, prefix_len: 8 }
 */
export const httpRbac = defineHttpFilter<HttpRbac, HttpRbacPerRoute>({
  name: 'envoy.filters.http.rbac',
  configType: 'envoy.extensions.filters.http.rbac.v3.RBAC',
  config: HttpRbac,
  routeConfigType: 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute',
  routeConfig: HttpRbacPerRoute,
  semantics: { side: 'either', state: 'none', body: 'none' },
  create(base, env) {
    const override = env.routeConfigs.at(-1);
    const config = override === undefined ? base : override.rbac;
    const stats = env.stats.scope('rbac');
    makeCounters(base, stats);
    const shadow =
      config?.shadow_rules === undefined ? undefined : compileShadow(config.shadow_rules, config, base, stats);
    const enforce = config?.rules === undefined ? undefined : compileEnforced(config.rules, config, base, stats);
    if (enforce === undefined && shadow === undefined) return {};
    if (shadow === undefined) return { onRequest: enforce as Enforce };
    return {
      onRequest(request, stream) {
        shadow(request, stream);
        return enforce?.(request, stream);
      },
    };
  },
});

const NAMESPACE = 'envoy.filters.http.rbac';

type Enforce = (request: RequestHead, stream: HttpStream) => Reply | undefined;
type Rules = NonNullable<HttpRbac['rules']>;

/** Envoy shows all four counters of a filter, also where it has no rules of that kind. */
function makeCounters(config: HttpRbac, stats: StatsScope): void {
  for (const verdict of ['allowed', 'denied']) {
    stats.counter(`${statPrefix(config.rules_stat_prefix)}${verdict}`);
    stats.counter(`${statPrefix(config.shadow_rules_stat_prefix)}shadow_${verdict}`);
  }
}

function deny(details: string): Reply {
  return reply(403, { body: 'RBAC: access denied', details });
}

/** A route's own prefixes name what it leaves in metadata; statistics keep those of the filter, as Envoy's do. */
function compileEnforced(rules: Rules, config: HttpRbac, base: HttpRbac, stats: StatsScope): Enforce {
  const engine = compileEngine(rules);
  const prefix = config.rules_stat_prefix;
  const statsPrefix = base.rules_stat_prefix;
  const allowed = stats.counter(`${statPrefix(statsPrefix)}allowed`);
  const denied = stats.counter(`${statPrefix(statsPrefix)}denied`);
  const perPolicy = config.track_per_rule_stats ? policyCounters(engine, stats, statsPrefix, '') : undefined;
  const resultKey = `${prefix}enforced_engine_result`;
  const policyKey = `${prefix}enforced_effective_policy_id`;
  const denials = engine.denialDetails.map(deny);
  const noPolicy = deny(NO_POLICY_DETAILS);
  const isLog = engine.action === 'LOG';

  return (request, stream) => {
    const matched = engine.firstMatch(request, stream);
    const pass = isAllowed(engine, matched);
    if (isLog) stream.setMetadata('envoy.common', 'access_log_hint', matched >= 0);
    stream.setMetadata(NAMESPACE, resultKey, pass ? 'allowed' : 'denied');
    if (matched >= 0) {
      stream.setMetadata(NAMESPACE, policyKey, engine.policyNames[matched]);
      if (perPolicy !== undefined) perPolicy(matched, pass);
    }
    if (pass) {
      allowed.inc();
      return undefined;
    }
    denied.inc();
    return matched < 0 ? noPolicy : denials[matched];
  };
}

function compileShadow(
  rules: Rules,
  config: HttpRbac,
  base: HttpRbac,
  stats: StatsScope,
): (request: RequestHead, stream: HttpStream) => void {
  const engine = compileEngine(rules);
  const prefix = config.shadow_rules_stat_prefix;
  const statsPrefix = base.shadow_rules_stat_prefix;
  const allowed = stats.counter(`${statPrefix(statsPrefix)}shadow_allowed`);
  const denied = stats.counter(`${statPrefix(statsPrefix)}shadow_denied`);
  const perPolicy = config.track_per_rule_stats ? policyCounters(engine, stats, statsPrefix, 'shadow_') : undefined;
  const resultKey = `${prefix}shadow_engine_result`;
  const policyKey = `${prefix}shadow_effective_policy_id`;

  return (request, stream) => {
    const matched = engine.firstMatch(request, stream);
    const pass = isAllowed(engine, matched);
    (pass ? allowed : denied).inc();
    if (matched >= 0) {
      stream.setMetadata(NAMESPACE, policyKey, engine.policyNames[matched]);
      if (perPolicy !== undefined) perPolicy(matched, pass);
    }
    stream.setMetadata(NAMESPACE, resultKey, pass ? 'allowed' : 'denied');
  };
}

/** Counters of each policy's decisions, made when a policy first decides, as Envoy does. */
function policyCounters(
  engine: Engine,
  stats: StatsScope,
  prefix: string,
  kind: '' | 'shadow_',
): (matched: number, pass: boolean) => void {
  const counters: (Counter | undefined)[] = [];
  return (matched, pass) => {
    const slot = matched * 2 + (pass ? 1 : 0);
    let counter = counters[slot];
    if (counter === undefined) {
      const verdict = pass ? 'allowed' : 'denied';
      counter = stats.counter(`${statPrefix(prefix)}policy.${engine.policyNames[matched]}.${kind}${verdict}`);
      counters[slot] = counter;
    }
    counter.inc();
  };
}
