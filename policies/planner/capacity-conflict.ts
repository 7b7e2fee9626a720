import { type Capacity, capacitiesOf } from './capacity.ts';
import type { Conflict } from './conflict.ts';
import type { Constraint } from './constraints.ts';
import { PlacementProgram } from './placement-program.ts';
import type { PlanProblem } from './problem.ts';
import { addLimit, minimising } from './scaled-program.ts';
import type { Solver } from './solver.ts';

/** How long the search for what clashes takes at most. */
const TIME_LIMIT_MS = 15_000;
const ONE_CHECK_MS = 3000;
/** Of the time, what capacities get; rules get the rest. */
const CAPACITIES_SHARE = 0.6;
/** What is left when the time ends is told in words where it is more. */
const MOST_RULES = 20;

/** Capacities and constraints that no plan fulfils together, as few as a deletion filter leaves in the time that there is. */
export async function explainCapacities(
  problem: PlanProblem,
  constraints: readonly Constraint[],
  { groups, profile }: PlacementProgram,
  solver: Solver,
  deadlineMs: number,
): Promise<Conflict[]> {
  const startedAt = performance.now();
  const endsAt = Math.min(deadlineMs, startedAt + TIME_LIMIT_MS);
  const isImpossible = async (model: PlacementProgram, names: ReadonlySet<string>): Promise<boolean> => {
    const leftMs = endsAt - performance.now();
    if (leftMs <= 0) return false;
    // On a copy: the same model is asked again.
    const { program } = minimising(model.program, model.adms(), Number.POSITIVE_INFINITY);
    for (const { expression, upper, text } of capacitiesOf(model))
      if (names.has(text)) addLimit(program, expression, upper);
    const untilMs = performance.now() + Math.min(ONE_CHECK_MS, leftMs);
    return (await solver.solve(program, { deadlineMs: untilMs, absoluteGap: 1e9 })).status === 'infeasible';
  };
  const modelOf = (rules: readonly Constraint[]): PlacementProgram => {
    const model = new PlacementProgram(problem, rules, groups, profile);
    // Columns that capacities need are made when they are asked for first.
    capacitiesOf(model);
    return model;
  };
  const whole = modelOf(constraints);
  const capacities = await filtered(
    capacitiesOf(whole),
    (left) => isImpossible(whole, textsOf(left)),
    startedAt + (endsAt - startedAt) * CAPACITIES_SHARE,
  );
  const names = textsOf(capacities.left);
  const rules = await filtered(constraints, (left) => isImpossible(modelOf(left), names), endsAt);
  const texts = new Set(rules.left.map(({ text }) => text));
  const told = rules.isDone || texts.size <= MOST_RULES ? texts : [`${texts.size} rules of the graph (${UNFINISHED})`];
  return [[...names, ...told]];
}

const UNFINISHED = 'the time limit ended the search for those that matter';

function textsOf(capacities: readonly Capacity[]): ReadonlySet<string> {
  return new Set(capacities.map(({ text }) => text));
}

/** A deletion filter that first takes out many at once: most have nothing to do with it. */
async function filtered<T>(
  items: readonly T[],
  clashes: (left: readonly T[]) => Promise<boolean>,
  endsAt: number,
): Promise<{ readonly left: readonly T[]; readonly isDone: boolean }> {
  let left = [...items];
  for (let size = Math.ceil(left.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < left.length; ) {
      if (performance.now() > endsAt) return { left, isDone: false };
      const without = [...left.slice(0, at), ...left.slice(at + size)];
      if (await clashes(without)) left = without;
      else at += size;
    }
  }
  return { left, isDone: true };
}
