import { readSidecar } from '../../src/config/sidecar/index.ts';
import { applyPolicies } from '../apply.ts';
import { chainsOf, listAt, mapAt } from '../bootstrap-parts.ts';
import { MergeError } from '../merge.ts';
import type { Canonical, Policy, Side } from '../policy.ts';
import type { Call } from './call-graph.ts';
import { type Assignment, runsAt } from './load.ts';
import { inOrder, orderOf } from './ordering.ts';
import type { PlannedPolicy } from './planned-policy.ts';
import type { PlanProblem } from './problem.ts';

/** The graph does not say enough, or says what a sidecar cannot do, to make files of a plan. */
export class CompileError extends Error {
  override name = 'CompileError';
}

/** What a plan becomes: a configuration for each ADM, and where each caller's app finds whom it calls. */
export interface CompiledPlan {
  /** In Envoy's form, by service. */
  readonly sidecars: ReadonlyMap<string, Canonical>;
  readonly addresses: readonly CallAddress[];
}

/** What a caller's app connects to. */
export interface CallAddress {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

/** First port of a sidecar's own listeners for calls without `via`. */
const FIRST_EGRESS_PORT = 15100;

export interface CompileOptions {
  /** All traffic passes the sidecars of both ends, as in a full mesh, whether a policy is about it or not. */
  readonly everything?: boolean;
}

/** @throws CompileError */
export function compilePlan(
  problem: PlanProblem,
  assignment: Assignment,
  { everything = false }: CompileOptions = {},
): CompiledPlan {
  const { graph } = problem;
  const running = runningByCall(problem, assignment, everything);
  const sidecars = new Map<string, Canonical>();
  const vias = egressAddresses(problem);
  for (const adm of [...assignment.adms].sort((a, b) => a - b)) {
    const listeners = [...inbound(problem, running, assignment, adm), ...outbound(problem, running, adm, vias)];
    // A standby has no traffic of its own: its file comes with the loss that it is for.
    if (listeners.length > 0) sidecars.set(graph.services[adm]!.name, bootstrap(graph.services[adm]!.name, listeners));
  }
  const addresses = graph.calls.map((call, index) => ({
    from: graph.services[call.from]!.name,
    to: graph.services[call.to]!.name,
    address: running.passes(index, 'sender') ? vias[index]! : entryOf(problem, running, index),
  }));
  return { sidecars, addresses };
}

interface Running {
  /** Policies of each call by the end at which they run. */
  readonly sender: readonly PlannedPolicy[][];
  readonly receiver: readonly PlannedPolicy[][];
  /** Whether the traffic of a call passes the sidecar at this end. */
  readonly passes: (call: number, side: Side) => boolean;
}

function runningByCall({ graph, placements }: PlanProblem, { sides, adms }: Assignment, everything: boolean): Running {
  const at = {
    sender: graph.calls.map((): PlannedPolicy[] => []),
    receiver: graph.calls.map((): PlannedPolicy[] => []),
  };
  const hasAdm = (call: number, side: Side): boolean => {
    const { from, to } = graph.calls[call]!;
    return adms.has(side === 'sender' ? from : to);
  };
  for (const [index, placement] of placements.entries()) {
    for (const side of ['sender', 'receiver'] as const) {
      if (!runsAt(placement, side, sides[index]!)) continue;
      for (const call of placement.calls) if (hasAdm(call, side)) at[side][call]!.push(placement.policy);
    }
  }
  // An app that some callers reach past its ADM is one that all can reach so.
  const guarded = new Set(
    placements.flatMap((one, index) =>
      runsAt(one, 'receiver', sides[index]!) && one.policy.semantics.protects !== 'nothing' ? [one.receiver] : [],
    ),
  );
  const passes = (call: number, side: Side): boolean => {
    if (!hasAdm(call, side)) return false;
    return everything || at[side][call]!.length > 0 || (side === 'receiver' && guarded.has(graph.calls[call]!.to));
  };
  return { ...at, passes };
}

function needed(problem: PlanProblem, service: number, field: 'app' | 'listen'): string {
  const { name, [field]: address } = problem.graph.services[service]!;
  if (address !== undefined) return address;
  const meaning = field === 'app' ? 'the address of its app' : 'where its sidecar listens for callers';
  throw new CompileError(`services.${name}.${field} is needed for sidecar files: ${meaning}`);
}

/** Where calls enter the receiver: at its sidecar if a policy runs there, else at the app. */
function entryOf(problem: PlanProblem, running: Running, call: number): string {
  const { to } = problem.graph.calls[call]!;
  if (!running.passes(call, 'receiver')) return needed(problem, to, 'app');
  const listen = needed(problem, to, 'listen');
  if (!/^(0\.0\.0\.0|\[::\]):/.test(listen)) return listen;
  // A sidecar that listens at all addresses is found by its service's name.
  const { name } = problem.graph.services[to]!;
  if (!HOST_NAME.test(name))
    throw new CompileError(
      `services.${name}.listen is all addresses, and callers cannot find it by its name, which is no host's; give one address`,
    );
  return `${name}${listen.slice(listen.lastIndexOf(':'))}`;
}

/** As resolvers take them: with _, which RFC 1123 leaves out. */
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?)*$/;

/** Where each call's caller finds its own sidecar: as `via` says, or at a port that nothing else of this caller has. */
function egressAddresses({ graph }: PlanProblem): string[] {
  const taken = graph.services.map(({ app, listen }) => new Set([portOf(app), portOf(listen)]));
  for (const { from, via } of graph.calls) taken[from]!.add(portOf(via));
  const next = new Map<number, number>();
  return graph.calls.map(({ from, via }) => {
    if (via !== undefined) return via;
    let port = next.get(from) ?? FIRST_EGRESS_PORT;
    while (taken[from]!.has(port)) port++;
    next.set(from, port + 1);
    return `127.0.0.1:${port}`;
  });
}

function portOf(address: string | undefined): number {
  return Number(address?.slice(address.lastIndexOf(':') + 1));
}

/** @throws CompileError when two listeners of a sidecar have one address */
function refuseSharedAddress(service: string, listeners: readonly Listener[]): void {
  const names = new Map<string, string>();
  for (const { name, listen, source } of listeners) {
    if (source !== undefined) continue;
    const other = names.get(listen);
    if (other !== undefined)
      throw new CompileError(`the sidecar of ${service} cannot be made: ${other} and ${name} both listen at ${listen}`);
    names.set(listen, name);
  }
}

/** One listener of a sidecar, or one filter chain of it. */
interface Listener {
  readonly name: string;
  readonly listen: string;
  readonly app: string;
  readonly side: Side;
  readonly policies: readonly PlannedPolicy[];
  /** Only for connections from these addresses; undefined: from everywhere. */
  readonly source?: readonly string[];
}

/** What comes in. Calls with other policies than the rest are told by their source; everybody else gets all policies. */
function inbound(problem: PlanProblem, running: Running, { sides }: Assignment, adm: number): Listener[] {
  const { graph, placements } = problem;
  const all = placements.flatMap((placement, index) =>
    placement.receiver === adm && runsAt(placement, 'receiver', sides[index]!) ? [placement.policy] : [],
  );
  const isPassed = graph.calls.some(({ to }, index) => to === adm && running.passes(index, 'receiver'));
  if (all.length === 0 && !isPassed) return [];
  const [listen, app] = [needed(problem, adm, 'listen'), needed(problem, adm, 'app')];
  const groups = new Map<string, number[]>();
  for (const [index, { to }] of graph.calls.entries()) {
    const policies = running.receiver[index]!;
    if (to !== adm || policies.length === all.length || !running.passes(index, 'receiver')) continue;
    const key = policies.map(({ name }) => name).join();
    groups.set(key, [...(groups.get(key) ?? []), index]);
  }
  const special = Array.from(groups.values(), (calls, position): Listener => {
    const source = calls.flatMap((call) => {
      const { name, source: ranges } = graph.services[graph.calls[call]!.from]!;
      if (ranges.length > 0) return ranges;
      const other = all.find((policy) => !running.receiver[call]!.includes(policy))!;
      const hint = `"${other.name}" is not about ${name}, which ${graph.services[adm]!.name} can tell by its addresses alone`;
      throw new CompileError(`services.${name}.source is needed for sidecar files: ${hint}`);
    });
    return {
      name: `inbound-${position + 1}`,
      listen,
      app,
      side: 'receiver',
      policies: running.receiver[calls[0]!]!,
      source,
    };
  });
  return [{ name: 'inbound', listen, app, side: 'receiver', policies: all }, ...special];
}

/** What goes out: a listener for each service whose calls have policies here. */
function outbound(problem: PlanProblem, running: Running, adm: number, vias: readonly string[]): Listener[] {
  return problem.graph.calls.flatMap(({ from, to }: Call, index) => {
    const policies = running.sender[index]!;
    if (from !== adm || !running.passes(index, 'sender')) return [];
    const name = `to-${problem.graph.services[to]!.name}`;
    return [{ name, listen: vias[index]!, app: entryOf(problem, running, index), side: 'sender', policies }];
  });
}

function bootstrap(service: string, listeners: readonly Listener[]): Canonical {
  refuseSharedAddress(service, listeners);
  const entries = listeners.map(({ name, listen, app, policies, source }) => ({
    name,
    // Chains of one listener are put together below; until then each needs an address of its own.
    listen: source === undefined ? listen : `127.0.0.1:${1 + listeners.findIndex((one) => one.name === name)}`,
    app,
    filters: inOrder(policies).flatMap(({ filters = [] }) => filters),
  }));
  const read = readSidecar({ node: { id: service, cluster: service }, listeners: entries });
  if ('findings' in read) {
    const [{ path, message }] = read.findings as [(typeof read.findings)[number]];
    const name = listeners[Number(path[1])]?.policies.map((policy) => policy.name).join(', ');
    throw new CompileError(`the sidecar of ${service} cannot be made: ${path.join('.')} ${message} (policies ${name})`);
  }
  let canonical = read.bootstrap as Canonical;
  for (const listener of listeners) canonical = withPolicies(canonical, service, listener);
  return joinChains(canonical, listeners);
}

function withPolicies(canonical: Canonical, service: string, { name, side, policies }: Listener): Canonical {
  const sorted = inOrder(policies);
  for (const [position, first] of sorted.entries()) {
    const second = sorted
      .slice(position + 1)
      .find((one) => rankOf(one) < rankOf(first) && orderOf(first, one) !== undefined);
    if (second === undefined || orderOf(first, second)?.rule !== 'before') continue;
    const hint = 'one sidecar runs scope, authentication, authorization, limits, then filters of Custom policies';
    throw new CompileError(`"${second.name}" cannot come after "${first.name}" at ${service}: ${hint}`);
  }
  const documents = sorted.flatMap((policy) => {
    if (policy.filters !== undefined) return [];
    if (policy.document !== undefined) return [towards(policy.document, `${name}-app`)];
    const lacks = policy.kind === 'Custom' ? 'filters' : 'spec';
    throw new CompileError(
      `"${policy.name}" (${policy.place}) has no ${lacks}, so it cannot be put into a sidecar file`,
    );
  });
  if (documents.length === 0) return canonical;
  try {
    return applyPolicies(canonical, documents, { side, listeners: [name] }).bootstrap;
  } catch (error) {
    if (error instanceof MergeError)
      throw new CompileError(`the sidecar of ${service} cannot be made: ${error.message}`);
    throw error;
  }
}

/** Where a policy's filters stand in one sidecar (`PHASES`), whatever the order in which they are given. */
function rankOf({ kind, filters }: PlannedPolicy): number {
  const ranks = ['Sidecar', 'RequestAuthentication', 'AuthorizationPolicy', 'RateLimit'];
  return filters === undefined ? ranks.indexOf(kind) : ranks.length;
}

/** Policies about clusters are about that of this listener only. */
function towards(policy: Policy, cluster: string): Policy {
  const isAboutClusters = ['CircuitBreaker', 'PeerAuthentication'].includes(policy.kind.kind);
  return isAboutClusters ? { ...policy, spec: { ...(policy.spec as object), destinations: [cluster] } } : policy;
}

/** Puts the chains of callers that are told by source into the first listener. */
function joinChains(canonical: Canonical, listeners: readonly Listener[]): Canonical {
  const resources = mapAt(canonical, 'static_resources');
  const made = listAt(resources, 'listeners');
  const [first] = made;
  for (const { name, source } of listeners) {
    if (source === undefined) continue;
    const own = made.find((listener) => listener.name === name)!;
    for (const chain of chainsOf(own)) {
      const match = mapAt(chain, 'filter_chain_match');
      match.source_prefix_ranges = source.map((range) => {
        const [address_prefix, length] = range.split('/');
        return { address_prefix, prefix_len: Number(length ?? (range.includes(':') ? 128 : 32)) };
      });
      listAt(first!, 'filter_chains').push(chain);
    }
  }
  const extra = new Set(listeners.flatMap(({ name, source }) => (source === undefined ? [] : [name])));
  resources.listeners = made.filter(({ name }) => !extra.has(String(name)));
  return canonical;
}
