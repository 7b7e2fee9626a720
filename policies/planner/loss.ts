import type { Assignment } from './load.ts';
import type { PlanProblem } from './problem.ts';

/**
 * Where everything runs while one ADM is lost: its placements change sides, and with them those that they are bound to.
 *
 * @returns undefined when some policy that protects something has nobody to stand in
 */
export function withoutAdm(problem: PlanProblem, assignment: Assignment, lost: number): Assignment | undefined {
  const { placements, links, graph } = problem;
  const adms = new Set(assignment.adms);
  // Other replicas of the service have sidecars that go on.
  if (graph.services[lost]!.replicas > 1) return assignment;
  adms.delete(lost);
  const sides = [...assignment.sides];
  const queue: { index: number; side: 'sender' | 'receiver' }[] = [];
  for (const [index, placement] of placements.entries()) {
    const side = sides[index]!;
    const isHit = side === 'receiver' ? placement.receiver === lost : placement.senders.includes(lost);
    if (isHit || (placement.isBoth && [placement.receiver, ...placement.senders].includes(lost)))
      queue.push({ index, side: side === 'receiver' ? 'sender' : 'receiver' });
  }
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { index, side } = next;
    const placement = placements[index]!;
    if (sides[index] === side) continue;
    const ends = side === 'receiver' ? [placement.receiver] : placement.senders;
    const isReady = !placement.isBoth && placement.refusal[side] === undefined && ends.every((end) => adms.has(end));
    if (!isReady) {
      if (placement.policy.semantics.protects !== 'nothing') return undefined;
      continue;
    }
    sides[index] = side;
    for (const { first, second } of links) {
      if (first === index) queue.push({ index: second, side });
      else if (second === index) queue.push({ index: first, side });
    }
  }
  return { adms, sides };
}
