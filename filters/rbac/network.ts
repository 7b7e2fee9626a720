import timers from 'node:timers';
import { defineNetworkFilter, type NetworkStream, type Stop, stop } from '../../src/filter/index.ts';
import type { StatsScope } from '../../src/observe/stats.ts';
import { compileEngine, isAllowed, NO_POLICY_DETAILS, statPrefix } from './engine.ts';
import type { HeaderSource } from './policy-index.ts';
import { NetworkRbac, type Permission, type Principal, type Rules } from './schema.ts';

/**
 * Role-based access control of connections (Envoy: envoy.filters.network.rbac).
 *
 * Rules about addresses, ports and certificates are decided when the connection is there, before any byte goes either
 * way, which also leaves the bytes to the kernel afterwards. Rules that read metadata wait for the filters that write
 * it: they are decided on the first bytes, or on all of them with CONTINUOUS.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC
 * stat_prefix: db
 * rules:
 *   action: DENY
 *   policies:
 *     no-lab:
 *       permissions: [{ destination_port: 3306 }]
 *       principals: [{ direct_remote_ip: { address_prefix: 192.0.2.0, prefix_len: 24 } }]
 */
export const networkRbac = defineNetworkFilter<NetworkRbac>({
  name: 'envoy.filters.network.rbac',
  configType: 'envoy.extensions.filters.network.rbac.v3.RBAC',
  config: NetworkRbac,
  semantics: { side: 'either', state: 'none', body: 'none' },
  // A denied connection may be held for as long as delay_deny says.
  timeoutMs: 2 ** 31 - 1,
  create(config, env) {
    const decide = compileDecision(config, env.stats.root.scope(`${trimDot(config.stat_prefix)}.rbac`));
    const delayMs = config.delay_deny ?? 0;
    if (!readsMetadata(config.rules) && !readsMetadata(config.shadow_rules)) {
      return {
        onConnection(stream) {
          const denial = decide(stream);
          return denial === undefined || delayMs === 0
            ? denial
            : timers.promises.setTimeout(delayMs, denial, { ref: false });
        },
      };
    }
    if (config.enforcement_type === 'CONTINUOUS') return { onData: (_chunk, _end, stream) => decide(stream) };
    const decided = new WeakSet<NetworkStream>();
    return {
      onData(_chunk, _end, stream) {
        if (decided.has(stream)) return undefined;
        decided.add(stream);
        return decide(stream);
      },
    };
  },
});

const NAMESPACE = 'envoy.filters.network.rbac';
const NO_HEADERS: HeaderSource = { get: () => undefined, getAll: () => [] };

type Decide = (stream: NetworkStream) => Stop | undefined;

function compileDecision(config: NetworkRbac, stats: StatsScope): Decide {
  // Envoy shows all four counters of a filter, also where it has no rules of that kind.
  const shadowPrefix = `${statPrefix(config.shadow_rules_stat_prefix)}shadow_`;
  for (const name of ['allowed', 'denied', `${shadowPrefix}allowed`, `${shadowPrefix}denied`]) stats.counter(name);
  const shadow = config.shadow_rules === undefined ? undefined : compileShadow(config.shadow_rules, config, stats);
  if (config.rules === undefined) {
    return (stream) => {
      shadow?.(stream);
      return undefined;
    };
  }
  const engine = compileEngine(config.rules);
  const allowed = stats.counter('allowed');
  const denied = stats.counter('denied');
  const denials = engine.denialDetails.map((details) => stop(details));
  const noPolicy = stop(NO_POLICY_DETAILS);
  const isLog = engine.action === 'LOG';
  return (stream) => {
    shadow?.(stream);
    const matched = engine.firstMatch(NO_HEADERS, stream);
    if (isLog) stream.setMetadata('envoy.common', 'access_log_hint', matched >= 0);
    if (isAllowed(engine, matched)) {
      allowed.inc();
      return undefined;
    }
    denied.inc();
    return matched < 0 ? noPolicy : denials[matched];
  };
}

function compileShadow(rules: Rules, config: NetworkRbac, stats: StatsScope): (stream: NetworkStream) => void {
  const engine = compileEngine(rules);
  const prefix = config.shadow_rules_stat_prefix;
  const allowed = stats.counter(`${statPrefix(prefix)}shadow_allowed`);
  const denied = stats.counter(`${statPrefix(prefix)}shadow_denied`);
  return (stream) => {
    const matched = engine.firstMatch(NO_HEADERS, stream);
    const pass = isAllowed(engine, matched);
    (pass ? allowed : denied).inc();
    if (matched >= 0) {
      stream.setMetadata(NAMESPACE, `${prefix}shadow_effective_policy_id`, engine.policyNames[matched]);
    }
    stream.setMetadata(NAMESPACE, `${prefix}shadow_engine_result`, pass ? 'allowed' : 'denied');
  };
}

function trimDot(prefix: string): string {
  return prefix.endsWith('.') ? prefix.slice(0, -1) : prefix;
}

function readsMetadata(rules: Rules | undefined): boolean {
  return Object.values(rules?.policies ?? {}).some(
    (policy) => policy.permissions.some(permissionReads) || policy.principals.some(principalReads),
  );
}

function permissionReads(rule: Permission): boolean {
  if (rule.metadata !== undefined || rule.sourced_metadata !== undefined) return true;
  const parts = rule.and_rules?.rules ?? rule.or_rules?.rules ?? (rule.not_rule === undefined ? [] : [rule.not_rule]);
  return parts.some(permissionReads);
}

function principalReads(id: Principal): boolean {
  if (id.metadata !== undefined || id.sourced_metadata !== undefined || id.filter_state !== undefined) return true;
  const parts = id.and_ids?.ids ?? id.or_ids?.ids ?? (id.not_id === undefined ? [] : [id.not_id]);
  return parts.some(principalReads);
}
