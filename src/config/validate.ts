import type * as v from 'valibot';
import type { FilterRegistry } from '../filter/registry.ts';
import { crossCheck } from './cross-check.ts';
import type { Path } from './errors.ts';
import { extensionsOf } from './extensions.ts';
import { Bootstrap } from './schema/bootstrap.ts';
import type { LoadRunConfig } from './schema/containers.ts';
import { Problem, runSchema } from './schema/schema.ts';

/** What is wrong, and where: keys from the root of the bootstrap. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly allowed: string | undefined;
  readonly suggestion: string | undefined;
}

/** Validates canonical configuration as plain data, and returns everything that is wrong with it. */
export function validateBootstrap(data: unknown, registry: FilterRegistry): Bootstrap | Finding[] {
  const config: LoadRunConfig = { extensions: extensionsOf(registry) };
  const result = runSchema(Bootstrap, data, config);
  if (result.issues !== undefined) return result.issues.map(findingOf);
  const bootstrap = result.value as Bootstrap;
  const problems = crossCheck(bootstrap);
  return problems.length === 0 ? bootstrap : problems;
}

/** A valibot issue with its path as plain keys. */
export function findingOf(issue: v.BaseIssue<unknown>): Finding {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const problem = issue.requirement;
  if (!(problem instanceof Problem)) return { path, message: issue.message, allowed: undefined, suggestion: undefined };
  return { path, message: problem.message, allowed: problem.allowed, suggestion: problem.suggestion };
}
