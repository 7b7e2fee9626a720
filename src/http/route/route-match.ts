import type { RouteMatch } from '../../config/schema/route-components.ts';
import { compileFraction } from '../../matching/fraction.ts';
import { compileHeaderMatchers } from '../../matching/header-matcher.ts';
import { compileQueryParameterMatcher } from '../../matching/query-parameter-matcher.ts';
import { compileRegex } from '../../matching/regex.ts';
import { compileStringMatcher } from '../../matching/string-matcher.ts';
import { compileMetadataMatcher } from '../../matching/value-matcher.ts';
import { lowerAscii, toWireText } from '../../matching/wire-text.ts';
import { isGrpcContentType } from '../grpc/content-type.ts';
import { cookieValue } from './cookie.ts';
import { type Candidate, type Condition, PATH_KIND, type PathKind } from './route-index.ts';

/**
 * Compiles envoy.config.route.v3.RouteMatch for the index. `random` gives numbers from 0 (included) to 1.
 *
 * @throws RegexError
 */
export function compileRouteMatch<T>(config: RouteMatch, value: T, random: () => number): Candidate<T> {
  return { ...compilePath(config), condition: compileConditions(config, random), value };
}

function compilePath(config: RouteMatch): Pick<Candidate<unknown>, 'kind' | 'text' | 'test'> {
  if (config.connect_matcher !== undefined) return { kind: PATH_KIND.CONNECT, text: '', test: undefined };
  if (config.safe_regex !== undefined) {
    const regex = compileRegex(config.safe_regex.regex);
    return { kind: PATH_KIND.TEST, text: regex.prefix, test: regex.matches };
  }
  if (config.path !== undefined) return literalPath(PATH_KIND.EXACT, config.path, config.case_sensitive);
  if (config.path_separated_prefix !== undefined) {
    return literalPath(PATH_KIND.SEPARATED_PREFIX, config.path_separated_prefix, config.case_sensitive);
  }
  return literalPath(PATH_KIND.PREFIX, config.prefix ?? '', config.case_sensitive);
}

function literalPath(
  kind: PathKind,
  literal: string,
  caseSensitive: boolean,
): Pick<Candidate<unknown>, 'kind' | 'text' | 'test'> {
  const text = toWireText(literal);
  if (caseSensitive) return { kind, text, test: undefined };
  const lower = lowerAscii(text);
  const { length } = lower;
  if (kind === PATH_KIND.EXACT) {
    return { kind: PATH_KIND.TEST, text: '', test: (path) => path.length === length && lowerAscii(path) === lower };
  }
  const begins = (path: string): boolean => path.length >= length && lowerAscii(path.substring(0, length)) === lower;
  if (kind === PATH_KIND.PREFIX) return { kind: PATH_KIND.TEST, text: '', test: begins };
  const test = (path: string): boolean => begins(path) && (path.length === length || path[length] === '/');
  return { kind: PATH_KIND.TEST, text: '', test };
}

function compileConditions(config: RouteMatch, random: () => number): Condition | undefined {
  const conditions: Condition[] = [];
  const headers = compileHeaderMatchers(config.headers);
  if (headers !== undefined) conditions.push(headers);
  for (const parameter of config.query_parameters) {
    const matches = compileQueryParameterMatcher(parameter);
    conditions.push((request) => matches(request.path));
  }
  for (const { name, string_match: stringMatch, invert_match: invert } of config.cookies) {
    const matches = compileStringMatcher(stringMatch);
    conditions.push((request) => {
      const value = cookieValue(request, name);
      return (value !== undefined && matches(value)) !== invert;
    });
  }
  if (config.grpc !== undefined) conditions.push((request) => isGrpcContentType(request.get('content-type') ?? ''));
  for (const metadata of config.dynamic_metadata) {
    const matches = compileMetadataMatcher(metadata);
    conditions.push((_, stream) => matches(stream));
  }
  if (config.runtime_fraction !== undefined) conditions.push(compileFraction(config.runtime_fraction, random));
  const [first, ...others] = conditions;
  if (first === undefined || others.length === 0) return first;
  return (request, stream) => {
    for (const holds of conditions) if (!holds(request, stream)) return false;
    return true;
  };
}
