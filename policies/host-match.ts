import type { TextMatcher } from '../src/config/sidecar/text-matcher.ts';
import type { Canonical } from './policy.ts';

/**
 * Rules that hold for requests to a host. Names of hosts know no case, and the port that a request may have behind its
 * host does not count (RFC 9110 §7.2, §4.2.3): otherwise a rule could be gone around by either.
 */
export function hostRules({ present, exact, prefix, suffix, contains, safe_regex }: TextMatcher): Canonical[] {
  if (present) return [{ any: true }];
  if (exact !== undefined) return [authority({ exact, ignore_case: true }), withPort(escaped(exact))];
  if (prefix !== undefined) return [authority({ prefix, ignore_case: true })];
  if (suffix !== undefined) return [authority({ suffix, ignore_case: true }), withPort(`.*${escaped(suffix)}`)];
  if (contains !== undefined) return [authority({ contains, ignore_case: true })];
  return [authority({ safe_regex })];
}

function authority(string_match: Canonical): Canonical {
  return { header: { name: ':authority', string_match } };
}

function withPort(pattern: string): Canonical {
  return authority({ safe_regex: { regex: `(?i)${pattern}:[0-9]+` } });
}

function escaped(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\*]/g, '\\$&');
}
