import type { Side } from '../policy.ts';
import { type CallGraph, callsInto } from './call-graph.ts';
import { type Closure, closureOf } from './network-policy.ts';
import { type Order, orderOf } from './ordering.ts';
import type { PlannedPolicy } from './planned-policy.ts';

/** A policy at one receiver: what is placed as a whole, at the receiver's ingress or at all senders' egress. */
export interface Placement {
  readonly policy: PlannedPolicy;
  readonly receiver: number;
  /** The calls that it is about; indices. */
  readonly calls: readonly number[];
  /** Who makes these calls. */
  readonly senders: readonly number[];
  /** Why a side is impossible; undefined where it is possible. */
  readonly refusal: { readonly [side in Side]: string | undefined };
  /** Both ends have a part of it. */
  readonly isBoth: boolean;
}

/** Two placements of one receiver that share a call. */
export interface Link extends Order {
  readonly first: number;
  readonly second: number;
}

/** The planner's question: where every placement goes. */
export interface PlanProblem {
  readonly graph: CallGraph;
  readonly placements: readonly Placement[];
  readonly links: readonly Link[];
  /** Whether the plan outlives the loss of any one ADM. */
  readonly survive: boolean;
  /** How a receiver can be closed to everybody who is not in the graph; a text says why it cannot. */
  readonly closures: ReadonlyMap<number, Closure | string>;
}

export interface ProblemOptions {
  readonly survive?: boolean;
}

/** Everything that has to be placed, with what binds it. */
export function planProblem(graph: CallGraph, options: ProblemOptions = {}): PlanProblem {
  const into = callsInto(graph);
  const closures = new Map<number, Closure | string>();
  const closure = (receiver: number): Closure | string => {
    const known = closures.get(receiver) ?? closureOf(graph, receiver, into[receiver]!);
    closures.set(receiver, known);
    return known;
  };
  const placements: Placement[] = [];
  const links: Link[] = [];
  const policiesOf = policiesByReceiver(graph);
  for (const [receiver, calls] of into.entries()) {
    const first = placements.length;
    for (const policy of policiesOf(receiver)) {
      const placement = placementOf(graph, policy, receiver, calls, () => closure(receiver));
      if (placement !== undefined) placements.push(placement);
    }
    linkPlacements(placements, first, links);
  }
  return { graph, placements, links, survive: options.survive ?? false, closures };
}

/** The services at which a policy may be about calls; undefined: all. */
export function receiversOf(
  { to, from }: PlannedPolicy,
  callees: readonly ReadonlySet<number>[],
): readonly number[] | undefined {
  if (from === undefined) return to;
  const called = new Set<number>();
  for (const sender of from) for (const callee of callees[sender]!) called.add(callee);
  return to === undefined ? [...called] : to.filter((one) => called.has(one));
}

/** Whom each service calls. */
export function calleesOf({ services, calls }: Pick<CallGraph, 'services' | 'calls'>): Set<number>[] {
  const callees = services.map(() => new Set<number>());
  for (const { from, to } of calls) callees[from]!.add(to);
  return callees;
}

/** The policies that are about calls into a service. */
function policiesByReceiver(graph: CallGraph): (receiver: number) => PlannedPolicy[] {
  const named = new Map<number, PlannedPolicy[]>();
  const everywhere: PlannedPolicy[] = [];
  const callees = calleesOf(graph);
  for (const policy of graph.policies) {
    const receivers = receiversOf(policy, callees);
    if (receivers === undefined) everywhere.push(policy);
    for (const receiver of receivers ?? []) {
      const there = named.get(receiver);
      if (there === undefined) named.set(receiver, [policy]);
      else there.push(policy);
    }
  }
  return (receiver) => [...(named.get(receiver) ?? []), ...everywhere];
}

/** The placements that could run at each service, at either end of their calls; indices. */
export function placementsByService({ graph, placements }: PlanProblem): number[][] {
  const found: number[][] = graph.services.map(() => []);
  for (const [index, { receiver, senders }] of placements.entries()) {
    found[receiver]!.push(index);
    for (const sender of senders) found[sender]!.push(index);
  }
  return found;
}

function placementOf(
  graph: CallGraph,
  policy: PlannedPolicy,
  receiver: number,
  into: readonly number[],
  closure: () => Closure | string,
): Placement | undefined {
  const from = policy.from === undefined ? undefined : new Set(policy.from);
  const calls = into.filter((call) => from === undefined || from.has(graph.calls[call]!.from));
  const senders = calls.map((call) => graph.calls[call]!.from);
  const { sides } = policy.semantics;
  // "Everywhere" means where a sidecar could be.
  if (policy.to === undefined && graph.services[receiver]!.external && sides !== 'sender' && sides !== 'either')
    return undefined;
  // A policy that names its receivers holds there whoever calls; one that is about nobody's calls holds nowhere.
  // What protects everybody protects those as well whom nobody in the graph calls.
  const { protects } = policy.semantics;
  const protectsAll =
    protects === 'security' || (protects === 'load' && graph.cluster.undeclaredCallers === 'possible');
  const isForAnybody =
    policy.to !== undefined || (protectsAll && sides !== 'sender' && policy.semantics.home === 'receiver');
  if (
    calls.length === 0 &&
    (from !== undefined || !isForAnybody || (policy.to === undefined && !graph.services[receiver]!.takesSidecar))
  )
    return undefined;
  const isBoth = sides === 'both';
  const refusal = {
    receiver: receiverRefusal(graph, policy, receiver, senders),
    sender: isBoth ? bothRefusal(graph, senders) : senderRefusal(graph, policy, receiver, senders, closure),
  };
  return { policy, receiver, calls, senders, refusal, isBoth };
}

/** Why a policy cannot be at the receiver's ingress. */
function receiverRefusal(
  graph: CallGraph,
  policy: PlannedPolicy,
  receiver: number,
  senders: readonly number[],
): string | undefined {
  const { name, external, takesSidecar } = graph.services[receiver]!;
  if (external) return `${name} is outside of the cluster`;
  if (!takesSidecar) return `${name} takes no sidecar`;
  return sideRefusal(policy, 'receiver') ?? stateRefusal(graph, policy, receiver, senders, 'receiver');
}

function sideRefusal({ name, side, semantics }: PlannedPolicy, wanted: Side): string | undefined {
  if (side !== undefined && side !== wanted) return `"${name}" is wanted at the ${side}'s side`;
  const { sides } = semantics;
  return sides === 'either' || sides === 'both' || sides === wanted ? undefined : semantics.because;
}

/** The senders' part of a policy with two: callers outside of the cluster bring their own. */
function bothRefusal({ services }: CallGraph, senders: readonly number[]): string | undefined {
  const bare = senders.find((sender) => !services[sender]!.external && !services[sender]!.takesSidecar);
  return bare === undefined ? undefined : `its caller ${services[bare]!.name} takes no sidecar`;
}

/** Why a policy cannot be at all senders' egress, or may not. */
function senderRefusal(
  graph: CallGraph,
  policy: PlannedPolicy,
  receiver: number,
  senders: readonly number[],
  closure: () => Closure | string,
): string | undefined {
  const { services, cluster } = graph;
  const refused = sideRefusal(policy, 'sender');
  if (refused !== undefined) return refused;
  const { name } = services[receiver]!;
  const bare = senders.map((sender) => services[sender]!).find(({ takesSidecar }) => !takesSidecar);
  if (bare !== undefined)
    return bare.external
      ? `${bare.name} calls from outside of the cluster`
      : `its caller ${bare.name} takes no sidecar`;
  const { protects, sides, home } = policy.semantics;
  if (senders.length === 0 && protects === 'nothing') return `nobody in the graph calls ${name}`;
  const kept = stateRefusal(graph, policy, receiver, senders, 'sender');
  if (kept !== undefined) return kept;
  // What restrains each sender by its nature was never to hold against others.
  if (protects === 'nothing' || sides === 'sender' || (home === 'sender' && protects === 'load')) return undefined;
  if (protects === 'load' && cluster.undeclaredCallers === 'none') return undefined;
  const closed = closure();
  return typeof closed === 'string' ? `callers outside of the graph would go around it: ${closed}` : undefined;
}

/** Local counters of several proxies are not one limit: such a policy stays where its writer has it. */
function stateRefusal(
  graph: CallGraph,
  policy: PlannedPolicy,
  receiver: number,
  senders: readonly number[],
  wanted: Side,
): string | undefined {
  const { state, home } = policy.semantics;
  if (state !== 'process' || (policy.side ?? home) === wanted) return undefined;
  if (processes(graph, senders) === 1 && processes(graph, [receiver]) === 1) return undefined;
  const count = wanted === 'sender' ? processes(graph, senders) : processes(graph, [receiver]);
  const proxies = count === 1 ? 'one proxy in place of several is another limit' : `${count} proxies are not one limit`;
  return `the state of "${policy.name}" is not shared, and ${proxies}`;
}

function processes({ services }: CallGraph, indices: readonly number[]): number {
  return indices.reduce((sum, index) => sum + services[index]!.replicas, 0);
}

/** Orders among the placements of one receiver, from `first` on. */
function linkPlacements(placements: readonly Placement[], first: number, links: Link[]): void {
  for (let a = first; a < placements.length; a++) {
    for (let b = first; b < placements.length; b++) {
      if (a === b) continue;
      const order = orderOf(placements[a]!.policy, placements[b]!.policy);
      if (
        order === undefined ||
        (order.rule === 'beside' && b < a && orderOf(placements[b]!.policy, placements[a]!.policy))
      )
        continue;
      if (!shareCalls(placements[a]!, placements[b]!)) continue;
      links.push({ ...order, first: a, second: b });
    }
  }
}

function shareCalls(a: Placement, b: Placement): boolean {
  if (a.calls.length === 0 || b.calls.length === 0) return true;
  const calls = new Set(a.calls);
  return b.calls.some((call) => calls.has(call));
}
