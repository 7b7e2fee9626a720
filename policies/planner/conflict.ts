import { type Constraint, variableCount } from './constraints.ts';
import { type Clause, Formula, variableOf } from './formula.ts';
import type { PlanProblem } from './problem.ts';

/** No plan fulfils these; without any one of them there is a plan for the rest. */
export type Conflict = readonly string[];

/** The graph asks for what cannot be. */
export class InfeasibleError extends Error {
  override name = 'InfeasibleError';
  readonly conflicts: readonly Conflict[];

  constructor(conflicts: readonly Conflict[]) {
    super(`no plan is possible: ${conflicts.map((texts) => texts.join('; and ')).join(' | ')}`);
    this.conflicts = conflicts;
  }
}

/** More conflicts than these are not told: the first ones mostly explain the others. */
const MAX_CONFLICTS = 5;

/** What contradicts itself, capacities aside; empty when a plan exists. */
export function explainConflict(problem: PlanProblem, constraints: readonly Constraint[]): Conflict[] {
  if (isPossible(problem, constraints)) return [];
  const conflicts: Conflict[] = [];
  // ADMs are never forbidden: constraints about sides alone can clash, and only those of one receiver.
  const services = problem.graph.services.length;
  const byReceiver = new Map<number, Constraint[]>();
  for (const constraint of constraints) {
    if (constraint.clause.some((literal) => variableOf(literal) < services)) continue;
    const { receiver } = problem.placements[variableOf(constraint.clause[0]) - services]!;
    byReceiver.set(receiver, [...(byReceiver.get(receiver) ?? []), constraint]);
  }
  for (const own of byReceiver.values()) {
    if (conflicts.length === MAX_CONFLICTS) break;
    const local = renumbered(own);
    if (local.isPossible(own)) continue;
    conflicts.push(irreducible(own, (left) => !local.isPossible(left)).map(({ text }) => text));
  }
  return conflicts;
}

/** Of constraints that clash, a set from which none can be left out (deletion filter: Chinneck, Dravnieks 1991). */
export function irreducible<T>(clashing: readonly T[], clashes: (left: readonly T[]) => boolean): T[] {
  let left = [...clashing];
  for (const one of clashing) {
    const without = left.filter((other) => other !== one);
    if (clashes(without)) left = without;
  }
  return left;
}

function isPossible(problem: PlanProblem, constraints: readonly Constraint[]): boolean {
  return isSatisfiable(
    variableCount(problem),
    constraints.map(({ clause }) => clause),
  );
}

function isSatisfiable(variables: number, clauses: readonly Clause[]): boolean {
  const formula = new Formula(variables, clauses);
  return formula.propagateUnits() && formula.complete(() => true);
}

/** Checks of few constraints, without the variables of all others. */
function renumbered(constraints: readonly Constraint[]): { isPossible: (left: readonly Constraint[]) => boolean } {
  const numbers = new Map<number, number>();
  for (const variable of constraints.flatMap(({ clause }) => clause.map(variableOf)))
    if (!numbers.has(variable)) numbers.set(variable, numbers.size);
  const local = (clause: Clause): Clause =>
    clause.map((literal) => numbers.get(variableOf(literal))! * 2 + (literal & 1)) as unknown as Clause;
  return {
    isPossible: (left) =>
      isSatisfiable(
        numbers.size,
        left.map(({ clause }) => local(clause)),
      ),
  };
}
