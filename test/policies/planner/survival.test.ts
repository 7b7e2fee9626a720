import { expect, test } from 'vitest';
import { InfeasibleError } from '../../../policies/planner/conflict.ts';
import { defaultProfile } from '../../../policies/planner/default-profile.ts';
import { runsAt } from '../../../policies/planner/load.ts';
import { withoutAdm } from '../../../policies/planner/loss.ts';
import { optimize } from '../../../policies/planner/optimize.ts';
import { planOf } from '../../../policies/planner/plan.ts';
import { planProblem } from '../../../policies/planner/problem.ts';
import { Solver } from '../../../policies/planner/solver.ts';
import { randomGraph } from './random-graph.ts';

test('after the loss of any one ADM every policy that protects something is enforced by those that are left', {
  timeout: 240_000,
}, async () => {
  await using solver = new Solver();
  let losses = 0;
  for (let seed = 9000; seed < 9600; seed++) {
    const problem = planProblem(randomGraph(seed), { survive: true });
    const { placements, links, graph } = problem;
    try {
      const optimum = await optimize(problem, defaultProfile(), {
        objective: 'cpu',
        timeLimitMs: 60_000,
        solver,
      });
      const { assignment } = optimum;
      const closing = planOf(problem, defaultProfile(), 'cpu', optimum).networkPolicies;
      for (const lost of assignment.adms) {
        const left = withoutAdm(problem, assignment, lost);
        const closed = new Set(closing.map(({ metadata }) => metadata.name));
        expect(left, `seed ${seed} without ${graph.services[lost]!.name}`).toBeDefined();
        // The sidecars of other replicas go on.
        const living = (service: number): boolean =>
          left!.adms.has(service) && (service !== lost || graph.services[service]!.replicas > 1);
        for (const [index, placement] of placements.entries()) {
          if (placement.policy.semantics.protects === 'nothing') continue;
          const side = left!.sides[index]!;
          const { sides } = placement.policy.semantics;
          const isGuard = placement.policy.semantics.protects === 'security' && sides === 'either' && !placement.isBoth;
          if (isGuard && side === 'sender')
            expect(closed).toContain(`outrigger-${graph.services[placement.receiver]!.name}`);
          if (!placement.isBoth) expect(placement.refusal[side]).toBeUndefined();
          if (runsAt(placement, 'receiver', side)) expect(living(placement.receiver)).toBe(true);
          if (runsAt(placement, 'sender', side))
            for (const sender of placement.senders)
              if (graph.services[sender]!.takesSidecar) expect(living(sender)).toBe(true);
        }
        for (const { first, second, rule } of links) {
          if (placements[first]!.isBoth || placements[second]!.isBoth) continue;
          const protecting = [first, second].every((one) => placements[one]!.policy.semantics.protects !== 'nothing');
          const [a, b] = [left!.sides[first], left!.sides[second]];
          if (protecting)
            expect(rule === 'beside' ? a === b : !(a === 'receiver' && b === 'sender'), `seed ${seed}`).toBe(true);
        }
        losses++;
      }
    } catch (error) {
      if (!(error instanceof InfeasibleError)) throw error;
    }
  }
  expect(losses).toBeGreaterThan(100);
});
