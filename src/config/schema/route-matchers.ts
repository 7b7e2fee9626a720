import type * as v from 'valibot';
import { bool, headerName, message, nonEmptyString, oneof, optional, string } from './building-blocks.ts';
import { RegexMatcher, StringMatcher } from './matcher.ts';
import { Int64Range } from './percent.ts';

/** The matchers of envoy.config.route.v3. */

/**
 * envoy.config.route.v3.HeaderMatcher. Without a match field it asks for presence. Envoy's deprecated exact_match,
 * prefix_match, suffix_match, contains_match and safe_regex_match stay as written.
 */
export const HeaderMatcher = message(
  {
    name: headerName(),
    exact_match: optional(string()),
    safe_regex_match: optional(RegexMatcher),
    range_match: optional(Int64Range),
    present_match: optional(bool()),
    prefix_match: optional(nonEmptyString()),
    suffix_match: optional(nonEmptyString()),
    contains_match: optional(nonEmptyString()),
    string_match: optional(StringMatcher),
    invert_match: optional(bool(), false),
    treat_missing_header_as_empty: optional(bool(), false),
  },
  oneof([
    'exact_match',
    'safe_regex_match',
    'range_match',
    'present_match',
    'prefix_match',
    'suffix_match',
    'contains_match',
    'string_match',
  ]),
);
export type HeaderMatcher = v.InferOutput<typeof HeaderMatcher>;

/** envoy.config.route.v3.QueryParameterMatcher. Without a match field it asks for presence. */
export const QueryParameterMatcher = message(
  {
    name: string({ minLength: 1, maxLength: 1024 }),
    string_match: optional(StringMatcher),
    present_match: optional(bool()),
  },
  oneof(['string_match', 'present_match']),
);
export type QueryParameterMatcher = v.InferOutput<typeof QueryParameterMatcher>;
