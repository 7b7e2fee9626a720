import { toWireText } from '../../src/matching/wire-text.ts';
import { compileFirstMatch, type HeaderSource, type RuleStream } from './policy-index.ts';
import { compilePolicy } from './predicate.ts';
import type { Rules } from './schema.ts';

/** Compiled rules: a decision per request, and everything about each policy that a decision needs. */
export interface Engine {
  readonly action: Rules['action'];
  /** In the order of evaluation. */
  readonly policyNames: readonly string[];
  /** `response_code_details` of a denial by each policy. */
  readonly denialDetails: readonly string[];
  /** Position of the first policy that matches, or -1. */
  firstMatch(head: HeaderSource, stream: RuleStream): number;
}

/** What is said where a denial comes from no policy having matched. */
export const NO_POLICY_DETAILS = 'rbac_access_denied_matched_policy[none]';

/** Compiles rules; policies are evaluated in the byte order of their names, as Envoy's map has them. */
export function compileEngine(rules: Rules): Engine {
  const policyNames = Object.keys(rules.policies).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const policies = policyNames.map((name) => compilePolicy(rules.policies[name] as Rules['policies'][string]));
  return {
    action: rules.action,
    policyNames,
    // White space would shift the fields of an access log line, which is written byte by byte.
    denialDetails: policyNames.map(
      (name) => `rbac_access_denied_matched_policy[${toWireText(name.replace(/\s/g, '_'))}]`,
    ),
    firstMatch: compileFirstMatch(policies),
  };
}

/** Whether a request is let through for which the policy at `matched` (or none, -1) was the first to match. */
export function isAllowed(engine: Engine, matched: number): boolean {
  switch (engine.action) {
    case 'ALLOW':
      return matched >= 0;
    case 'DENY':
      return matched < 0;
    case 'LOG':
      return true;
  }
}

/** Puts a dot behind a prefix for statistics that has none. */
export function statPrefix(prefix: string): string {
  return prefix === '' || prefix.endsWith('.') ? prefix : `${prefix}.`;
}
