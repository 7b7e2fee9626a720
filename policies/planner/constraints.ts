import { type Clause, fails, holds, type Literal } from './formula.ts';
import type { Link, Placement, PlanProblem } from './problem.ts';

/** A condition that every plan fulfils, with the sentence that tells it. */
export interface Constraint {
  readonly clause: Clause;
  readonly text: string;
}

/** The variable of a service: it has an ADM. */
export function admOf(service: number): number {
  return service;
}

/** The variable of a placement: it is at the receiver's ingress; when it does not hold, at all senders' egress. */
export function sideOf(problem: PlanProblem, placement: number): number {
  return problem.graph.services.length + placement;
}

export function variableCount({ graph, placements }: PlanProblem): number {
  return graph.services.length + placements.length;
}

/** All conditions but capacities. A set of ADMs is a solution as soon as every placement finds its side. */
export function constraintsOf(problem: PlanProblem): Constraint[] {
  const found: Constraint[] = [];
  for (const [index, placement] of problem.placements.entries()) {
    if (placement.isBoth) bothEnds(problem, placement, index, found);
    else oneEnd(problem, placement, index, found);
  }
  for (const link of problem.links) linked(problem, link, found);
  if (problem.survive) survival(problem, found);
  return found;
}

function nameOf({ graph }: PlanProblem, service: number): string {
  return graph.services[service]!.name;
}

/** `"limit" at db` */
export function placementTitle(problem: PlanProblem, { policy, receiver }: Placement): string {
  return `"${policy.name}" at ${nameOf(problem, receiver)}`;
}

function oneEnd(problem: PlanProblem, placement: Placement, index: number, found: Constraint[]): void {
  const atReceiver = sideOf(problem, index);
  const { refusal, receiver, senders } = placement;
  const title = placementTitle(problem, placement);
  const place = placement.policy.place;
  if (refusal.sender !== undefined)
    found.push({
      clause: [holds(atReceiver)],
      text: `${title} cannot be at its senders: ${refusal.sender} (${place})`,
    });
  if (refusal.receiver !== undefined)
    found.push({
      clause: [fails(atReceiver)],
      text: `${title} cannot be at the receiver: ${refusal.receiver} (${place})`,
    });
  found.push({
    clause: [fails(atReceiver), holds(admOf(receiver))],
    text: `${title} at the receiver needs an ADM at ${nameOf(problem, receiver)}`,
  });
  for (const sender of senders) {
    found.push({
      clause: [holds(atReceiver), holds(admOf(sender))],
      text: `${title} at the senders needs an ADM at ${nameOf(problem, sender)}`,
    });
  }
}

/** Both ends have it, whatever the variable says, which is that of the receiver. */
function bothEnds(problem: PlanProblem, placement: Placement, index: number, found: Constraint[]): void {
  const { refusal, receiver, senders, policy } = placement;
  const title = placementTitle(problem, placement);
  found.push({ clause: [holds(sideOf(problem, index))], text: `${title} ${policy.semantics.because}` });
  for (const reason of [refusal.receiver, refusal.sender]) {
    if (reason !== undefined)
      found.push({
        clause: [fails(sideOf(problem, index))],
        text: `${title} cannot be there: ${reason} (${policy.place})`,
      });
  }
  const ends = [receiver, ...senders.filter((sender) => problem.graph.services[sender]!.takesSidecar)];
  for (const end of ends)
    found.push({ clause: [holds(admOf(end))], text: `${title} needs an ADM at ${nameOf(problem, end)}` });
}

/** Senders come first on a request's way: what is at the receiver cannot come before what is at the senders. */
function linked(problem: PlanProblem, { first, second, rule, because }: Link, found: Constraint[]): void {
  const [one, other] = [sideOf(problem, first), sideOf(problem, second)];
  if (problem.placements[first]!.isBoth || problem.placements[second]!.isBoth) return;
  found.push({ clause: [fails(one), holds(other)], text: because });
  if (rule === 'beside') found.push({ clause: [holds(one), fails(other)], text: because });
}

/** Placements that are bound to each other change sides together when an ADM is lost. */
function groupsOf({ placements, links }: PlanProblem): readonly (readonly number[])[] {
  const leader = placements.map((_, index) => index);
  const find = (index: number): number => {
    let at = index;
    while (leader[at] !== at) at = leader[at]!;
    leader[index] = at;
    return at;
  };
  for (const { first, second } of links) leader[find(first)] = find(second);
  const groups = new Map<number, number[]>();
  for (const index of placements.keys()) {
    const root = find(index);
    groups.set(root, [...(groups.get(root) ?? []), index]);
  }
  const byPlacement: (readonly number[])[] = [];
  for (const group of groups.values()) for (const index of group) byPlacement[index] = group;
  return byPlacement;
}

/**
 * The loss of any one ADM leaves every policy that protects something enforced: by the other replicas of the same service,
 * or at the other end, which has a standby.
 */
function survival(problem: PlanProblem, found: Constraint[]): void {
  const { placements, graph } = problem;
  const groups = groupsOf(problem);
  for (const [index, placement] of placements.entries()) {
    const { policy, receiver, refusal, isBoth } = placement;
    if (policy.semantics.protects === 'nothing') continue;
    const senders = [...new Set(groups[index]!.flatMap((one) => placements[one]!.senders))];
    const isSingle = (service: number): boolean => graph.services[service]!.replicas === 1;
    const atReceiver = sideOf(problem, index);
    const title = placementTitle(problem, placement);
    if (isBoth) {
      for (const end of [receiver, ...senders].filter((one) => isSingle(one) && graph.services[one]!.takesSidecar))
        found.push(lost(fails(atReceiver), title, nameOf(problem, end), 'it has a part at each end'));
      continue;
    }
    if (isSingle(receiver)) {
      if (refusal.sender !== undefined)
        found.push(lost(fails(atReceiver), title, nameOf(problem, receiver), 'no sender can stand in'));
      else
        for (const sender of senders)
          found.push({
            clause: [fails(atReceiver), holds(admOf(sender))],
            text: `${title} needs a standby at ${nameOf(problem, sender)}: ${nameOf(problem, receiver)} has one replica`,
          });
    }
    const single = senders.find(isSingle);
    if (single === undefined) continue;
    if (refusal.receiver !== undefined)
      found.push(lost(holds(atReceiver), title, nameOf(problem, single), 'the receiver cannot stand in'));
    else
      found.push({
        clause: [holds(atReceiver), holds(admOf(receiver))],
        text: `${title} needs a standby at ${nameOf(problem, receiver)}: ${nameOf(problem, single)} has one replica`,
      });
  }
}

function lost(literal: Literal, title: string, service: string, why: string): Constraint {
  return {
    clause: [literal],
    text: `${title} would be lost with the one replica of ${service}: ${why} (replicas: 2 would survive)`,
  };
}
