import { admOf, type Constraint, sideOf } from './constraints.ts';
import { Formula, fails, holds, variableOf } from './formula.ts';
import type { Assignment } from './load.ts';
import type { PlanProblem } from './problem.ts';

/**
 * Every placement on one side where it can be there, on the other where it must, with the ADMs that this needs. Policies
 * are kept in their order.
 */
export function oneSided(
  problem: PlanProblem,
  constraints: readonly Constraint[],
  side: 'sender' | 'receiver',
): Assignment {
  const { graph, placements } = problem;
  const services = graph.services.length;
  const ofSides = constraints.filter(({ clause }) => clause.every((literal) => variableOf(literal) >= services));
  const formula = new Formula(
    services + placements.length,
    ofSides.map(({ clause }) => clause),
  );
  formula.propagateUnits();
  for (const index of placements.keys()) {
    const variable = sideOf(problem, index);
    if (formula.values[variable] !== -1) continue;
    const wanted = side === 'receiver' ? holds(variable) : fails(variable);
    if (!formula.assume(wanted)) formula.assume(wanted ^ 1);
  }
  const sides = placements.map((_, index): 'sender' | 'receiver' =>
    formula.values[sideOf(problem, index)] === 0 ? 'sender' : 'receiver',
  );
  return { sides, adms: needed(problem, constraints, sides) };
}

/** The ADMs that a choice of sides asks for. */
function needed(problem: PlanProblem, constraints: readonly Constraint[], sides: Assignment['sides']): Set<number> {
  const services = problem.graph.services.length;
  const adms = new Set<number>();
  for (const { clause } of constraints) {
    const adm = clause.find((literal) => variableOf(literal) < services);
    if (adm === undefined) continue;
    const isFulfilled = clause.some(
      (literal) =>
        variableOf(literal) >= services &&
        (sides[variableOf(literal) - services] === 'receiver') === ((literal & 1) === 0),
    );
    if (!isFulfilled) adms.add(variableOf(adm));
  }
  return adms;
}

/** A sidecar beside every service that takes one, each policy where it usually is: today's meshes. */
export function fullMesh(problem: PlanProblem, constraints: readonly Constraint[]): Assignment {
  const { services } = problem.graph;
  return {
    sides: oneSided(problem, constraints, 'receiver').sides,
    adms: new Set([...services.keys()].filter((index) => services[index]!.takesSidecar).map(admOf)),
  };
}

/** What an assignment needs, and no ADM more. */
export function trimmed(problem: PlanProblem, constraints: readonly Constraint[], { sides }: Assignment): Assignment {
  return { sides, adms: needed(problem, constraints, sides) };
}
