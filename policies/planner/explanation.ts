import type { Side } from '../policy.ts';
import type { Assignment } from './load.ts';
import { runsAt } from './load.ts';
import type { Optimum } from './optimize.ts';
import type { Objective } from './placement-program.ts';
import type { Placement, PlanProblem } from './problem.ts';

/** More names than these are counted, not listed. */
const MAX_NAMES = 4;

export function listed(names: readonly string[]): string {
  if (names.length <= MAX_NAMES) return names.join(', ');
  return `${names.slice(0, MAX_NAMES - 1).join(', ')} and ${names.length - MAX_NAMES + 1} more`;
}

/** What holds of the chosen side once the objective is proved: the other one is no better. */
const COMPARED: Readonly<Record<Objective, string>> = {
  cpu: 'at the other end it would take no less CPU',
  balance: 'at the other end the busiest sidecar would be no less busy',
  latency: 'at the other end it would be no faster',
};

/** Why a policy is where it is, in one sentence. */
export function explainPlacement(problem: PlanProblem, optimum: Optimum, index: number, objective: Objective): string {
  const side = optimum.assignment.sides[index]!;
  const placement = problem.placements[index]!;
  const { graph } = problem;
  const name = (service: number): string => graph.services[service]!.name;
  const { policy, receiver, senders, refusal, isBoth } = placement;
  const at = side === 'receiver' ? name(receiver) : listed(senders.map(name));
  if (isBoth)
    return `"${policy.name}" is at ${listed([receiver, ...senders].map(name))}: it ${policy.semantics.because}.`;
  if (side === 'sender' && senders.length === 0)
    return `"${policy.name}" runs nowhere for ${name(receiver)}, which nobody calls${closedBy(problem, placement, side)}.`;
  const other: Side = side === 'receiver' ? 'sender' : 'receiver';
  const reason = refusal[other];
  if (reason !== undefined) return `"${policy.name}" is at ${at}, as it cannot be at the ${other}s' side: ${reason}.`;
  return `"${policy.name}" is at ${at}: ${whyChosen(problem, optimum, index, objective)}${closedBy(problem, placement, side)}.`;
}

/** Where there was a choice: what the other side would have needed, or which policies it keeps company. */
function whyChosen(problem: PlanProblem, optimum: Optimum, index: number, objective: Objective): string {
  const { adms, sides } = optimum.assignment;
  const { graph, placements, links } = problem;
  const name = (service: number): string => graph.services[service]!.name;
  const placement = placements[index]!;
  const side = sides[index]!;
  const others = side === 'receiver' ? placement.senders : [placement.receiver];
  const missing = others.filter((service) => !adms.has(service));
  if (missing.length > 0) {
    const one =
      missing.length === 1 ? 'an ADM that nothing else needs' : `${missing.length} ADMs that nothing else needs`;
    return `the ${side === 'receiver' ? 'senders' : 'receiver'} would need ${one}, at ${listed(missing.map(name))}`;
  }
  const link = links.find(
    ({ first, second }) => (first === index && sides[second] === side) || (second === index && sides[first] === side),
  );
  if (link !== undefined) return link.because;
  // Nothing is said of what has not been proved.
  if (optimum.stayed.has(index)) return 'both ends have an ADM, and it was here before';
  if (!optimum.cost.isOptimal) return 'both ends have an ADM';
  return `both ends have an ADM, and ${COMPARED[objective]}`;
}

function closedBy({ graph, closures }: PlanProblem, { policy, receiver }: Placement, side: Side): string {
  if (side === 'receiver' || policy.semantics.protects === 'nothing') return '';
  const closure = closures.get(receiver);
  if (closure === undefined || typeof closure === 'string') return '';
  return `; a NetworkPolicy closes ${graph.services[receiver]!.name} to everybody else`;
}

/** Why a service has an ADM, in one sentence; `near`: the placements that could run there. */
export function explainAdm(problem: PlanProblem, { sides }: Assignment, adm: number, near: readonly number[]): string {
  const { graph, placements } = problem;
  const ingress = new Set<string>();
  const egress = new Set<string>();
  for (const index of near) {
    const placement = placements[index]!;
    const side = sides[index]!;
    if (placement.receiver === adm && runsAt(placement, 'receiver', side)) ingress.add(placement.policy.name);
    if (placement.senders.includes(adm) && runsAt(placement, 'sender', side)) egress.add(placement.policy.name);
  }
  const { name } = graph.services[adm]!;
  const parts = [
    ...(ingress.size === 0 ? [] : [`${listed([...ingress])} on what comes in`]),
    ...(egress.size === 0 ? [] : [`${listed([...egress])} on what goes out`]),
  ];
  return parts.length === 0 ? `${name} stands by for ADMs that may be lost` : `${name} enforces ${parts.join(' and ')}`;
}
