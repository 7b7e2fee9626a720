import type { Side } from '../policy.ts';
import { admOf, type Constraint, sideOf, variableCount } from './constraints.ts';
import { type CostProfile, costOfPolicy } from './cost-profile.ts';
import { Expression } from './expression.ts';
import { Formula, type Literal, variableOf } from './formula.ts';
import { IntegerProgram } from './integer-program.ts';
import { type Assignment, type CallGroup, runsAt } from './load.ts';
import type { PlanProblem } from './problem.ts';
import { addLimit } from './scaled-program.ts';

/** What is made small once the number of ADMs is. */
export type Objective = 'cpu' | 'balance' | 'latency';

type Metric = 'cpuMicros' | 'latencyMicros';

export const OBJECTIVES: readonly Objective[] = ['cpu', 'balance', 'latency'];

const NO_LIMIT = Number.POSITIVE_INFINITY;

/** The whole question as one integer program: ADMs, sides, the traffic that passes sidecars, capacities. */
export class PlacementProgram {
  readonly program = new IntegerProgram();
  readonly problem: PlanProblem;
  readonly groups: readonly CallGroup[];
  readonly profile: CostProfile;
  private readonly formula: Formula;
  /** Column of a variable that nothing decides. */
  private readonly columns = new Map<number, number>();
  /** Columns that say whether a call group passes a sidecar at a side; a number that is decided is 0 or 1 at `fixed`. */
  private readonly passes: readonly Readonly<Record<Side, { column: number } | { fixed: number }>>[];
  /** Columns that say whether a service's sidecar carries a policy, with the placements of which one is enough. */
  private readonly carried: { readonly column: number; readonly running: readonly Ended[] }[] = [];
  private readonly policyCounts = new Map<number, Expression>();
  private readonly costs = new Map<Metric, ReadonlyMap<number, Expression>>();

  /** The constraints must not contradict each other. */
  constructor(
    problem: PlanProblem,
    constraints: readonly Constraint[],
    groups: readonly CallGroup[],
    profile: CostProfile,
  ) {
    this.problem = problem;
    this.groups = groups;
    this.profile = profile;
    this.formula = new Formula(
      variableCount(problem),
      constraints.map(({ clause }) => clause),
    );
    this.formula.propagateUnits();
    const mentioned = new Set<number>();
    for (const { clause } of constraints) for (const literal of clause) mentioned.add(variableOf(literal));
    // A side that no constraint speaks of is free; an ADM that none asks for is not there.
    for (const placement of problem.placements.keys()) mentioned.add(sideOf(problem, placement));
    for (const variable of mentioned) {
      if (this.formula.values[variable] === -1) this.columns.set(variable, this.program.addColumn(0));
    }
    const rows = new Set<string>();
    for (const { clause } of constraints) this.addClause(clause, rows);
    this.passes = groups.map((group) => ({
      sender: this.passColumn(group, 'sender'),
      receiver: this.passColumn(group, 'receiver'),
    }));
  }

  /** The number of ADMs. */
  adms(): Expression {
    const sum = new Expression();
    for (const service of this.problem.graph.services.keys()) this.addVariable(sum, admOf(service), 1);
    return sum;
  }

  /** Of one sidecar of a service, MiB, with what it carries. */
  memory(service: number): Expression {
    const sum = this.variable(admOf(service), this.profile.memoryMiB);
    const { memoryPerPolicyMiB } = this.profile;
    const policies = memoryPerPolicyMiB === 0 ? undefined : this.policiesByService().get(service);
    if (policies !== undefined) sum.addAll(policies, memoryPerPolicyMiB);
    return sum;
  }

  variable(variable: number, amount: number): Expression {
    const sum = new Expression();
    this.addVariable(sum, variable, amount);
    return sum;
  }

  /** CPU (µs per second) or latency of all requests. */
  cost(metric: Metric): Expression {
    const sum = new Expression();
    for (const one of this.costsByService(metric).values()) sum.addAll(one, 1);
    return sum;
  }

  /** The same of each service's sidecars; services that cannot have any cost are left out. */
  costsByService(metric: Metric): ReadonlyMap<number, Expression> {
    const known = this.costs.get(metric);
    if (known !== undefined) return known;
    const costs = new Map<number, Expression>();
    for (const [index, group] of this.groups.entries()) {
      for (const side of ['sender', 'receiver'] as const) this.addGroup(costs, group, index, side, metric);
    }
    this.costs.set(metric, costs);
    return costs;
  }

  /** Of one replica's sidecar of each service, µs of CPU per second. */
  loads(): Expression[] {
    return Array.from(this.costsByService('cpuMicros'), ([service, load]) => {
      const sum = new Expression();
      sum.addAll(load, 1 / this.problem.graph.services[service]!.replicas);
      return sum;
    });
  }

  /** How many ADMs and placements change. Services and placements that were not there do not count. */
  moves(previous: Assignment, known: { services: ReadonlySet<number>; placements: ReadonlySet<number> }): Expression {
    const sum = new Expression();
    for (const service of known.services) this.addChange(sum, admOf(service), previous.adms.has(service));
    for (const placement of known.placements) {
      this.addChange(sum, sideOf(this.problem, placement), previous.sides[placement] === 'receiver');
    }
    return sum;
  }

  /** How many policies each service's sidecar carries. */
  policiesByService(): ReadonlyMap<number, Expression> {
    if (this.policyCounts.size > 0) return this.policyCounts;
    const near = new Map<number, Map<string, Ended[]>>();
    for (const [placement, { policy, receiver, senders }] of this.problem.placements.entries()) {
      const ends = [[receiver, 'receiver'] as const, ...senders.map((sender) => [sender, 'sender'] as const)];
      for (const [service, side] of ends) {
        const policies = near.get(service) ?? new Map<string, Ended[]>();
        near.set(service, policies);
        policies.set(policy.name, [...(policies.get(policy.name) ?? []), { placement, side }]);
      }
    }
    for (const [service, policies] of near) {
      if (!this.problem.graph.services[service]!.takesSidecar) continue;
      const sum = new Expression();
      for (const running of policies.values()) {
        const carries = this.anyOf(running);
        if ('fixed' in carries) sum.constant += carries.fixed;
        else {
          sum.add(carries.column, 1);
          this.carried.push({ column: carries.column, running });
        }
      }
      this.policyCounts.set(service, sum);
    }
    return this.policyCounts;
  }

  limit(expression: Expression, upper: number): void {
    addLimit(this.program, expression, upper);
  }

  /** The columns' values for an assignment. */
  valuesOf({ adms, sides }: Assignment): Float64Array {
    const { problem } = this;
    const values = new Float64Array(this.program.costs.length);
    const of = (variable: number): boolean =>
      variable < problem.graph.services.length
        ? adms.has(variable)
        : sides[variable - problem.graph.services.length] === 'receiver';
    for (const [variable, column] of this.columns) values[column] = of(variable) ? 1 : 0;
    for (const [index, group] of this.groups.entries()) {
      for (const side of ['sender', 'receiver'] as const) {
        const pass = this.passes[index]![side];
        if (!('column' in pass)) continue;
        values[pass.column] = passersOf(group, side).some((one) => runsAt(problem.placements[one]!, side, sides[one]!))
          ? 1
          : 0;
      }
    }
    for (const { column, running } of this.carried) {
      const isThere = running.some(({ placement, side }) =>
        runsAt(problem.placements[placement]!, side, sides[placement]!),
      );
      values[column] = isThere ? 1 : 0;
    }
    return values;
  }

  /** The assignment that a solution says. */
  assignmentOf(values: ArrayLike<number>): Assignment {
    const { graph, placements } = this.problem;
    const isSet = (variable: number): boolean => {
      const column = this.columns.get(variable);
      return column === undefined ? this.formula.values[variable] === 1 : values[column]! > 0.5;
    };
    const services = [...graph.services.keys()].filter((service) => isSet(admOf(service)));
    return {
      adms: new Set(services),
      sides: placements.map((_, index) => (isSet(sideOf(this.problem, index)) ? 'receiver' : 'sender')),
    };
  }

  private addClause(clause: readonly Literal[], rows: Set<string>): void {
    if (clause.some((literal) => this.formula.isTrue(literal))) return;
    const open = clause.filter((literal) => !this.formula.isFalse(literal));
    const key = open.join();
    if (rows.has(key)) return;
    rows.add(key);
    const negations = open.filter((literal) => (literal & 1) === 1).length;
    const terms = open.map(
      (literal) => [this.columns.get(variableOf(literal))!, (literal & 1) === 1 ? -1 : 1] as const,
    );
    this.program.addRow(1 - negations, terms, NO_LIMIT);
  }

  private addVariable(sum: Expression, variable: number, amount: number): void {
    const column = this.columns.get(variable);
    if (column !== undefined) sum.add(column, amount);
    else if (this.formula.values[variable] === 1) sum.constant += amount;
  }

  private addChange(sum: Expression, variable: number, was: boolean): void {
    const column = this.columns.get(variable);
    if (column === undefined) {
      if ((this.formula.values[variable] === 1) !== was) sum.constant++;
    } else if (was) sum.addComplement(column, 1);
    else sum.add(column, 1);
  }

  /** Whether a placement runs at a side: decided, or as a column, or as one minus a column. */
  private runs(placement: number, side: Side): { fixed: number } | { column: number; isNegated: boolean } {
    if (this.problem.placements[placement]!.isBoth) return { fixed: 1 };
    const variable = sideOf(this.problem, placement);
    const column = this.columns.get(variable);
    if (column !== undefined) return { column, isNegated: side === 'sender' };
    return { fixed: (this.formula.values[variable] === 1) === (side === 'receiver') ? 1 : 0 };
  }

  private passColumn(group: CallGroup, side: Side): { column: number } | { fixed: number } {
    return this.anyOf(passersOf(group, side).map((placement) => ({ placement, side })));
  }

  /** A column that is 1 as soon as one of these runs, or what is decided. */
  private anyOf(ended: readonly Ended[]): { column: number } | { fixed: number } {
    const running = ended.map(({ placement, side }) => this.runs(placement, side));
    if (running.some((one) => 'fixed' in one && one.fixed === 1)) return { fixed: 1 };
    const open = running.filter((one) => 'column' in one);
    if (open.length === 0) return { fixed: 0 };
    const column = this.program.addColumn(0, { integer: false });
    for (const one of open) {
      if (one.isNegated)
        this.program.addRow(
          1,
          [
            [column, 1],
            [one.column, 1],
          ],
          NO_LIMIT,
        );
      else
        this.program.addRow(
          0,
          [
            [column, 1],
            [one.column, -1],
          ],
          NO_LIMIT,
        );
    }
    return { column };
  }

  private addGroup(costs: Map<number, Expression>, group: CallGroup, index: number, side: Side, metric: Metric): void {
    const { graph, placements } = this.problem;
    const pass = this.passes[index]![side];
    const running = group.placements.map((one) => ({ policy: placements[one]!.policy, runs: this.runs(one, side) }));
    for (const call of group.calls) {
      const { from, to, rate, bodyKiB } = graph.calls[call]!;
      const end = side === 'sender' ? from : to;
      if (!graph.services[end]!.takesSidecar) continue;
      const sum = costs.get(end) ?? new Expression();
      costs.set(end, sum);
      if ('column' in pass) sum.add(pass.column, rate * this.profile.pass[metric]);
      else sum.constant += pass.fixed * rate * this.profile.pass[metric];
      for (const { policy, runs } of running) {
        const amount = rate * costOfPolicy(this.profile, policy, side, bodyKiB)[metric];
        if ('fixed' in runs) sum.constant += runs.fixed * amount;
        else if (runs.isNegated) sum.addComplement(runs.column, amount);
        else sum.add(runs.column, amount);
      }
    }
  }
}

/** An end of a placement's calls. */
interface Ended {
  readonly placement: number;
  readonly side: Side;
}

/** The placements of which one is enough for a call group to pass a sidecar at a side. */
function passersOf({ placements, guards }: CallGroup, side: Side): readonly number[] {
  return side === 'sender' ? placements : [...new Set([...placements, ...guards])];
}
