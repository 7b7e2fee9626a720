import type { CostProfile } from '../../../policies/planner/cost-profile.ts';
import { type Assignment, callGroups, loadOf } from '../../../policies/planner/load.ts';
import type { PlanProblem } from '../../../policies/planner/problem.ts';

/** What trying everything finds. */
export interface Exhausted {
  readonly adms: number;
  readonly cpuCores: number;
  readonly busiestCores: number;
}

/**
 * Tries every choice of sides, with the ADMs that each needs. Written from the rules and not from the planner's clauses.
 *
 * @returns undefined when nothing is possible
 */
export function exhaust(problem: PlanProblem, profile: CostProfile): Exhausted | undefined {
  const { placements, links } = problem;
  const choices = placements.map(({ refusal, isBoth }) => {
    if (isBoth) return refusal.receiver === undefined && refusal.sender === undefined ? (['receiver'] as const) : [];
    return (['receiver', 'sender'] as const).filter((side) => refusal[side] === undefined);
  });
  const groups = callGroups(problem);
  let best: Exhausted | undefined;
  const sides: ('receiver' | 'sender')[] = [];
  const visit = (index: number): void => {
    if (index === placements.length) {
      const isOrdered = links.every(({ first, second, rule }) => {
        if (placements[first]!.isBoth || placements[second]!.isBoth) return true;
        if (rule === 'beside') return sides[first] === sides[second];
        return !(sides[first] === 'receiver' && sides[second] === 'sender');
      });
      if (!isOrdered) return;
      const adms = new Set<number>();
      for (const [at, placement] of placements.entries()) {
        if (placement.isBoth || sides[at] === 'receiver') adms.add(placement.receiver);
        if (placement.isBoth || sides[at] === 'sender') {
          for (const sender of placement.senders) if (problem.graph.services[sender]!.takesSidecar) adms.add(sender);
        }
      }
      if (best !== undefined && adms.size > best.adms) return;
      const assignment: Assignment = { adms, sides };
      const { cpuCores, busiestCores } = loadOf(problem, groups, profile, assignment);
      if (best === undefined || adms.size < best.adms) best = { adms: adms.size, cpuCores, busiestCores };
      else
        best = {
          adms: adms.size,
          cpuCores: Math.min(best.cpuCores, cpuCores),
          busiestCores: Math.min(best.busiestCores, busiestCores),
        };
      return;
    }
    for (const side of choices[index]!) {
      sides[index] = side;
      visit(index + 1);
    }
  };
  visit(0);
  return best;
}
