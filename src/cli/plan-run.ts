import { readCallGraph } from '../../policies/planner/call-graph-file.ts';
import { InfeasibleError } from '../../policies/planner/conflict.ts';
import { readCostProfile } from '../../policies/planner/cost-profile.ts';
import { defaultProfile } from '../../policies/planner/default-profile.ts';
import { optimize } from '../../policies/planner/optimize.ts';
import { planOf } from '../../policies/planner/plan.ts';
import { changesOf, previousOf, readPlan } from '../../policies/planner/previous-plan.ts';
import { planProblem } from '../../policies/planner/problem.ts';
import { EXIT } from './exit-code.ts';
import type { PlanFlags } from './plan.ts';
import { writePlan } from './plan-output.ts';
import { PlanProgress } from './plan-progress.ts';
import { conflictText, planText } from './plan-text.ts';

/** The rest goes into what follows from a solution. */
const SOLVER_SHARE = 0.9;

/** `outrigger plan`: the exit code. @throws ConfigError */
export async function plan(files: readonly string[], flags: PlanFlags): Promise<number> {
  // Reading counts too: the limit is what somebody waits.
  const startedAt = performance.now();
  const graph = readCallGraph(files);
  const profile = flags.costs === undefined ? defaultProfile() : readCostProfile(flags.costs);
  const problem = planProblem(graph, { survive: flags.survive === 1 });
  const before = flags.previous === undefined ? undefined : readPlan(flags.previous);
  const progress = new PlanProgress(flags.timeLimit);
  try {
    const optimum = await optimize(problem, profile, {
      objective: flags.objective,
      timeLimitMs: Math.max(1000, flags.timeLimit * 1000 * SOLVER_SHARE - (performance.now() - startedAt)),
      previous: before === undefined ? undefined : previousOf(problem, before),
      slack: flags.slack,
      onProgress: (stage, state) => progress.show(stage, state),
    });
    progress.end();
    const plain = planOf(problem, profile, flags.objective, optimum);
    const made = before === undefined ? plain : { ...plain, changes: changesOf(before, plain) };
    const lacking = flags.output === undefined ? undefined : writePlan(flags.output, made, problem, optimum.assignment);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(made, undefined, 2)}\n`);
    else process.stdout.write(planText(made));
    if (lacking !== undefined) process.stderr.write(`outrigger: no sidecar files: ${lacking}\n`);
    return EXIT.ok;
  } catch (error) {
    progress.end();
    if (!(error instanceof InfeasibleError)) throw error;
    process.stderr.write(conflictText(error.conflicts));
    return EXIT.usage;
  }
}
