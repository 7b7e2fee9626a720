import type { Side } from '../policy.ts';
import type { Assignment } from './load.ts';
import { runsAt } from './load.ts';
import type { Placement, PlanProblem } from './problem.ts';

/** More names than these are counted, not listed. */
const MAX_NAMES = 4;

export function listed(names: readonly string[]): string {
  if (names.length <= MAX_NAMES) return names.join(', ');
  return `${names.slice(0, MAX_NAMES - 1).join(', ')} and ${names.length - MAX_NAMES + 1} more`;
}

/** Why a policy is where it is, in one sentence. */
export function explainPlacement(
  problem: PlanProblem,
  assignment: Assignment,
  placement: Placement,
  side: Side,
): string {
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
  return `"${policy.name}" is at ${at}: ${whyChosen(problem, assignment, placement, side)}${closedBy(problem, placement, side)}.`;
}

/** Where there was a choice: what the other side would have needed, or which policies it keeps company. */
function whyChosen(problem: PlanProblem, { adms, sides }: Assignment, placement: Placement, side: Side): string {
  const { graph, placements, links } = problem;
  const name = (service: number): string => graph.services[service]!.name;
  const others = side === 'receiver' ? placement.senders : [placement.receiver];
  const missing = others.filter((service) => !adms.has(service));
  if (missing.length > 0) {
    const one =
      missing.length === 1 ? 'an ADM that nothing else needs' : `${missing.length} ADMs that nothing else needs`;
    return `the ${side === 'receiver' ? 'senders' : 'receiver'} would need ${one}, at ${listed(missing.map(name))}`;
  }
  const index = placements.indexOf(placement);
  const link = links.find(
    ({ first, second }) => (first === index && sides[second] === side) || (second === index && sides[first] === side),
  );
  if (link !== undefined) return link.because;
  return 'both ends have an ADM, and here it costs less';
}

function closedBy({ graph, closures }: PlanProblem, { policy, receiver }: Placement, side: Side): string {
  if (side === 'receiver' || policy.semantics.protects === 'nothing') return '';
  const closure = closures.get(receiver);
  if (closure === undefined || typeof closure === 'string') return '';
  return `; a NetworkPolicy closes ${graph.services[receiver]!.name} to everybody else`;
}

/** Why a service has an ADM, in one sentence. */
export function explainAdm(problem: PlanProblem, { sides }: Assignment, adm: number): string {
  const { graph, placements } = problem;
  const ingress = new Set<string>();
  const egress = new Set<string>();
  for (const [index, placement] of placements.entries()) {
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
