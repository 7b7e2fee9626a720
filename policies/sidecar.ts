import type * as v from 'valibot';
import {
  check,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  uint32,
} from '../src/config/schema/building-blocks.ts';
import type { TextMatcher } from '../src/config/sidecar/text-matcher.ts';
import { hostRules } from './host-match.ts';
import { type Canonical, type PolicyKind, typed } from './policy.ts';

const EgressEntry = message(
  {
    /** Names as requests address them, `reviews.shop.svc`, or `*.shop.svc`; a port in the request does not count. */
    hosts: optional(list(nonEmptyString()), []),
    ports: optional(list(uint32({ min: 1, max: 65535 })), []),
  },
  check((entry) =>
    entry.hosts.length === 0 && entry.ports.length === 0
      ? new Problem('says nothing', { allowed: 'hosts, ports, or both' })
      : undefined,
  ),
  check((entry) => {
    const odd = entry.hosts.findIndex((host) => !/^(\*|(\*\.)?[^*\s/:]+)$/.test(host));
    return odd < 0
      ? undefined
      : new Problem(`"${entry.hosts[odd]}" is not a host`, { path: ['hosts', odd], allowed: 'name, *.name or *' });
  }),
);
type EgressEntry = v.InferOutput<typeof EgressEntry>;

const Spec = message({ egress: list(EgressEntry, { min: 1 }) });
type Spec = v.InferOutput<typeof Spec>;

/** ② Sidecar configuration: what a workload may see. Table 2: in L4/L7 headers, out allow or deny, no state. */
export const sidecar: PolicyKind<Spec> = {
  kind: 'Sidecar',
  summary: 'the workload calls these services and no others',
  spec: Spec,
  semantics: {
    paper: 2,
    input: 'L4 and L7 headers',
    output: 'allow or deny',
    pure: true,
    state: { kept: 'none', what: '' },
    payload: 'none',
    placement: 'sender',
    usualSide: 'sender',
    granularity: 'function',
  },
  refusal: (_, side) =>
    side === 'sender'
      ? undefined
      : new Problem(
          'a sidecar scope cannot be enforced by the receiver: it narrows what one workload may call, and the receiver sees only the calls that reach it',
          {
            path: ['egress'],
            allowed: 'sender; at the receiver, an AuthorizationPolicy says who may call',
          },
        ),
  compile({ spec, metadata }) {
    const name = `${metadata.namespace}/${metadata.name}`;
    const policies = (rules: readonly Canonical[]): Canonical =>
      Object.fromEntries(
        rules.map((rule, index) => [`${name}/${index}`, { permissions: [rule], principals: [{ any: true }] }]),
      );
    const ports = spec.egress.filter(({ hosts }) => hosts.length === 0 || hosts.includes('*')).map(portsRule);
    return {
      scope: spec.egress.flatMap(({ hosts }) => (hosts.length === 0 ? ['*'] : hosts)),
      httpFilters: [
        {
          phase: 'scope',
          filter: {
            name: 'outrigger.policy.sidecar',
            typed_config: typed('envoy.extensions.filters.http.rbac.v3.RBAC', {
              rules: { action: 'ALLOW', policies: policies(spec.egress.map(entryRule)) },
              rules_stat_prefix: 'sidecar_',
            }),
          },
        },
      ],
      // Bytes have no host: behind a TCP proxy only the entries without one can let them pass.
      networkFilters: [
        {
          phase: 'scope',
          filter: {
            name: 'outrigger.policy.sidecar',
            typed_config: typed('envoy.extensions.filters.network.rbac.v3.RBAC', {
              stat_prefix: 'sidecar_',
              rules: { action: 'ALLOW', policies: policies(ports) },
            }),
          },
        },
      ],
    };
  },
};

function entryRule(entry: EgressEntry): Canonical {
  const parts = [
    ...(entry.hosts.length === 0 ? [] : [anyOf(entry.hosts.flatMap((host) => hostRules(textOf(host))))]),
    ...(entry.ports.length === 0 ? [] : [portsRule(entry)]),
  ];
  return parts.length === 1 ? parts[0]! : { and_rules: { rules: parts } };
}

function portsRule({ ports }: EgressEntry): Canonical {
  return ports.length === 0 ? { any: true } : anyOf(ports.map((destination_port) => ({ destination_port })));
}

function textOf(host: string): TextMatcher {
  if (host === '*') return { present: true };
  return host.startsWith('*') ? { suffix: host.slice(1) } : { exact: host };
}

function anyOf(rules: readonly Canonical[]): Canonical {
  return rules.length === 1 ? rules[0]! : { or_rules: { rules } };
}
