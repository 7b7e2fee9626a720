import type * as v from 'valibot';
import {
  bool,
  check,
  list,
  mapOf,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  type Schema,
  string,
  uint32,
} from '../schema/building-blocks.ts';
import { describe, scalar } from '../schema/schema.ts';
import { CLAIMS } from './jwt.ts';
import { headerMatcher, type TextMatcher, textMatcher } from './text-matcher.ts';
import { cidr, oneOrMany } from './units.ts';

/** Access rules: who may do what. */

/** Where {@link rbac} finds values that `header_read` has stored, unless a namespace is named. */
export const METADATA_NAMESPACE = 'outrigger';

interface PortRange {
  readonly start: number;
  readonly end: number;
}

/** `443` or `8000-8999`, both ends included. */
function port(): Schema<PortRange> {
  return scalar('port', 'a port or a range', (value) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value));
    const start = Number(match?.[1]);
    const end = Number(match?.[2] ?? match?.[1]);
    const isRange = match !== null && start > 0 && start <= end && end <= 65535;
    return isRange
      ? { start, end }
      : new Problem(`${describe(value)} is not a port or range`, { allowed: '443 or 8000-8999' });
  });
}

const texts = oneOrMany(textMatcher(), list(textMatcher()));
const ranges = oneOrMany(cidr(), list(cidr()));
const ports = oneOrMany(port(), list(port()));
const strings = oneOrMany(nonEmptyString(), list(nonEmptyString()));

const connectionFields = {
  name: optional(nonEmptyString()),
  /** Addresses of the client. */
  source: optional(ranges),
  /** Ports that the client connected to. */
  ports: optional(ports),
  any: optional(bool(), false),
  /** Makes so many copies; `{n}` in texts counts from 1. For measurements. */
  repeat: optional(uint32({ min: 1, max: 100_000 }), 1),
} as const;

const ConnectionRule = message(connectionFields, check(saysSomething));
type ConnectionRule = v.InferOutput<typeof ConnectionRule>;

const RequestRule = message(
  {
    ...connectionFields,
    methods: optional(strings),
    paths: optional(texts),
    hosts: optional(texts),
    headers: optional(mapOf(textMatcher())),
    /** Values that `header_read` stored, by key or `namespace:key`. */
    metadata: optional(mapOf(textMatcher())),
    /** Claims of the token that `jwt` verified; `a.b` is b within a. Of a list, one item must match. */
    claims: optional(mapOf(textMatcher())),
  },
  check(saysSomething),
);
type RequestRule = v.InferOutput<typeof RequestRule>;

function saysSomething(rule: Record<string, unknown>): Problem | undefined {
  const conditions = Object.keys(rule).filter((key) => !['name', 'repeat', 'any'].includes(key));
  if (conditions.length === 0 && rule.any !== true)
    return new Problem('the rule has no condition', { allowed: 'any: true to match everything' });
  if (conditions.length > 0 && rule.any === true)
    return new Problem(`cannot be given together with "${conditions[0]}"`, { path: ['any'] });
  return undefined;
}

function ruleSet<T>(rule: Schema<T>) {
  return message(
    {
      allow: optional(list(rule, { min: 1 })),
      deny: optional(list(rule, { min: 1 })),
      /** Counts and reports what would be denied, and denies nothing. */
      shadow: optional(bool(), false),
      stat_prefix: optional(string(), ''),
    },
    oneof(['allow', 'deny'], { required: true }),
  );
}

export const Rbac = ruleSet<RequestRule>(RequestRule);
export type Rbac = v.InferOutput<typeof Rbac>;
export const NetworkRbac = ruleSet<ConnectionRule>(ConnectionRule);
export type NetworkRbac = v.InferOutput<typeof NetworkRbac>;

type Canonical = Record<string, unknown>;

/** envoy.extensions.filters.http.rbac.v3.RBAC. */
export function rbac(config: Rbac): Canonical {
  const rules = canonicalRules(config, (rule) => requestPolicy(rule));
  const prefix = config.stat_prefix;
  if (config.shadow)
    return prefix === '' ? { shadow_rules: rules } : { shadow_rules: rules, shadow_rules_stat_prefix: prefix };
  return prefix === '' ? { rules } : { rules, rules_stat_prefix: prefix };
}

/** envoy.extensions.filters.network.rbac.v3.RBAC. */
export function networkRbac(config: NetworkRbac): Canonical {
  const rules = canonicalRules(config, (rule) =>
    policy(portPermissions(rule), sourcePrincipals(rule, 'direct_remote_ip')),
  );
  return { stat_prefix: config.stat_prefix || 'network_rbac', [config.shadow ? 'shadow_rules' : 'rules']: rules };
}

function canonicalRules<R extends { name?: string | undefined; repeat: number }>(
  config: { allow?: R[] | undefined; deny?: R[] | undefined },
  toPolicy: (rule: R) => Canonical,
): Canonical {
  const policies: Canonical = {};
  const rules = config.allow ?? config.deny ?? [];
  for (const [index, rule] of rules.entries()) {
    const name = rule.name ?? `rule-${index + 1}`;
    const made = toPolicy(rule);
    if (rule.repeat === 1) policies[name] = made;
    for (let n = 1; rule.repeat > 1 && n <= rule.repeat; n++) {
      policies[name.includes('{n}') ? name.replaceAll('{n}', String(n)) : `${name}-${n}`] = numbered(made, n);
    }
  }
  return { action: config.allow === undefined ? 'DENY' : 'ALLOW', policies };
}

/** A copy with `{n}` replaced in every text. */
export function numbered<T>(value: T, n: number): T {
  return JSON.parse(JSON.stringify(value).replaceAll('{n}', String(n))) as T;
}

function requestPolicy(rule: RequestRule): Canonical {
  const conditions: Canonical[][] = [
    (rule.methods ?? []).map((method) => ({ header: headerMatcher(':method', { exact: method.toUpperCase() }) })),
    (rule.paths ?? []).map((path) => pathPermission(path)),
    (rule.hosts ?? []).map((host) => ({ header: headerMatcher(':authority', host) })),
    ...Object.entries(rule.headers ?? {}).map(([name, text]) => [{ header: headerMatcher(name, text) }]),
    ...Object.entries(rule.metadata ?? {}).map(([key, text]) => [{ metadata: metadataMatcher(key, text) }]),
    ...Object.entries(rule.claims ?? {}).map(([name, text]) => [{ metadata: claimMatcher(name, text) }]),
    ...portPermissions(rule),
  ];
  return policy(conditions, sourcePrincipals(rule, 'remote_ip'));
}

function pathPermission({ present, ...text }: TextMatcher): Canonical {
  return present ? { any: true } : { url_path: { path: text } };
}

function metadataMatcher(key: string, { present, ...text }: TextMatcher): Canonical {
  const colon = key.indexOf(':');
  const filter = colon < 0 ? METADATA_NAMESPACE : key.slice(0, colon);
  const value = present ? { present_match: true } : { string_match: text };
  return { filter, path: [{ key: key.slice(colon + 1) }], value };
}

function claimMatcher(name: string, { present, ...text }: TextMatcher): Canonical {
  const one = { string_match: text };
  const value = present
    ? { present_match: true }
    : { or_match: { value_matchers: [one, { list_match: { one_of: one } }] } };
  const path = [CLAIMS.key, ...name.split('.')].map((key) => ({ key }));
  return { filter: CLAIMS.namespace, path, value };
}

function portPermissions(rule: { ports?: PortRange[] | undefined }): Canonical[][] {
  const one = ({ start, end }: PortRange) =>
    start === end ? { destination_port: start } : { destination_port_range: { start, end: end + 1 } };
  return [(rule.ports ?? []).map(one)];
}

function sourcePrincipals(rule: { source?: unknown[] | undefined }, field: string): Canonical[] {
  return (rule.source ?? []).map((range) => ({ [field]: range }));
}

/** All groups must hold, and in each group one condition. */
function policy(groups: Canonical[][], principals: Canonical[]): Canonical {
  const alternatives = groups
    .filter((group) => group.length > 0)
    .map((group) => (group.length === 1 ? group[0]! : { or_rules: { rules: group } }));
  const permissions =
    alternatives.length === 0
      ? [{ any: true }]
      : alternatives.length === 1
        ? alternatives
        : [{ and_rules: { rules: alternatives } }];
  return { permissions, principals: principals.length === 0 ? [{ any: true }] : principals };
}
