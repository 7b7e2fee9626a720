import type { StringMatcher } from '../config/schema/matcher.ts';
import type { HeaderMatcher } from '../config/schema/route-matchers.ts';
import { compileRegex } from './regex.ts';
import { compileStringMatcher } from './string-matcher.ts';

/** Where a header is looked up by its lower-case name: a request or response head. */
export interface HeaderSource {
  /** Lines of one name come joined by `,`. */
  get(name: string): string | undefined;
  /** The lines of a header, one by one; none for a pseudo-header. */
  getAll(name: string): readonly string[];
}

const INTEGER = /^[ \t]*[-+]?\d+[ \t]*$/;

/**
 * Compiles envoy.config.route.v3.HeaderMatcher. A missing header matches nothing but `present_match: false`, whatever
 * `invert_match` says, unless `treat_missing_header_as_empty`. Of a repeated header one line must match, or none when
 * inverted: as in Envoy, and so that a second line does not hide the first from a policy.
 *
 * @throws RegexError
 */
export function compileHeaderMatcher(config: HeaderMatcher): (head: HeaderSource) => boolean {
  const name = config.name.toLowerCase();
  const matches = compileValueTest(config);
  if (matches === undefined) return compilePresence(name, config);
  const invert = config.invert_match;
  const matchesLine = (head: HeaderSource, value: string): boolean =>
    value.includes(',') ? someLine(head.getAll(name), value, matches) : matches(value);
  if (config.treat_missing_header_as_empty) return (head) => matchesLine(head, head.get(name) ?? '') !== invert;
  if (invert) {
    return (head) => {
      const value = head.get(name);
      return value !== undefined && !matchesLine(head, value);
    };
  }
  return (head) => {
    const value = head.get(name);
    return value !== undefined && matchesLine(head, value);
  };
}

/** Tests a value with a comma, which may be several lines joined. */
function someLine(lines: readonly string[], joined: string, matches: (value: string) => boolean): boolean {
  if (lines.length < 2) return matches(joined);
  for (const line of lines) if (matches(line)) return true;
  return false;
}

/** Compiles header matchers of which all must match; undefined for none. */
export function compileHeaderMatchers(
  configs: readonly HeaderMatcher[],
): ((head: HeaderSource) => boolean) | undefined {
  const [first, second, ...others] = configs.map(compileHeaderMatcher);
  if (first === undefined || second === undefined) return first;
  if (others.length === 0) return (head) => first(head) && second(head);
  return (head) => {
    if (!first(head) || !second(head)) return false;
    for (const matches of others) if (!matches(head)) return false;
    return true;
  };
}

function compilePresence(name: string, config: HeaderMatcher): (head: HeaderSource) => boolean {
  const wanted = (config.present_match ?? true) !== config.invert_match;
  if (config.treat_missing_header_as_empty) return () => wanted;
  return (head) => (head.get(name) !== undefined) === wanted;
}

/** The test of a present value; undefined when the matcher asks for presence. */
function compileValueTest(config: HeaderMatcher): ((value: string) => boolean) | undefined {
  if (config.string_match !== undefined) return compileStringMatcher(config.string_match);
  if (config.safe_regex_match !== undefined) return compileRegex(config.safe_regex_match.regex).matches;
  if (config.range_match !== undefined) {
    const { start, end } = config.range_match;
    return (value) => {
      if (!INTEGER.test(value)) return false;
      const number = Number(value);
      return number >= start && number < end;
    };
  }
  // The deprecated exact_match accepts every value when it is empty; string_match does not.
  if (config.exact_match === '') return () => true;
  const deprecated = deprecatedString(config);
  return deprecated === undefined ? undefined : compileStringMatcher({ ...deprecated, ignore_case: false });
}

function deprecatedString(config: HeaderMatcher): Omit<StringMatcher, 'ignore_case'> | undefined {
  if (config.exact_match !== undefined) return { exact: config.exact_match };
  if (config.prefix_match !== undefined) return { prefix: config.prefix_match };
  if (config.suffix_match !== undefined) return { suffix: config.suffix_match };
  if (config.contains_match !== undefined) return { contains: config.contains_match };
  return undefined;
}
