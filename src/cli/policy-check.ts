import { placedProblem, readPolicies } from '../../policies/file.ts';
import type { Policy, Side } from '../../policies/policy.ts';
import { ConfigError, type ConfigProblem } from '../config/errors.ts';
import { EXIT } from './exit-code.ts';
import { problemText } from './problem-text.ts';

/** `outrigger policy check` */
export function checkPolicies(files: readonly string[], options: { side?: Side; json?: true }): number {
  const all: (ConfigProblem & { readonly file: string })[] = [];
  for (const file of files) {
    const problems = problemsOf(file, options.side);
    all.push(...problems.map((problem) => ({ file, ...problem })));
    if (options.json === true) continue;
    if (problems.length === 0) process.stderr.write(`${file}: OK\n`);
    else process.stdout.write(problemText(file, problems, process.stdout));
  }
  if (options.json === true) process.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`);
  return all.length === 0 ? EXIT.ok : EXIT.usage;
}

function problemsOf(file: string, side: Side | undefined): readonly ConfigProblem[] {
  let policies: Policy[];
  try {
    policies = readPolicies(file);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  if (side === undefined) return [];
  return policies.flatMap((policy) => {
    const refusal = policy.kind.refusal(policy.spec, side);
    return refusal === undefined ? [] : [placedProblem(policy, refusal)];
  });
}
