import { readCallGraph } from '../../policies/planner/call-graph-file.ts';
import { InfeasibleError } from '../../policies/planner/conflict.ts';
import { readCostProfile } from '../../policies/planner/cost-profile.ts';
import { defaultProfile } from '../../policies/planner/default-profile.ts';
import { optimize } from '../../policies/planner/optimize.ts';
import { planOf } from '../../policies/planner/plan.ts';
import { planProblem } from '../../policies/planner/problem.ts';
import { EXIT } from './exit-code.ts';
import type { PlanFlags } from './plan.ts';
import { PlanProgress } from './plan-progress.ts';
import { conflictText, planText } from './plan-text.ts';

/** `outrigger plan`: the exit code. @throws ConfigError */
export async function plan(files: readonly string[], flags: PlanFlags): Promise<number> {
  const graph = readCallGraph(files);
  const profile = flags.costs === undefined ? defaultProfile() : readCostProfile(flags.costs);
  const problem = planProblem(graph, { survive: flags.survive === 1 });
  const progress = new PlanProgress(flags.timeLimit);
  try {
    const optimum = await optimize(problem, profile, {
      objective: flags.objective,
      timeLimitMs: flags.timeLimit * 1000,
      onProgress: (stage, state) => progress.show(stage, state),
    });
    progress.end();
    const made = planOf(problem, profile, flags.objective, optimum);
    if (flags.json === true) process.stdout.write(`${JSON.stringify(made, undefined, 2)}\n`);
    else process.stdout.write(planText(made));
    return EXIT.ok;
  } catch (error) {
    progress.end();
    if (!(error instanceof InfeasibleError)) throw error;
    process.stderr.write(conflictText(error.conflicts));
    return EXIT.usage;
  }
}
