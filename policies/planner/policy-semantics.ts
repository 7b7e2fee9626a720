import { POLICY_KINDS } from '../index.ts';
import type { Policy, PolicyKind, Side } from '../policy.ts';
import type { PlanningSemantics, Protection, Stage } from './planned-policy.ts';

/** What each kind protects, and when it runs: scope, authentication, authorisation, limits. */
const ROLES: Readonly<Record<string, readonly [Protection, Stage]>> = {
  RequestAuthentication: ['security', 'authentication'],
  Sidecar: ['security', 'other'],
  AuthorizationPolicy: ['security', 'authorization'],
  RateLimit: ['load', 'limit'],
  Tracing: ['nothing', 'other'],
  AccessLog: ['nothing', 'other'],
  PeerAuthentication: ['security', 'authentication'],
  RetryPolicy: ['nothing', 'other'],
  CircuitBreaker: ['load', 'other'],
};

/** The semantics of one of the nine kinds, narrowed by what its spec says. */
export function semanticsOf(kind: PolicyKind, policy: Policy | undefined, shared: boolean): PlanningSemantics {
  const { semantics } = kind;
  const [protects, stage] = ROLES[kind.kind]!;
  const [sides, because] = sidesOf(kind, policy);
  return {
    sides,
    because,
    state: semantics.state.kept === 'process' && shared ? 'mesh' : stateOf(kind),
    home: semantics.usualSide,
    payload: semantics.payload !== 'none',
    protects,
    stage,
    needsClaims: policy !== undefined && readsClaims(policy),
    isAllow: isAllow(kind, policy),
  };
}

export function findKind(name: string): PolicyKind | undefined {
  return POLICY_KINDS.find(({ kind }) => kind === name);
}

/** A retry's state is its own sender's affair, which no other side could have. */
function stateOf({ semantics }: PolicyKind): PlanningSemantics['state'] {
  return semantics.placement === 'either' ? semantics.state.kept : 'none';
}

function sidesOf(kind: PolicyKind, policy: Policy | undefined): [PlanningSemantics['sides'], string] {
  const { placement } = kind.semantics;
  if (placement === 'both') return ['both', 'has a part at each end of a connection'];
  if (placement !== 'either') return [placement, `it is for the ${placement}'s side only`];
  if (policy === undefined) return ['either', ''];
  for (const side of ['sender', 'receiver'] as const) {
    const refusal = kind.refusal(policy.spec, side) ?? seesElsewhere(kind, policy, side);
    if (refusal === undefined) continue;
    const other: Side = side === 'sender' ? 'receiver' : 'sender';
    return [other, refusal.message];
  }
  return ['either', ''];
}

interface LimitSpec {
  readonly limits: readonly { readonly by: readonly Readonly<Record<string, unknown>>[] }[];
}

interface RulesSpec {
  readonly rules?: readonly {
    readonly from?: readonly { readonly source?: Readonly<Record<string, unknown>> }[];
    readonly to?: readonly { readonly operation?: Readonly<Record<string, unknown>> }[];
    readonly when?: readonly { readonly key?: unknown }[];
  }[];
}

/** What a proxy at the other end sees differently: it can be enforced there, and would mean something else. */
function seesElsewhere(kind: PolicyKind, policy: Policy, side: Side): { message: string } | undefined {
  if (side !== 'sender') return undefined;
  if (kind.kind === 'RateLimit') {
    const { limits } = policy.spec as LimitSpec;
    const told = ['client_address', 'destination', 'source'].find((key) =>
      limits.some(({ by }) => by.some((part) => part[key] !== undefined && part[key] !== false)),
    );
    if (told !== undefined) return { message: `${told.replace('_', ' ')} is another one there` };
  }
  if (kind.kind === 'AuthorizationPolicy') {
    const { rules = [] } = policy.spec as RulesSpec;
    const ports = rules.some(({ to = [] }) => to.some(({ operation = {} }) => given(operation, 'ports', 'not_ports')));
    if (ports) return { message: 'its own listeners have other ports' };
  }
  return undefined;
}

function given(record: Readonly<Record<string, unknown>>, ...keys: string[]): boolean {
  return keys.some((key) => Array.isArray(record[key]) && (record[key] as unknown[]).length > 0);
}

/** Claims are known in the proxy that verified the token, and are not handed on. */
function readsClaims({ kind, spec }: Policy): boolean {
  if (kind.kind === 'RateLimit')
    return (spec as LimitSpec).limits.some(({ by }) => by.some((part) => part.claim !== undefined));
  if (kind.kind !== 'AuthorizationPolicy') return false;
  return ((spec as RulesSpec).rules ?? []).some(
    ({ from = [], when = [] }) =>
      from.some(({ source = {} }) => given(source, 'request_principals', 'not_request_principals')) ||
      when.some(({ key }) => String(key).startsWith('request.auth.')),
  );
}

/** One of all ALLOW policies must hold, which only the proxy that has all of them can tell. */
function isAllow(kind: PolicyKind, policy: Policy | undefined): boolean {
  return kind.kind === 'AuthorizationPolicy' && (policy?.spec as { action?: string } | undefined)?.action !== 'DENY';
}
