import { type Capacity, capacitiesOf } from './capacity.ts';
import type { Conflict } from './conflict.ts';
import type { Constraint } from './constraints.ts';
import { PlacementProgram } from './placement-program.ts';
import type { PlanProblem } from './problem.ts';
import { minimising } from './scaled-program.ts';
import type { Solver } from './solver.ts';

/** How long the search for what clashes takes at most; what is left by then is told, and may be more than is needed. */
const TIME_LIMIT_MS = 15_000;
const ONE_CHECK_MS = 3000;

/** Capacities and constraints that no plan fulfils together, as few as a deletion filter leaves. */
export async function explainCapacities(
  problem: PlanProblem,
  constraints: readonly Constraint[],
  model: PlacementProgram,
  solver: Solver,
  deadlineMs: number,
): Promise<Conflict[]> {
  const endsAt = Math.min(deadlineMs, performance.now() + TIME_LIMIT_MS);
  const clashes = async (rules: readonly Constraint[], names: ReadonlySet<string>): Promise<boolean> => {
    const leftMs = endsAt - performance.now();
    if (leftMs < 100) return false;
    const trial = new PlacementProgram(problem, rules, model.groups, model.profile);
    for (const { expression, upper, text } of capacitiesOf(trial)) if (names.has(text)) trial.limit(expression, upper);
    const { program } = minimising(trial.program, trial.adms(), Number.POSITIVE_INFINITY);
    const untilMs = performance.now() + Math.min(ONE_CHECK_MS, leftMs);
    return (await solver.solve(program, { deadlineMs: untilMs, absoluteGap: 1e9 })).status === 'infeasible';
  };
  const capacities = await filtered(capacitiesOf(model), (left) => clashes(constraints, textsOf(left)));
  const names = textsOf(capacities);
  const rules = await filtered(constraints, (left) => clashes(left, names));
  return [[...names, ...new Set(rules.map(({ text }) => text))]];
}

function textsOf(capacities: readonly Capacity[]): ReadonlySet<string> {
  return new Set(capacities.map(({ text }) => text));
}

/** A deletion filter that first takes out many at once: most have nothing to do with it. */
async function filtered<T>(items: readonly T[], clashes: (left: readonly T[]) => Promise<boolean>): Promise<T[]> {
  let left = [...items];
  for (let size = Math.ceil(left.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < left.length; ) {
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      if (await clashes(without)) left = without;
      else at += size;
    }
  }
  return left;
}
