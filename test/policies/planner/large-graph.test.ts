import { expect, test } from 'vitest';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { constraintsOf } from '../../../policies/planner/constraints.ts';
import { defaultProfile } from '../../../policies/planner/default-profile.ts';
import { optimize } from '../../../policies/planner/optimize.ts';
import { planProblem } from '../../../policies/planner/problem.ts';
import { largeGraph } from './large-graph.ts';

const TIME_LIMIT_MS = 15_000;

test('2,000 services with 20,000 calls are planned within the time limit, with a gap that is told', {
  timeout: 200_000,
}, async () => {
  const problem = planProblem(parseCallGraph([{ file: 'large.yaml', text: largeGraph(2000, 20_000) }]));
  const optimum = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: TIME_LIMIT_MS });
  // The limit is kept by the clock, however long the solver would go on; on a busy machine the rest takes its time too.
  expect(optimum.elapsedMs).toBeLessThan(60_000);
  const { adms, cost, assignment } = optimum;
  expect(adms.value).toBe(assignment.adms.size);
  expect(adms.bound).toBeGreaterThan(0);
  expect((adms.value - adms.bound) / adms.value).toBeLessThan(0.25);
  expect(cost.bound).toBeLessThanOrEqual(cost.value);
  expect(Number.isFinite(cost.bound)).toBe(true);
  const services = problem.graph.services.length;
  const isTrue = (literal: number): boolean => {
    const variable = literal >> 1;
    const value =
      variable < services ? assignment.adms.has(variable) : assignment.sides[variable - services] === 'receiver';
    return value === ((literal & 1) === 0);
  };
  const broken = constraintsOf(problem).filter(({ clause }) => !clause.some(isTrue));
  expect(broken).toEqual([]);
});
