import { expect, test } from 'vitest';
import { InfeasibleError } from '../../../policies/planner/conflict.ts';
import { defaultProfile } from '../../../policies/planner/default-profile.ts';
import { callGroups, loadOf } from '../../../policies/planner/load.ts';
import { type Optimum, optimize } from '../../../policies/planner/optimize.ts';
import { planProblem } from '../../../policies/planner/problem.ts';
import { Solver } from '../../../policies/planner/solver.ts';
import { exhaust } from './exhaustive.ts';
import { randomGraph } from './random-graph.ts';

const GRAPHS = 1000;
/** More choices than these take too long to try; few random graphs have them. */
const MAX_FREE = 14;

test.each([
  ['cpu', GRAPHS],
  ['balance', GRAPHS / 5],
] as const)(
  'on random graphs of at most seven services, the plan for %s is as good as the best of all choices (%i graphs)',
  { timeout: 300_000 },
  async (objective, graphs) => {
    const profile = defaultProfile();
    await using solver = new Solver();
    let planned = 0;
    let impossible = 0;
    for (let seed = 1; seed <= graphs; seed++) {
      const problem = planProblem(randomGraph(seed));
      const free = problem.placements.filter(
        ({ refusal }) => refusal.sender === undefined && refusal.receiver === undefined,
      );
      if (free.length > MAX_FREE) continue;
      const best = exhaust(problem, profile);
      let optimum: Optimum | undefined;
      try {
        optimum = await optimize(problem, profile, { objective, solver, timeLimitMs: 60_000 });
      } catch (error) {
        if (!(error instanceof InfeasibleError)) throw error;
      }
      if (best === undefined || optimum === undefined) {
        expect([seed, optimum], 'impossible for both').toEqual([seed, best]);
        impossible++;
        continue;
      }
      planned++;
      const load = loadOf(problem, callGroups(problem), profile, optimum.assignment);
      expect([seed, optimum.adms.value, optimum.adms.isOptimal]).toEqual([seed, best.adms, true]);
      const [found, least] =
        objective === 'cpu' ? [load.cpuCores, best.cpuCores] : [load.busiestCores, best.busiestCores];
      expect(found, `seed ${seed}`).toBeCloseTo(least, 9);
    }
    expect(planned).toBeGreaterThan(graphs / 3);
    expect(impossible).toBeGreaterThan(5);
  },
);
