import { titleOf } from './file.ts';
import { type Canonical, type Fragments, type Policy, type PolicySemantics, SIDES, type Side } from './policy.ts';

/** One thing that a policy adds to a configuration. */
export interface Part {
  /** `HTTP filter`, `cluster field`, … */
  readonly what: string;
  readonly name: string;
  /** Names of its fields. */
  readonly fields: readonly string[];
  /** What the benchmark calls it; undefined where a request pays nothing for it. */
  readonly costs?: string;
}

/** What a policy is on one side, or why it is not. */
export interface OnSide {
  readonly side: Side;
  readonly refusal?: string;
  readonly parts: readonly Part[];
  readonly fragments?: Fragments;
}

export interface Explanation {
  readonly policy: string;
  readonly summary: string;
  readonly file: string;
  readonly line: number;
  readonly selector: Policy['selector'];
  readonly semantics: PolicySemantics;
  readonly sides: readonly OnSide[];
}

/** What a policy becomes; `side` restricts it to one. */
export function explainPolicy(policy: Policy, side?: Side): Explanation {
  const { kind, selector, file, line } = policy;
  const sides = SIDES.filter((one) => side === undefined || one === side).map((one) => onSide(policy, one));
  return { policy: titleOf(policy), summary: kind.summary, file, line, selector, semantics: kind.semantics, sides };
}

function onSide(policy: Policy, side: Side): OnSide {
  const refusal = policy.kind.refusal(policy.spec, side);
  if (refusal !== undefined) return { side, refusal: refusal.message, parts: [] };
  const fragments = policy.kind.compile(policy, side);
  return { side, parts: partsOf(fragments), fragments };
}

function partsOf(fragments: Fragments): Part[] {
  const { httpFilters = [], networkFilters = [], accessLogs = [], clusters = [], downstreamTls } = fragments;
  return [
    ...(downstreamTls === undefined ? [] : [tlsOfListener(downstreamTls)]),
    ...networkFilters.map(({ filter }) => filterPart('network filter (TCP)', filter.name, filter.typed_config)),
    ...httpFilters.map(({ filter }) => filterPart('HTTP filter', filter.name, filter.typed_config)),
    ...(fragments.scope === undefined
      ? []
      : [{ what: 'routes', name: 'virtual hosts out of scope are taken out', fields: [] }]),
    ...fieldParts('listener', fragments.listener),
    ...fieldParts('connection manager', fragments.manager),
    ...accessLogs.map(({ name, ...log }) => ({
      what: 'access log',
      name: String(name),
      fields: fieldsOf(log.typed_config),
      costs: 'access log',
    })),
    ...fieldParts('virtual host', fragments.virtualHost),
    ...fieldParts(clusterTitle(fragments.destinations), fragments.destination),
    ...clusters.map((cluster) => ({ what: 'new cluster', name: String(cluster.name), fields: fieldsOf(cluster) })),
    ...(fragments.limits === undefined
      ? []
      : [{ what: 'limits of the service', name: String(fragments.limits.domain), fields: ['descriptors'] }]),
  ];
}

function tlsOfListener({ isOptional, socket }: NonNullable<Fragments['downstreamTls']>): Part {
  return {
    what: isOptional ? 'TLS beside plain text' : 'TLS',
    name: String(socket.name),
    fields: fieldsOf(socket.typed_config),
    costs: 'TLS, receiver',
  };
}

function clusterTitle(names: readonly string[] | undefined): string {
  return names === undefined ? 'every cluster' : `cluster ${names.join(', ')}`;
}

function filterPart(what: string, name: string, config: Canonical): Part {
  const [, layer, filter] = /extensions\.filters\.(\w+)\.(\w+)\./.exec(String(config['@type'])) ?? [];
  return { what, name, fields: fieldsOf(config), costs: `envoy.filters.${layer}.${filter}` };
}

/** What a field costs each request, by the benchmark's name. */
const FIELD_COSTS: Readonly<Record<string, string>> = {
  tracing: 'tracing',
  transport_socket: 'TLS, both ends',
  retry_policy: 'retries',
  circuit_breakers: 'circuit breakers',
  outlier_detection: 'outlier detection',
};

function fieldParts(what: string, fields: Canonical | undefined): Part[] {
  return Object.entries(fields ?? {}).map(([name, value]) => {
    const costs = FIELD_COSTS[name];
    const typed = (value as { typed_config?: unknown } | undefined)?.typed_config ?? value;
    return { what, name, fields: fieldsOf(typed), ...(costs === undefined ? {} : { costs }) };
  });
}

function fieldsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.keys(value).filter((key) => key !== '@type' && key !== 'name');
}
