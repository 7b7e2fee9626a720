import type { Side } from '../policy.ts';
import { fullMesh, oneSided } from './baseline.ts';
import { constraintsOf } from './constraints.ts';
import type { CostProfile } from './cost-profile.ts';
import { explainAdm, explainPlacement } from './explanation.ts';
import { callGroups, type Load, loadOf, runsAt } from './load.ts';
import { type NetworkPolicy, networkPolicy } from './network-policy.ts';
import type { Optimum, Proof } from './optimize.ts';
import { inOrder } from './ordering.ts';
import type { Objective } from './placement-program.ts';
import { type Placement, type PlanProblem, placementsByService } from './problem.ts';

/** What `--json` and `plan.json` carry; fields are only ever added. */
export const PLAN_SCHEMA = 'outrigger.plan/1';

/** A plan by names, as people and programs read it. */
export interface Plan {
  readonly schema: typeof PLAN_SCHEMA;
  readonly objective: Objective;
  readonly survive: boolean;
  /** Of the graph: an ADM at one that is here is a move for the next plan, whether or not a policy is about it. */
  readonly services: readonly string[];
  readonly proof: {
    /** ADMs: how many, and that there cannot be fewer than `bound`. */
    readonly adms: Proof;
    readonly moves: Proof | undefined;
    /** Of the objective: cores, cores of the busiest sidecar, or µs of latency per request. */
    readonly cost: Proof;
    readonly elapsedMs: number;
  };
  readonly adms: readonly PlannedAdm[];
  readonly placements: readonly PlannedPlacement[];
  readonly skips: readonly SkippedCall[];
  readonly networkPolicies: readonly NetworkPolicy[];
  readonly comparison: readonly Comparison[];
  readonly costs: { readonly source: string; readonly notes: readonly string[] };
  readonly warnings: readonly string[];
  /** What changes against the previous plan. */
  readonly changes: readonly string[] | undefined;
}

export interface PlannedAdm {
  readonly service: string;
  readonly replicas: number;
  /** Of all its replicas, cores. */
  readonly cpuCores: number;
  readonly why: string;
  /** In the order in which a request meets them. */
  readonly policies: readonly AdmPolicy[];
}

export interface AdmPolicy {
  readonly policy: string;
  /** `ingress`: on calls into the service; `egress`: on its calls to `peers`. */
  readonly direction: 'ingress' | 'egress';
  /** The other ends of the calls; empty: whoever calls. */
  readonly peers: readonly string[];
  /** Ready, and used only while another ADM is lost. */
  readonly standby: boolean;
}

export interface PlannedPlacement {
  readonly policy: string;
  readonly kind: string;
  readonly receiver: string;
  readonly senders: readonly string[];
  readonly side: Side | 'both';
  /** Where it runs. */
  readonly at: readonly string[];
  readonly standby: readonly string[];
  readonly why: string;
}

/** A call whose traffic goes past the ADMs that are there. */
export interface SkippedCall {
  readonly from: string;
  readonly to: string;
  /** Whose sidecar it does not pass, although there is one. */
  readonly past: readonly string[];
}

export interface Comparison extends Omit<Load, 'coresOf'> {
  readonly name: string;
}

/** Everything that follows from an optimum. */
export function planOf(problem: PlanProblem, profile: CostProfile, objective: Objective, optimum: Optimum): Plan {
  const { graph, placements } = problem;
  const { assignment } = optimum;
  const groups = callGroups(problem);
  const load = loadOf(problem, groups, profile, assignment);
  const described = placements.map((_, index) => describePlacement(problem, index, objective, optimum));
  const byService = placementsByService(problem);
  const scale = objective === 'latency' ? 1 / Math.max(1e-9, requestRate(problem)) : 1e-6;
  return {
    schema: PLAN_SCHEMA,
    objective,
    survive: problem.survive,
    services: graph.services.map(({ name }) => name),
    proof: {
      adms: optimum.adms,
      moves: optimum.moves,
      cost: { ...optimum.cost, value: optimum.cost.value * scale, bound: optimum.cost.bound * scale },
      elapsedMs: optimum.elapsedMs,
    },
    adms: [...assignment.adms]
      .sort((a, b) => a - b)
      .map((adm) => ({
        service: graph.services[adm]!.name,
        replicas: graph.services[adm]!.replicas,
        cpuCores: load.coresOf.get(adm) ?? 0,
        why: explainAdm(problem, assignment, adm, byService[adm]!),
        policies: policiesAt(problem, optimum, adm, byService[adm]!),
      })),
    placements: described,
    skips: skippedCalls(problem, optimum),
    networkPolicies: closures(problem, optimum),
    comparison: comparison(problem, profile, load),
    costs: { source: profile.source, notes: profile.notes },
    warnings: warningsOf(problem, optimum),
    changes: undefined,
  };
}

function requestRate({ graph }: PlanProblem): number {
  return graph.calls.reduce((sum, { rate }) => sum + rate, 0);
}

function describePlacement(
  problem: PlanProblem,
  index: number,
  objective: Objective,
  optimum: Optimum,
): PlannedPlacement {
  const { assignment } = optimum;
  const side = assignment.sides[index]!;
  const name = (service: number): string => problem.graph.services[service]!.name;
  const placement = problem.placements[index]!;
  const { policy, receiver, senders, isBoth } = placement;
  const ends = { receiver: [receiver], sender: senders.filter((one) => problem.graph.services[one]!.takesSidecar) };
  const at = isBoth ? [...ends.receiver, ...ends.sender] : ends[side];
  return {
    policy: policy.name,
    kind: policy.kind,
    receiver: name(receiver),
    senders: senders.map(name),
    side: isBoth ? 'both' : side,
    at: at.map(name),
    standby: standbyOf(problem, placement, side, assignment.adms).map(name),
    why: explainPlacement(problem, optimum, index, objective),
  };
}

/** Who takes over when an ADM of the chosen side is lost: the other side, where one replica is all there is. */
export function standbyOf(
  { graph, survive }: PlanProblem,
  { policy, receiver, senders, refusal, isBoth }: Placement,
  side: Side,
  adms: ReadonlySet<number>,
): number[] {
  if (!survive || isBoth || policy.semantics.protects === 'nothing') return [];
  const chosen = side === 'receiver' ? [receiver] : senders;
  if (chosen.every((one) => graph.services[one]!.replicas > 1)) return [];
  const other: Side = side === 'receiver' ? 'sender' : 'receiver';
  if (refusal[other] !== undefined) return [];
  return (side === 'receiver' ? [...senders] : [receiver]).filter((one) => adms.has(one));
}

/** `near`: the placements that could run at this service. */
function policiesAt(problem: PlanProblem, { assignment }: Optimum, adm: number, near: readonly number[]): AdmPolicy[] {
  const { graph, placements } = problem;
  const name = (service: number): string => graph.services[service]!.name;
  const found: { placement: Placement; entry: AdmPolicy }[] = [];
  for (const index of near) {
    const placement = placements[index]!;
    const side = assignment.sides[index]!;
    const isStandby = standbyOf(problem, placement, side, assignment.adms).includes(adm);
    for (const [direction, end] of [
      ['egress', 'sender'],
      ['ingress', 'receiver'],
    ] as const) {
      const isHere = end === 'receiver' ? placement.receiver === adm : placement.senders.includes(adm);
      const isRunning = runsAt(placement, end, side);
      if (!isHere || !(isRunning || isStandby)) continue;
      const callers = placement.policy.from === undefined ? [] : placement.senders.map(name);
      const peers = end === 'sender' ? [name(placement.receiver)] : callers;
      found.push({ placement, entry: { policy: placement.policy.name, direction, peers, standby: !isRunning } });
    }
  }
  const sorted = inOrder([...new Set(found.map(({ placement }) => placement.policy))]);
  const order = new Map(sorted.map((policy, position) => [policy, position]));
  return found
    .sort((a, b) => order.get(a.placement.policy)! - order.get(b.placement.policy)!)
    .map(({ entry }) => entry);
}

function skippedCalls(problem: PlanProblem, { assignment }: Optimum): SkippedCall[] {
  const { graph, placements } = problem;
  const passed = { sender: new Set<number>(), receiver: new Set<number>() };
  const guarded = new Set<number>();
  for (const [index, placement] of placements.entries()) {
    for (const side of ['sender', 'receiver'] as const) {
      if (!runsAt(placement, side, assignment.sides[index]!)) continue;
      for (const call of placement.calls) passed[side].add(call);
      if (side === 'receiver' && placement.policy.semantics.protects !== 'nothing') guarded.add(placement.receiver);
    }
  }
  // Nobody goes past what protects a receiver.
  for (const [call, { to }] of graph.calls.entries()) if (guarded.has(to)) passed.receiver.add(call);
  return graph.calls.flatMap(({ from, to }, call) => {
    const past = [
      ...(assignment.adms.has(from) && !passed.sender.has(call) ? [from] : []),
      ...(assignment.adms.has(to) && !passed.receiver.has(call) ? [to] : []),
    ];
    const name = (service: number): string => graph.services[service]!.name;
    const isPlain = !passed.sender.has(call) && !passed.receiver.has(call);
    return past.length === 0 && !isPlain ? [] : [{ from: name(from), to: name(to), past: past.map(name) }];
  });
}

/** Receivers that what protects them has left are closed to everybody but their declared callers. */
function closures(problem: PlanProblem, { assignment }: Optimum): NetworkPolicy[] {
  const receivers = new Set<number>();
  for (const [index, placement] of problem.placements.entries()) {
    const { policy, receiver, isBoth } = placement;
    const side = assignment.sides[index]!;
    if (isBoth || policy.semantics.protects === 'nothing') continue;
    // While a standby of the senders acts, callers reach the receiver's app as they would with the policy there.
    const mayMove = side === 'sender' || (problem.survive && placement.refusal.sender === undefined);
    if (mayMove) receivers.add(receiver);
  }
  return [...receivers].flatMap((receiver) => {
    const closure = problem.closures.get(receiver);
    return closure === undefined || typeof closure === 'string' ? [] : [networkPolicy(problem.graph, closure)];
  });
}

function comparison(problem: PlanProblem, profile: CostProfile, load: Load): Comparison[] {
  const constraints = constraintsOf({ ...problem, survive: false });
  const groups = callGroups(problem);
  const row = (name: string, { coresOf: _, ...rest }: Load): Comparison => ({ name, ...rest });
  return [
    row('full mesh', loadOf(problem, groups, profile, fullMesh(problem, constraints), true)),
    row('receivers', loadOf(problem, groups, profile, oneSided(problem, constraints, 'receiver'))),
    row('senders', loadOf(problem, groups, profile, oneSided(problem, constraints, 'sender'))),
    row('plan', load),
  ];
}

function warningsOf({ graph, placements }: PlanProblem, { assignment }: Optimum): string[] {
  const warnings: string[] = [];
  const trusting = placements.filter(
    ({ policy, isBoth }, index) =>
      !isBoth &&
      assignment.sides[index] === 'sender' &&
      policy.semantics.protects === 'load' &&
      policy.semantics.sides === 'either',
  );
  if (graph.cluster.undeclaredCallers === 'none' && graph.cluster.networkPolicies === 'absent' && trusting.length > 0) {
    const names = [...new Set(trusting.map(({ policy }) => policy.name))].join(', ');
    warnings.push(`undeclared_callers: none is taken at its word: whoever calls all the same goes around ${names}`);
  }
  const placed = new Set(placements.map(({ policy }) => policy));
  const idle = graph.policies.filter((policy) => !placed.has(policy));
  for (const { name, place } of idle)
    warnings.push(`"${name}" (${place}) is about no call of the graph and runs nowhere`);
  return warnings;
}
