import type { Side } from '../policy.ts';
import { type CostProfile, costOfPolicy } from './cost-profile.ts';
import type { Placement, PlanProblem } from './problem.ts';

/** Calls of one receiver that the same placements are about: their traffic passes the same sidecars. */
export interface CallGroup {
  readonly receiver: number;
  readonly calls: readonly number[];
  /** Indices of placements. */
  readonly placements: readonly number[];
  /** What protects the receiver, for whomever: while one of these is there, all calls pass it, or callers could go around. */
  readonly guards: readonly number[];
  /** Requests per second. */
  readonly rate: number;
}

/** Calls by receiver and by what is about them; calls to receivers without any policy are in none. */
export function callGroups({ graph, placements }: PlanProblem): CallGroup[] {
  const about: number[][] = graph.calls.map(() => []);
  const guards = new Map<number, number[]>();
  for (const [index, { calls, receiver, policy }] of placements.entries()) {
    for (const call of calls) about[call]!.push(index);
    if (policy.semantics.protects !== 'nothing') guards.set(receiver, [...(guards.get(receiver) ?? []), index]);
  }
  const groups = new Map<string, number[]>();
  for (const [call, { to }] of graph.calls.entries()) {
    if (about[call]!.length === 0 && !guards.has(to)) continue;
    const key = `${to}: ${about[call]!.join()}`;
    const there = groups.get(key);
    if (there === undefined) groups.set(key, [call]);
    else there.push(call);
  }
  return Array.from(groups.values(), (calls) => {
    const receiver = graph.calls[calls[0]!]!.to;
    return {
      receiver,
      calls,
      placements: about[calls[0]!]!,
      guards: guards.get(receiver) ?? [],
      rate: calls.reduce((sum, call) => sum + graph.calls[call]!.rate, 0),
    };
  });
}

/** A side of every placement, and who has an ADM. */
export interface Assignment {
  readonly adms: ReadonlySet<number>;
  /** By placement; a placement with a part at both ends is at both whatever stands here. */
  readonly sides: readonly Side[];
}

/** Whether a placement's policy runs at this end of its calls. */
export function runsAt({ isBoth }: Placement, side: Side, chosen: Side): boolean {
  return isBoth || side === chosen;
}

/** What all sidecars together cost, and each of them. */
export interface Load {
  /** Sidecars by service, and processes: one per replica. */
  readonly adms: number;
  readonly processes: number;
  readonly cpuCores: number;
  readonly memoryMiB: number;
  /** Mean over all requests of the graph, µs. */
  readonly latencyMicros: number;
  /** Cores of all replicas' sidecars, by service that has one. */
  readonly coresOf: ReadonlyMap<number, number>;
  /** Of the busiest replica's sidecar, cores. */
  readonly busiestCores: number;
}

const MICROS = 1_000_000;

/** Whether requests of a call group pass a sidecar at an end. */
export type Passes = (group: CallGroup, side: Side) => boolean;

/** The cost of an assignment. Unless told otherwise, traffic passes a sidecar where a policy of it runs. */
export function loadOf(
  problem: PlanProblem,
  groups: readonly CallGroup[],
  profile: CostProfile,
  assignment: Assignment,
  everything = false,
): Load {
  const { graph, placements } = problem;
  const coresOf = new Map<number, number>(Array.from(assignment.adms, (adm) => [adm, 0]));
  const policiesAt = carriedPolicies(problem, assignment);
  let latencyRate = 0;
  const add = (service: number, cores: number): void => {
    if (coresOf.has(service)) coresOf.set(service, coresOf.get(service)! + cores);
  };
  const grouped = new Set<number>();
  for (const group of groups) {
    const isGuarded = group.guards.some((one) => runsAt(placements[one]!, 'receiver', assignment.sides[one]!));
    for (const side of ['sender', 'receiver'] as const) {
      const running = group.placements.filter((one) => runsAt(placements[one]!, side, assignment.sides[one]!));
      for (const call of group.calls) {
        grouped.add(call);
        const { from, to, rate, bodyKiB } = graph.calls[call]!;
        const end = side === 'sender' ? from : to;
        const isPassed = coresOf.has(end) && (everything || running.length > 0 || (side === 'receiver' && isGuarded));
        if (!isPassed) continue;
        let { cpuMicros, latencyMicros } = profile.pass;
        for (const one of running) {
          const cost = costOfPolicy(profile, placements[one]!.policy, side, bodyKiB);
          cpuMicros += cost.cpuMicros;
          latencyMicros += cost.latencyMicros;
        }
        add(end, (cpuMicros * rate) / MICROS);
        latencyRate += latencyMicros * rate;
      }
    }
  }
  if (everything) latencyRate += passRest(problem, profile, grouped, add, coresOf);
  const requests = graph.calls.reduce((sum, { rate }) => sum + rate, 0);
  const processes = sumOf([...assignment.adms], (adm) => graph.services[adm]!.replicas);
  const memoryMiB = sumOf(
    [...assignment.adms],
    (adm) =>
      graph.services[adm]!.replicas *
      (profile.memoryMiB + profile.memoryPerPolicyMiB * (policiesAt.get(adm)?.size ?? 0)),
  );
  return {
    adms: assignment.adms.size,
    processes,
    cpuCores: sumOf([...coresOf.values()], (cores) => cores),
    memoryMiB,
    latencyMicros: requests === 0 ? 0 : latencyRate / requests,
    coresOf,
    busiestCores: Math.max(0, ...Array.from(coresOf, ([adm, cores]) => cores / graph.services[adm]!.replicas)),
  };
}

/** Names of the policies that each sidecar carries, whether or not anybody calls. */
function carriedPolicies({ placements }: PlanProblem, { adms, sides }: Assignment): Map<number, Set<string>> {
  const carried = new Map<number, Set<string>>(Array.from(adms, (adm) => [adm, new Set()]));
  for (const [index, placement] of placements.entries()) {
    const { policy, receiver, senders } = placement;
    if (runsAt(placement, 'receiver', sides[index]!)) carried.get(receiver)?.add(policy.name);
    if (runsAt(placement, 'sender', sides[index]!)) for (const sender of senders) carried.get(sender)?.add(policy.name);
  }
  return carried;
}

/** In a full mesh traffic without policies passes both sidecars too. */
function passRest(
  { graph }: PlanProblem,
  profile: CostProfile,
  grouped: ReadonlySet<number>,
  add: (service: number, cores: number) => void,
  coresOf: ReadonlyMap<number, number>,
): number {
  let latencyRate = 0;
  for (const [index, { from, to, rate }] of graph.calls.entries()) {
    if (grouped.has(index)) continue;
    for (const end of [from, to]) {
      if (!coresOf.has(end)) continue;
      add(end, (profile.pass.cpuMicros * rate) / MICROS);
      latencyRate += profile.pass.latencyMicros * rate;
    }
  }
  return latencyRate;
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}
