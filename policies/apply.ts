import { ConfigError, type ConfigProblem } from '../src/config/errors.ts';
import { placedProblem, selects, titleOf } from './file.ts';
import { mergePolicies, type NamedFragments } from './merge.ts';
import type { Canonical, Policy, Side } from './policy.ts';

export interface Placement {
  /** The side that a sidecar is on; undefined: each policy on its usual one, for a proxy that is both. */
  readonly side?: Side | undefined;
  /** Labels of the workload; undefined: policies hold whatever they select. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly listeners?: readonly string[] | undefined;
}

/** What the policies become together with a bootstrap. */
export interface Applied {
  readonly bootstrap: Canonical;
  readonly policies: readonly NamedFragments[];
  /** Policies that select other workloads. */
  readonly skipped: readonly Policy[];
}

/**
 * Puts policies into a canonical bootstrap.
 *
 * @throws ConfigError when a policy cannot live on the side, MergeError when it does not fit the bootstrap
 */
export function applyPolicies(bootstrap: Canonical, policies: readonly Policy[], placement: Placement = {}): Applied {
  const { labels } = placement;
  const [meant, skipped] =
    labels === undefined
      ? [policies, []]
      : [policies.filter((one) => selects(one, labels)), policies.filter((one) => !selects(one, labels))];
  const compiled = compilePolicies(meant, placement.side);
  return { bootstrap: mergePolicies(bootstrap, compiled, placement), policies: compiled, skipped };
}

/** @throws ConfigError naming every policy of the first file that cannot live on the side, and why */
export function compilePolicies(policies: readonly Policy[], side: Side | undefined): NamedFragments[] {
  const problemsByFile = new Map<string, ConfigProblem[]>();
  const compiled: NamedFragments[] = [];
  for (const policy of policies) {
    const where = side ?? policy.kind.semantics.usualSide;
    const refusal = policy.kind.refusal(policy.spec, where);
    if (refusal === undefined) compiled.push({ title: titleOf(policy), fragments: policy.kind.compile(policy, where) });
    else problemsByFile.set(policy.file, [...(problemsByFile.get(policy.file) ?? []), placedProblem(policy, refusal)]);
  }
  for (const [file, problems] of problemsByFile) throw new ConfigError(file, problems);
  return compiled;
}
