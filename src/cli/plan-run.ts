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
import { preparePlanFolder, writePlan } from './plan-output.ts';
import { PlanProgress } from './plan-progress.ts';
import { conflictText, planText } from './plan-text.ts';
import { UsageError } from './usage-error.ts';

/** What follows from a solution takes about as long as what comes before it, and writing it all to files longer. */
const REST_BY_PREPARATION = 1;
const FILES_BY_PREPARATION = 2;
/** Most of the time that is kept for it. */
const REST_SHARE = 0.5;
/** Whatever the limit: less finds nothing. */
const MIN_SEARCH_MS = 200;

/**
 * How long to search, so that all is done within the limit: it is what somebody waits, starting and reading included.
 *
 * @param passedMs since the process began
 */
export function searchTimeMs(limitMs: number, passedMs: number, writesFiles: boolean): number {
  const restMs = passedMs * (REST_BY_PREPARATION + (writesFiles ? FILES_BY_PREPARATION : 0));
  return Math.max(MIN_SEARCH_MS, limitMs - passedMs - Math.min(restMs, limitMs * REST_SHARE));
}

/** `outrigger plan`: the exit code. @throws ConfigError */
export async function plan(files: readonly string[], flags: PlanFlags): Promise<number> {
  if (flags.slack !== undefined && flags.previous === undefined)
    throw new UsageError('--slack: moves are counted against an earlier plan', 'name it with --previous');
  const graph = readCallGraph(files);
  const profile = flags.costs === undefined ? defaultProfile() : readCostProfile(flags.costs);
  const problem = planProblem(graph, { survive: flags.survive === 1 });
  const before = flags.previous === undefined ? undefined : readPlan(flags.previous);
  if (flags.output !== undefined) preparePlanFolder(flags.output);
  const progress = new PlanProgress(flags.timeLimit);
  try {
    const optimum = await optimize(problem, profile, {
      objective: flags.objective,
      timeLimitMs: searchTimeMs(flags.timeLimit * 1000, performance.now(), flags.output !== undefined),
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
