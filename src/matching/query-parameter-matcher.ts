import type { QueryParameterMatcher } from '../config/schema/route-matchers.ts';
import { compileStringMatcher } from './string-matcher.ts';
import { toWireText } from './wire-text.ts';

const AMPERSAND = 38;
const EQUALS = 61;

/** Value of the first query parameter called `name` in a path, not percent-decoded; '' for one without `=`, undefined when there is none. */
export function queryParameter(path: string, name: string): string | undefined {
  const query = path.indexOf('?');
  if (query < 0) return undefined;
  let at = query;
  for (;;) {
    at = path.indexOf(name, at + 1);
    if (at < 0) return undefined;
    const before = at - 1;
    if (before !== query && path.charCodeAt(before) !== AMPERSAND) continue;
    const after = at + name.length;
    if (after === path.length) return '';
    const next = path.charCodeAt(after);
    if (next === AMPERSAND) return '';
    if (next !== EQUALS) continue;
    const end = path.indexOf('&', after);
    return path.substring(after + 1, end < 0 ? path.length : end);
  }
}

/**
 * Compiles envoy.config.route.v3.QueryParameterMatcher into a test of a path with its query.
 *
 * @throws RegexError
 */
export function compileQueryParameterMatcher(config: QueryParameterMatcher): (path: string) => boolean {
  const name = toWireText(config.name);
  if (config.string_match !== undefined) {
    const matches = compileStringMatcher(config.string_match);
    return (path) => {
      const value = queryParameter(path, name);
      return value !== undefined && matches(value);
    };
  }
  const wanted = config.present_match ?? true;
  return (path) => (queryParameter(path, name) !== undefined) === wanted;
}
