import { readFileSync } from 'node:fs';
import { builtinRegistry } from '../../filters/index.ts';
import { type Applied, applyPolicies } from '../../policies/apply.ts';
import { readPolicyFiles, titleOf } from '../../policies/file.ts';
import { refuseOtherKind } from '../../policies/input-kind.ts';
import { MergeError } from '../../policies/merge.ts';
import type { Policy } from '../../policies/policy.ts';
import { parseSource } from '../config/document.ts';
import { ConfigError } from '../config/errors.ts';
import { toYaml } from '../config/expand.ts';
import { loadConfig, readText, toCanonical } from '../config/load.ts';
import { refuseSame, writeOutput } from './output.ts';
import type { ApplyOptions } from './policy.ts';
import { UsageError } from './usage-error.ts';

/** `outrigger policy apply`: the configuration as text. @throws ConfigError, UsageError */
export function applyFiles(files: readonly string[], options: ApplyOptions): string {
  refuseSame([options.limits], [...files, options.to]);
  const policies = readPolicyFiles(files);
  const [name, text] =
    options.to === '-' ? ['standard input', readFileSync(0, 'utf8')] : [options.to, readText(options.to)];
  const source = parseSource(text);
  if (Array.isArray(source)) throw new ConfigError(name, source);
  refuseOtherKind(name, source.data, 'configuration');
  const registry = builtinRegistry();
  // What is wrong with the file itself is told by its own lines.
  loadConfig(name, { registry, text });
  const { canonical } = toCanonical(name, source);
  const applied = apply(canonical as Record<string, unknown>, policies, options);
  for (const policy of applied.skipped) {
    process.stderr.write(`outrigger: ${titleOf(policy)} selects other workloads and is left out\n`);
  }
  const limits = options.limits === undefined ? undefined : limitsOf(applied);
  const json = `${JSON.stringify(applied.bootstrap, undefined, 2)}\n`;
  // A fault here is a policy's that its own schema does not see.
  loadConfig(`${name} with policies`, { registry, text: json });
  if (options.limits !== undefined && limits !== undefined) writeOutput(options.limits, limits);
  return options.json === true ? json : toYaml(applied.bootstrap);
}

function apply(
  canonical: Record<string, unknown>,
  policies: readonly Policy[],
  { side, labels, listener }: ApplyOptions,
): Applied {
  try {
    return applyPolicies(canonical, policies, { side, labels, listeners: listener });
  } catch (error) {
    if (error instanceof MergeError) throw new UsageError(error.message, 'policies set what the file leaves open');
    throw error;
  }
}

function limitsOf({ policies }: Applied): string {
  const limits = policies.flatMap(({ fragments }) => (fragments.limits === undefined ? [] : [fragments.limits]));
  if (limits.length === 0) throw new UsageError('there is no RateLimit among the policies', 'leave out --limits');
  if (limits.length > 1)
    throw new UsageError('several policies have limits', 'apply one RateLimit at a time with --limits');
  return toYaml(limits[0]);
}
