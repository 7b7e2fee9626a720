import { trimmed } from './baseline.ts';
import { addCapacities, hasCapacities, violatedCapacities } from './capacity.ts';
import { explainConflict, InfeasibleError } from './conflict.ts';
import { admOf, type Constraint, constraintsOf, sideOf, variableCount } from './constraints.ts';
import type { CostProfile } from './cost-profile.ts';
import type { Expression } from './expression.ts';
import { Formula, holds, negated } from './formula.ts';
import { type Assignment, callGroups } from './load.ts';
import { type Objective, PlacementProgram } from './placement-program.ts';
import type { PlanProblem } from './problem.ts';
import { minimising, minimisingLargest } from './scaled-program.ts';
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

/** A plan whose cost is nearer than this to the least is the least. */
const RELATIVE_GAP = 1e-9;

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
    const result = await stage(model, [expression], solver, assignment, {
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
  const expressions =
    objective === 'balance' ? model.loads() : [model.cost(objective === 'cpu' ? 'cpuMicros' : 'latencyMicros')];
  const result = await stage(model, expressions, solver, assignment, {
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
  const { program, toValue } = minimising(model.program, model.adms(), Number.POSITIVE_INFINITY);
  const deadlineMs = startedAt + timeLimitMs * SIZE_SHARE;
  const result = await solver.solve(program, {
    deadlineMs,
    start: violatedCapacities(model, attempt).length === 0 ? model.valuesOf(attempt) : undefined,
    absoluteGap: 0.999,
    onProgress: ({ objective, bound }) =>
      onProgress?.('ADMs', { objective: toValue(objective), bound: toValue(bound) }),
  });
  if (result.status === 'infeasible') {
    const { explainCapacities } = await import('./capacity-conflict.ts');
    throw new InfeasibleError(
      await explainCapacities(model.problem, constraints, model, solver, startedAt + timeLimitMs),
    );
  }
  if (result.values === undefined)
    throw new Error('no plan was found within the time limit; give it more with --time-limit');
  const assignment = model.assignmentOf(result.values);
  const proved = result.status === 'optimal' ? assignment.adms.size : Math.ceil(toValue(result.bound) - 1e-6);
  return { assignment, bound: Math.max(unlimited.bound, Number.isFinite(proved) ? proved : 0) };
}

interface StageOptions extends OptimizeOptions {
  readonly deadlineMs: number;
  readonly name: string;
  readonly gap?: number;
}

/** A plan whose cost is so much smaller is a new unit: in that of the one before, its own differences were too small. */
const RESCALE_BELOW = 0.01;
const MAX_RESCALES = 20;
/** Within the solver's tolerances a sum of very unlike numbers can look smaller than it is. */
const TRUE_TO = 1e-6;

/** Makes the largest of the expressions small. */
async function stage(
  model: PlacementProgram,
  expressions: readonly Expression[],
  solver: Solver,
  assignment: Assignment,
  { deadlineMs, name, gap, onProgress }: StageOptions,
): Promise<{ assignment: Assignment; proof: Proof }> {
  const costOf = (values: Float64Array): number => Math.max(0, ...expressions.map((one) => one.valueAt(values)));
  let best = assignment;
  let value = costOf(model.valuesOf(best));
  let bound = 0;
  for (let round = 0; ; round++) {
    const scaled =
      name === 'balance'
        ? minimisingLargest(model.program, expressions, value)
        : minimising(model.program, expressions[0]!, value);
    const { program, toValue, scale, least } = scaled;
    bound = Math.max(bound, Math.min(value, least));
    if (value - least <= RELATIVE_GAP * value || program.costs.every((cost) => cost === 0))
      return { assignment: best, proof: { value, bound: value, isOptimal: true } };
    const result = await solver.solve(program, {
      deadlineMs,
      start: [...model.valuesOf(best), ...scaled.more],
      absoluteGap: gap ?? RELATIVE_GAP * value * scale,
      onProgress: ({ objective, bound: limit }) =>
        onProgress?.(name, { objective: toValue(objective), bound: toValue(limit) }),
    });
    if (result.status === 'infeasible') throw new Error(`the solver calls a plan impossible that is there (${name})`);
    const found = result.values === undefined ? best : model.assignmentOf(result.values);
    const foundValue = costOf(model.valuesOf(found));
    const before = value;
    if (foundValue <= value) [best, value] = [found, foundValue];
    const isTrue = foundValue - toValue(result.objective) <= TRUE_TO * foundValue;
    const isSolved = result.status === 'optimal';
    // Stopped before it knew anything: `least` stands.
    if (Number.isFinite(result.bound)) bound = Math.max(bound, Math.min(value, toValue(result.bound)));
    const isWorthMore = value < before * RESCALE_BELOW || (!isTrue && value < before);
    if (isSolved && isWorthMore && round < MAX_RESCALES && performance.now() < deadlineMs) continue;
    const isOptimal = isSolved && isTrue;
    return { assignment: best, proof: { value, bound: isOptimal ? value : bound, isOptimal } };
  }
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
