import { trimmed } from './baseline.ts';
import { addCapacities, hasCapacities, violatedCapacities } from './capacity.ts';
import { explainConflict, InfeasibleError } from './conflict.ts';
import { admOf, type Constraint, constraintsOf, sideOf, variableCount } from './constraints.ts';
import type { CostProfile } from './cost-profile.ts';
import { Formula, holds, negated } from './formula.ts';
import { type Assignment, callGroups } from './load.ts';
import { type Expression, type Objective, PlacementProgram } from './placement-program.ts';
import type { PlanProblem } from './problem.ts';
import { smallestSet } from './smallest.ts';
import { Solver, type SolverProgress } from './solver.ts';

export interface OptimizeOptions {
  readonly objective: Objective;
  readonly timeLimitMs: number;
  /** A plan to stay near to: what it says of services and placements that are still there. */
  readonly previous?: Previous | undefined;
  /** ADMs more than the smallest number, where that saves moves. */
  readonly slack?: number | undefined;
  /** A solver that is running already; unless given, one for this question alone. */
  readonly solver?: Solver | undefined;
  readonly onProgress?: ((stage: string, progress: SolverProgress) => void) | undefined;
}

export interface Previous {
  readonly assignment: Assignment;
  readonly services: ReadonlySet<number>;
  readonly placements: ReadonlySet<number>;
}

/** What a stage found, and what nobody can better. */
export interface Proof {
  readonly value: number;
  readonly bound: number;
  readonly isOptimal: boolean;
}

export interface Optimum {
  readonly assignment: Assignment;
  readonly adms: Proof;
  /** Undefined without a previous plan. */
  readonly moves: Proof | undefined;
  /** Of the objective: µs of CPU per second, or of latency. */
  readonly cost: Proof;
  /** Placements on the side that a previous plan had them on; indices. */
  readonly stayed: ReadonlySet<number>;
  readonly elapsedMs: number;
}

/** Share of the time for the number of ADMs, and of the rest for moves. */
const SIZE_SHARE = 0.6;
const MOVES_SHARE = 0.5;

/**
 * The smallest set of ADMs, then the fewest moves, then the least cost.
 *
 * @throws InfeasibleError with the constraints that clash; Error when the solver fails or finds nothing in time
 */
export async function optimize(problem: PlanProblem, profile: CostProfile, options: OptimizeOptions): Promise<Optimum> {
  if (options.solver !== undefined) return await optimizeWith(options.solver, problem, profile, options);
  await using solver = new Solver();
  return await optimizeWith(solver, problem, profile, options);
}

async function optimizeWith(
  solver: Solver,
  problem: PlanProblem,
  profile: CostProfile,
  options: OptimizeOptions,
): Promise<Optimum> {
  const startedAt = performance.now();
  const endsAt = startedAt + options.timeLimitMs;
  const constraints = constraintsOf(problem);
  const conflict = explainConflict(problem, constraints);
  if (conflict.length > 0) throw new InfeasibleError(conflict);
  const model = new PlacementProgram(problem, constraints, callGroups(problem), profile);
  const found = hasCapacities(problem)
    ? await smallestWithin(model, constraints, solver, startedAt, options)
    : await smallestAnyhow(problem, constraints, solver, startedAt, options);
  const size = found.assignment.adms.size;
  let { assignment } = found;
  model.limit(model.adms(), size + (options.previous === undefined ? 0 : (options.slack ?? 0)));
  let moves: Proof | undefined;
  if (options.previous !== undefined) {
    const { assignment: before, ...known } = options.previous;
    const expression = model.moves(before, known);
    const deadlineMs = performance.now() + (endsAt - performance.now()) * MOVES_SHARE;
    const result = await stage(model, expression, solver, assignment, {
      ...options,
      deadlineMs,
      name: 'moves',
      gap: 0.999,
    });
    ({ assignment } = result);
    moves = result.proof;
    model.limit(expression, moves.value + 1e-6);
  }
  const { objective } = options;
  const expression =
    objective === 'balance' ? model.busiestLoad() : model.cost(objective === 'cpu' ? 'cpuMicros' : 'latencyMicros');
  const result = await stage(model, expression, solver, assignment, {
    ...options,
    deadlineMs: endsAt,
    name: objective,
  });
  const final = trimmed(problem, constraints, result.assignment);
  return {
    assignment: final,
    stayed: stayedOf(final, options.previous),
    adms: { value: size, bound: found.bound, isOptimal: found.bound >= size },
    moves,
    cost: result.proof,
    elapsedMs: performance.now() - startedAt,
  };
}

function stayedOf({ sides }: Assignment, previous: Previous | undefined): ReadonlySet<number> {
  const known = [...(previous?.placements ?? [])];
  return new Set(known.filter((index) => sides[index] === previous?.assignment.sides[index]));
}

interface Found {
  readonly assignment: Assignment;
  readonly bound: number;
}

async function smallestAnyhow(
  problem: PlanProblem,
  constraints: readonly Constraint[],
  solver: Solver,
  startedAt: number,
  { timeLimitMs, onProgress }: OptimizeOptions,
): Promise<Found> {
  const { adms, bound } = await smallestSet(problem, constraints, solver, {
    deadlineMs: startedAt + timeLimitMs * SIZE_SHARE,
    onProgress: (progress) => onProgress?.('ADMs', progress),
  });
  return { assignment: completed(problem, constraints, adms), bound };
}

/** With capacities the number of ADMs depends on what each of them carries: one program has to say it all. */
async function smallestWithin(
  model: PlacementProgram,
  constraints: readonly Constraint[],
  solver: Solver,
  startedAt: number,
  { timeLimitMs, onProgress }: OptimizeOptions,
): Promise<Found> {
  const { problem } = model;
  const unlimited = await smallestSet(problem, constraints, solver, { deadlineMs: startedAt + timeLimitMs * 0.2 });
  const attempt = completed(problem, constraints, unlimited.adms);
  addCapacities(model);
  const expression = model.adms();
  model.minimise(expression);
  const deadlineMs = startedAt + timeLimitMs * SIZE_SHARE;
  const result = await solver.solve(model.program, {
    deadlineMs,
    start: violatedCapacities(model, attempt).length === 0 ? model.valuesOf(attempt) : undefined,
    absoluteGap: 0.999,
    onProgress: ({ objective, bound }) =>
      onProgress?.('ADMs', { objective: objective + expression.constant, bound: bound + expression.constant }),
  });
  if (result.status === 'infeasible') {
    const { explainCapacities } = await import('./capacity-conflict.ts');
    throw new InfeasibleError(await explainCapacities(model.problem, constraints, model, solver));
  }
  if (result.values === undefined)
    throw new Error('no plan was found within the time limit; give it more with --time-limit');
  const assignment = model.assignmentOf(result.values);
  const proved =
    result.status === 'optimal' ? assignment.adms.size : Math.ceil(result.bound + expression.constant - 1e-6);
  return { assignment, bound: Math.max(unlimited.bound, Number.isFinite(proved) ? proved : 0) };
}

interface StageOptions extends OptimizeOptions {
  readonly deadlineMs: number;
  readonly name: string;
  readonly gap?: number;
}

async function stage(
  model: PlacementProgram,
  expression: Expression,
  solver: Solver,
  assignment: Assignment,
  { deadlineMs, name, gap, onProgress }: StageOptions,
): Promise<{ assignment: Assignment; proof: Proof }> {
  model.minimise(expression);
  const { constant } = expression;
  const start = model.valuesOf(assignment);
  const before = model.program.objective(start) + constant;
  if (model.program.costs.every((cost) => cost === 0))
    return { assignment, proof: { value: before, bound: before, isOptimal: true } };
  const result = await solver.solve(model.program, {
    deadlineMs,
    start,
    ...(gap === undefined ? {} : { absoluteGap: gap }),
    onProgress: ({ objective, bound }) =>
      onProgress?.(name, { objective: objective + constant, bound: bound + constant }),
  });
  if (result.status === 'infeasible') throw new Error(`the solver calls a plan impossible that is there (${name})`);
  const better = result.values === undefined ? assignment : model.assignmentOf(result.values);
  const value = model.program.objective(model.valuesOf(better)) + constant;
  const [best, chosen] = value <= before ? [value, better] : [before, assignment];
  // Within the solver's tolerances a sum of very unlike numbers can look smaller than it is.
  const isTrue = value <= result.objective + constant + 1e-6 * Math.max(1, Math.abs(value));
  const isOptimal = result.status === 'optimal' && isTrue;
  // Stopped before it knew anything: every column at the end that is good for the objective.
  const least = model.program.costs.reduce((sum, cost) => sum + Math.min(0, cost), constant);
  const bound = isOptimal ? best : Math.min(best, Math.max(least, result.bound + constant));
  return { assignment: chosen, proof: { value: best, bound, isOptimal } };
}

/** Sides for a set of ADMs that fulfils the constraints: at the receiver where there is the choice. */
export function completed(
  problem: PlanProblem,
  constraints: readonly Constraint[],
  adms: ReadonlySet<number>,
): Assignment {
  const formula = new Formula(
    variableCount(problem),
    constraints.map(({ clause }) => clause),
  );
  formula.propagateUnits();
  for (const service of problem.graph.services.keys()) {
    if (!adms.has(service) && !formula.assume(negated(holds(admOf(service)))))
      throw new Error(`a set of ADMs without ${problem.graph.services[service]!.name} places nothing`);
  }
  if (!formula.complete((variable) => variable >= problem.graph.services.length || adms.has(variable)))
    throw new Error('the set of ADMs places nothing');
  return {
    adms,
    sides: problem.placements.map((_, index) => (formula.values[sideOf(problem, index)] === 1 ? 'receiver' : 'sender')),
  };
}
