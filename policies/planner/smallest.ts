import { admOf, type Constraint } from './constraints.ts';
import { cliqueCover, components, type Graph, graphOf, reduce } from './cover.ts';
import { searchCover } from './cover-search.ts';
import { type Clause, Formula, type Literal, negated, variableOf } from './formula.ts';
import { IntegerProgram } from './integer-program.ts';
import type { PlanProblem } from './problem.ts';
import type { Solver, SolverProgress } from './solver.ts';

/** A smallest set of ADMs, and how sure that is. */
export interface Smallest {
  readonly adms: ReadonlySet<number>;
  /** No plan has fewer. */
  readonly bound: number;
}

export interface SmallestOptions {
  readonly deadlineMs: number;
  readonly onProgress?: ((progress: SolverProgress) => void) | undefined;
}

/** Share of the time that local search gets before the solver. */
const SEARCH_SHARE = 0.1;
const SEARCH_MAX_MS = 3000;

/**
 * The smallest set of ADMs that fulfils the constraints, which can be fulfilled. Capacities are not looked at.
 *
 * @throws Error when the solver fails
 */
export async function smallestSet(
  problem: PlanProblem,
  constraints: readonly Constraint[],
  solver: Solver,
  options: SmallestOptions,
): Promise<Smallest> {
  const services = problem.graph.services.length;
  const { needed, edges } = resolveSides(
    constraints.map(({ clause }) => clause),
    services,
    services + problem.placements.length,
  );
  const kernel = reduce(graphOf(edges.filter(([a, b]) => !needed.has(a) && !needed.has(b))));
  const adms = new Set([...needed, ...kernel.taken]);
  let bound = adms.size;
  const parts = components(kernel.graph);
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  for (const part of parts) {
    const leftMs = options.deadlineMs - performance.now();
    const partMs = Math.max(0, leftMs) * Math.max(part.length / total, part === parts.at(-1) ? 1 : 0);
    const found = await coverOf(kernel.graph, part, solver, { ...options, deadlineMs: performance.now() + partMs });
    for (const vertex of found.cover) adms.add(vertex);
    bound += found.bound;
  }
  return { adms, bound };
}

async function coverOf(
  graph: Graph,
  part: readonly number[],
  solver: Solver,
  { deadlineMs, onProgress }: SmallestOptions,
): Promise<{ cover: ReadonlySet<number>; bound: number }> {
  const sub = new Map(part.map((vertex) => [vertex, graph.get(vertex)!]));
  const searchMs = Math.min(SEARCH_MAX_MS, (deadlineMs - performance.now()) * SEARCH_SHARE, part.length * 5);
  const start = searchCover(sub, performance.now() + searchMs, generator(7));
  const program = new IntegerProgram();
  const column = new Map(part.map((vertex) => [vertex, program.addColumn(1)]));
  for (const clique of cliqueCover(graph, part)) {
    program.addRow(
      clique.length - 1,
      clique.map((vertex) => [column.get(vertex)!, 1] as const),
      Number.POSITIVE_INFINITY,
    );
  }
  // After the reductions every value of the linear program may be a half: it says no less than this.
  const halves = Math.ceil(part.length / 2);
  // The objective is whole: a bound within one of it proves it.
  const result = await solver.solve(program, {
    deadlineMs,
    onProgress,
    start: part.map((vertex) => (start.has(vertex) ? 1 : 0)),
    absoluteGap: 0.999,
  });
  const values = result.values;
  const cover = values === undefined ? start : new Set(part.filter((_, index) => values[index]! > 0.5));
  const proved = result.status === 'optimal' ? cover.size : Math.ceil(result.bound - 1e-6);
  return { cover, bound: Math.min(cover.size, Math.max(halves, Number.isFinite(proved) ? proved : 0)) };
}

/** The same numbers in every run. */
export function generator(seed: number): () => number {
  let state = seed;
  // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Resolved {
  /** Services that have an ADM in every plan. */
  readonly needed: ReadonlySet<number>;
  /** Of these two services one has an ADM. */
  readonly edges: readonly (readonly [number, number])[];
}

/**
 * Resolves the placements' sides out of the clauses (Davis, Putnam 1960): what is left says of which services one at least
 * has an ADM, and whoever fulfils it can place everything.
 */
function resolveSides(clauses: readonly Clause[], services: number, variables: number): Resolved {
  const formula = new Formula(variables, clauses);
  formula.propagateUnits();
  const open = clauses.filter((clause) => !clause.some((literal) => formula.isTrue(literal)));
  const byLiteral = new Map<Literal, Set<Literal>>();
  const join = (a: Literal, b: Literal): void => {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const there = byLiteral.get(one) ?? new Set();
      byLiteral.set(one, there);
      there.add(other);
    }
  };
  const part = (a: Literal, b: Literal): void => {
    byLiteral.get(a)?.delete(b);
    byLiteral.get(b)?.delete(a);
  };
  for (const [first, second] of open) if (second !== undefined) join(first, second);
  const needed = new Set<number>();
  for (let service = 0; service < services; service++) if (formula.values[service] === 1) needed.add(admOf(service));
  for (let side = services; side < variables; side++) {
    if (formula.values[side] !== -1) continue;
    const [holding, failing] = [side * 2, side * 2 + 1];
    const withIt = [...(byLiteral.get(holding) ?? [])];
    const without = [...(byLiteral.get(failing) ?? [])];
    for (const a of withIt) part(holding, a);
    for (const b of without) part(failing, b);
    for (const a of withIt) for (const b of without) if (a !== negated(b)) join(a, b);
  }
  const edges: [number, number][] = [];
  for (const [literal, others] of byLiteral) {
    for (const other of others) {
      if (literal > other) continue;
      if (literal === other) needed.add(variableOf(literal));
      else edges.push([variableOf(literal), variableOf(other)]);
    }
  }
  return { needed, edges };
}
