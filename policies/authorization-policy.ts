import type * as v from 'valibot';
import {
  check,
  enumOf,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  type Schema,
  uint32,
} from '../src/config/schema/building-blocks.ts';
import { headerMatcher, type TextMatcher } from '../src/config/sidecar/text-matcher.ts';
import { cidr, oneOrMany } from '../src/config/sidecar/units.ts';
import { text } from './fields.ts';
import { hostRules } from './host-match.ts';
import { type Canonical, type PhasedFilter, type Policy, type PolicyKind, type Side, typed } from './policy.ts';
import { JWT_METADATA, JWT_PAYLOAD } from './request-authentication.ts';

const many = <T>(item: Schema<T>) => optional(oneOrMany(item, list(item, { min: 1 })));

const Source = message({
  /** SPIFFE identities of the caller's certificate, `cluster.local/ns/shop/sa/web`; a star at one end. */
  principals: many(text()),
  not_principals: many(text()),
  /** `issuer/subject` of the caller's verified token. */
  request_principals: many(text()),
  not_request_principals: many(text()),
  /** Addresses of the direct peer. */
  ip_blocks: many(cidr()),
  not_ip_blocks: many(cidr()),
});
type Source = v.InferOutput<typeof Source>;

const Operation = message({
  hosts: many(text()),
  not_hosts: many(text()),
  ports: many(uint32({ min: 1, max: 65535 })),
  not_ports: many(uint32({ min: 1, max: 65535 })),
  methods: many(text()),
  not_methods: many(text()),
  /** Without query; a star at one end. */
  paths: many(text()),
  not_paths: many(text()),
});
type Operation = v.InferOutput<typeof Operation>;

const KEYS = 'request.headers[name], request.auth.claims[name], request.auth.audiences, connection.sni';
const KEY =
  /^(?:request\.headers\[([^\]]+)\]|request\.auth\.claims((?:\[[^\]]+\])+)|request\.auth\.(audiences)|(connection\.sni))$/;

const Condition = message(
  { key: nonEmptyString(), values: many(text()), not_values: many(text()) },
  check((condition) =>
    KEY.test(condition.key)
      ? undefined
      : new Problem(`"${condition.key}" is not a key`, { path: ['key'], allowed: KEYS }),
  ),
  check((condition) =>
    condition.values === undefined && condition.not_values === undefined
      ? new Problem('says nothing', { allowed: 'values, not_values, or both' })
      : undefined,
  ),
  check((condition) =>
    condition.key !== 'connection.sni' ||
    [...(condition.values ?? []), ...(condition.not_values ?? [])].every((text) => !text.present)
      ? undefined
      : new Problem('a server name cannot be matched by *', { path: ['values'] }),
  ),
);
type Condition = v.InferOutput<typeof Condition>;

const Rule = message({
  from: optional(list(message({ source: Source }), { min: 1 })),
  to: optional(list(message({ operation: Operation }), { min: 1 })),
  when: optional(list(Condition, { min: 1 })),
});
type Rule = v.InferOutput<typeof Rule>;

const Spec = message(
  {
    action: optional(enumOf(['ALLOW', 'DENY']), 'ALLOW'),
    /** One must hold. Without any, ALLOW lets nothing pass; a rule `{}` holds always. */
    rules: optional(list(Rule), []),
  },
  check((spec) =>
    spec.action === 'DENY' && spec.rules.length === 0
      ? new Problem('a DENY without rules denies nothing', {
          path: ['action'],
          allowed: 'rules: [{}] to deny everything',
        })
      : undefined,
  ),
);
type Spec = v.InferOutput<typeof Spec>;

/** ③ Authorisation. Table 2: in L7 headers, out allow or deny, no state. */
export const authorizationPolicy: PolicyKind<Spec> = {
  kind: 'AuthorizationPolicy',
  summary: 'who may do what: callers, methods, paths, hosts, ports, headers, claims',
  spec: Spec,
  semantics: {
    paper: 3,
    input: 'L7 headers',
    output: 'allow or deny',
    pure: true,
    state: { kept: 'none', what: '' },
    payload: 'none',
    placement: 'either',
    usualSide: 'receiver',
    granularity: 'function',
  },
  refusal,
  compile(policy) {
    const { action, rules } = policy.spec;
    const phase = action === 'ALLOW' ? 'allow' : 'deny';
    const made = rules.map((rule, index): [string, Canonical] => [ruleName(policy, index), canonicalRule(rule)]);
    const canonical = { action, policies: Object.fromEntries(made) };
    const filter = (layer: 'http' | 'network', prefix: Canonical): readonly PhasedFilter[] => {
      const typed_config = typed(`envoy.extensions.filters.${layer}.rbac.v3.RBAC`, { rules: canonical, ...prefix });
      return [{ phase, filter: { name: `outrigger.policy.${phase}`, typed_config } }];
    };
    return {
      httpFilters: filter('http', { rules_stat_prefix: `policy_${phase}_` }),
      // The app must not see another path than that which was judged.
      ...(rules.some(readsPath) ? { manager: { normalize_path: true } } : {}),
      ...(rules.some(readsRequest) ? {} : { networkFilters: filter('network', { stat_prefix: `policy_${phase}` }) }),
    };
  },
};

function readsPath({ to = [] }: Rule): boolean {
  return to.some(({ operation }) => operation.paths !== undefined || operation.not_paths !== undefined);
}

/** True when a connection alone is not enough to decide. */
function readsRequest({ from = [], to = [], when = [] }: Rule): boolean {
  const ofConnections = ['ports', 'not_ports', 'principals', 'not_principals', 'ip_blocks', 'not_ip_blocks'];
  const parts = [...from.map(({ source }) => source), ...to.map(({ operation }) => operation)];
  const fields = parts.flatMap((part) =>
    Object.entries(part).flatMap(([key, value]) => (value === undefined ? [] : [key])),
  );
  return fields.some((key) => !ofConnections.includes(key)) || when.some(({ key }) => key !== 'connection.sni');
}

function ruleName({ metadata }: Policy, index: number): string {
  return `${metadata.namespace}/${metadata.name}/${index}`;
}

/** The sender's sidecar has its own workload in front of it: nobody who could be told apart by certificate or address. */
function refusal(spec: Spec, side: Side): Problem | undefined {
  if (side === 'receiver') return undefined;
  for (const [index, rule] of spec.rules.entries()) {
    for (const [position, { source }] of (rule.from ?? []).entries()) {
      const path = (key: string): (string | number)[] => ['rules', index, 'from', position, 'source', key];
      for (const key of ['principals', 'not_principals'] as const) {
        if (source[key] !== undefined)
          return new Problem(
            'principals cannot be told by the sender: the certificate of the caller is shown to the receiver',
            { path: path(key), allowed: 'receiver' },
          );
      }
      for (const key of ['ip_blocks', 'not_ip_blocks'] as const) {
        if (source[key] !== undefined)
          return new Problem(
            'addresses cannot be told by the sender: its sidecar sees the loopback, not where it runs',
            { path: path(key), allowed: 'receiver' },
          );
      }
    }
    const sni = rule.when?.findIndex(({ key }) => key === 'connection.sni') ?? -1;
    if (sni >= 0)
      return new Problem('a server name cannot be told by the sender: it comes with the handshake at the receiver', {
        path: ['rules', index, 'when', sni, 'key'],
        allowed: 'receiver',
      });
  }
  return undefined;
}

function canonicalRule(rule: Rule): Canonical {
  const operations = (rule.to ?? []).map(({ operation }) => all(operationParts(operation), 'rules'));
  const conditions = (rule.when ?? []).flatMap(conditionParts);
  const targets = operations.length === 0 ? [] : [any(operations, 'rules')];
  const sources = (rule.from ?? []).map(({ source }) => all(sourceParts(source), 'ids'));
  return {
    permissions: [all([...targets, ...conditions], 'rules')],
    principals: sources.length === 0 ? [{ any: true }] : sources,
  };
}

/** Conditions of a set that must hold together, each with its alternatives. */
type Join = 'rules' | 'ids';

function all(parts: readonly Canonical[], join: Join): Canonical {
  if (parts.length === 0) return { any: true };
  return parts.length === 1 ? parts[0]! : { [join === 'rules' ? 'and_rules' : 'and_ids']: { [join]: parts } };
}

function any(parts: readonly Canonical[], join: Join): Canonical {
  return parts.length === 1 ? parts[0]! : { [join === 'rules' ? 'or_rules' : 'or_ids']: { [join]: parts } };
}

/** At most two parts: one of `wanted` holds, none of `unwanted` does. */
function oneOf<T>(
  wanted: readonly T[] | undefined,
  unwanted: readonly T[] | undefined,
  join: Join,
  make: (item: T) => Canonical,
): Canonical[] {
  const not = join === 'rules' ? 'not_rule' : 'not_id';
  return [
    ...(wanted === undefined ? [] : [any(wanted.map(make), join)]),
    ...(unwanted === undefined ? [] : [{ [not]: any(unwanted.map(make), join) }]),
  ];
}

function operationParts(to: Operation): Canonical[] {
  const header = (name: string) => (text: TextMatcher) => ({ header: headerMatcher(name, text) });
  const path = ({ present, ...text }: TextMatcher): Canonical =>
    present ? { any: true } : { url_path: { path: text } };
  return [
    ...oneOf(to.hosts, to.not_hosts, 'rules', (host) => any(hostRules(host), 'rules')),
    ...oneOf(to.ports, to.not_ports, 'rules', (destination_port) => ({ destination_port })),
    ...oneOf(to.methods, to.not_methods, 'rules', header(':method')),
    ...oneOf(to.paths, to.not_paths, 'rules', path),
  ];
}

function sourceParts(from: Source): Canonical[] {
  return [
    ...oneOf(from.principals, from.not_principals, 'ids', principal),
    ...oneOf(from.request_principals, from.not_request_principals, 'ids', requestPrincipal),
    ...oneOf(from.ip_blocks, from.not_ip_blocks, 'ids', (direct_remote_ip) => ({ direct_remote_ip })),
  ];
}

/** As Istio writes them: without `spiffe://`. */
function principal({ present, ...text }: TextMatcher): Canonical {
  if (present) return { authenticated: {} };
  const { exact, prefix } = text;
  const full =
    exact !== undefined ? { exact: withScheme(exact) } : prefix !== undefined ? { prefix: withScheme(prefix) } : text;
  return { authenticated: { principal_name: full } };
}

function withScheme(name: string): string {
  return name.startsWith('spiffe://') ? name : `spiffe://${name}`;
}

function requestPrincipal(text: TextMatcher): Canonical {
  if (text.present) return { metadata: claim(['sub'], { present: true }) };
  const cut = (whole: string): [issuer: string, subject: string] => {
    const slash = whole.lastIndexOf('/');
    return [whole.slice(0, slash), whole.slice(slash + 1)];
  };
  if (text.exact?.includes('/')) {
    const [issuer, subject] = cut(text.exact);
    return all(
      [{ metadata: claim(['iss'], { exact: issuer }) }, { metadata: claim(['sub'], { exact: subject }) }],
      'ids',
    );
  }
  if (text.prefix?.includes('/')) {
    const [issuer, subject] = cut(text.prefix);
    const same = { metadata: claim(['iss'], { exact: issuer }) };
    const rest: TextMatcher = subject === '' ? { present: true } : { prefix: subject };
    return all([same, { metadata: claim(['sub'], rest) }], 'ids');
  }
  // Without a slash, the subject of any issuer.
  return { metadata: claim(['sub'], text) };
}

function conditionParts(condition: Condition): Canonical[] {
  const [, header, claims, audiences] = KEY.exec(condition.key)!;
  if (header !== undefined) {
    return oneOf(condition.values, condition.not_values, 'rules', (text) => ({ header: headerMatcher(header, text) }));
  }
  if (claims !== undefined || audiences !== undefined) {
    const path = claims === undefined ? ['aud'] : [...claims.matchAll(/\[([^\]]+)\]/g)].map(([, name]) => name!);
    return oneOf(condition.values, condition.not_values, 'rules', (text) =>
      any([{ metadata: claim(path, text) }, { metadata: claim(path, text, true) }], 'rules'),
    );
  }
  return oneOf(condition.values, condition.not_values, 'rules', ({ present: _, ...text }) => ({
    requested_server_name: text,
  }));
}

/** A claim of the verified token; `inList` matches an item of a claim that is a list. */
function claim(path: readonly string[], { present, ...text }: TextMatcher, inList = false): Canonical {
  const value = present ? { present_match: true } : { string_match: text };
  return {
    filter: JWT_METADATA,
    path: [JWT_PAYLOAD, ...path].map((key) => ({ key })),
    value: inList ? { list_match: { one_of: value } } : value,
  };
}
