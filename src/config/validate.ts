import type * as v from 'valibot';
import type { FilterRegistry } from '../filter/registry.ts';
import { resolveAgents } from './agent-sockets.ts';
import { crossCheck, crossCheckPartly } from './cross-check.ts';
import { formatPath, type Path } from './errors.ts';
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
  if (result.issues !== undefined) {
    const findings = result.issues.map(findingOf);
    return [...findings, ...crossFindings(result.value, findings)];
  }
  const bootstrap = result.value as Bootstrap;
  const problems = [...crossCheck(bootstrap), ...resolveAgents(bootstrap)];
  return problems.length === 0 ? bootstrap : problems;
}

/** What can be said of references in a file that has other faults too: nothing about what is itself at fault. */
function crossFindings(value: unknown, findings: readonly Finding[]): Finding[] {
  const faulty = findings.map(({ path }) => formatPath(path));
  return crossCheckPartly(value).filter(({ path }) => {
    const place = formatPath(path);
    return !faulty.some((fault) => fault.startsWith(place) || place.startsWith(fault));
  });
}

/** A valibot issue with its path as plain keys. */
export function findingOf(issue: v.BaseIssue<unknown>): Finding {
  const path = (issue.path ?? []).map((item) => item.key as string | number);
  const problem = issue.requirement;
  if (!(problem instanceof Problem)) return { path, message: issue.message, allowed: undefined, suggestion: undefined };
  return { path, message: problem.message, allowed: problem.allowed, suggestion: problem.suggestion };
}
