import { RE2JS } from 're2js';
import * as v from 'valibot';
import {
  bool,
  check,
  double,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  type Schema,
  string,
  unsupported,
} from './building-blocks.ts';
import { DoubleRange } from './percent.ts';
import { scalar } from './schema.ts';

/** envoy.type.matcher.v3. */

/** A regular expression that the RE2 engine compiles. */
export function re2(): Schema<string> {
  return scalar('regex', 'an RE2 regular expression', (value) => {
    if (typeof value !== 'string' || value === '') return new Problem('expected a regular expression in a string');
    try {
      RE2JS.compile(value);
      return value;
    } catch (error) {
      return new Problem(`is not a regular expression in RE2 syntax: ${(error as Error).message}`);
    }
  });
}

/** envoy.type.matcher.v3.RegexMatcher. The engine is RE2 whether or not `google_re2` is given. */
export const RegexMatcher = message({
  google_re2: optional(
    message({}, unsupported('the engine runs in linear time and counts no program size', 'max_program_size')),
  ),
  regex: re2(),
});
export type RegexMatcher = v.InferOutput<typeof RegexMatcher>;

/** envoy.type.matcher.v3.RegexMatchAndSubstitute; `\1` in the substitution is the first group. */
export const RegexMatchAndSubstitute = message({ pattern: RegexMatcher, substitution: optional(string(), '') });
export type RegexMatchAndSubstitute = v.InferOutput<typeof RegexMatchAndSubstitute>;

/** envoy.type.matcher.v3.StringMatcher: exactly one of exact, prefix, suffix, contains, safe_regex. */
export const StringMatcher = message(
  {
    exact: optional(string()),
    prefix: optional(nonEmptyString()),
    suffix: optional(nonEmptyString()),
    safe_regex: optional(RegexMatcher),
    contains: optional(nonEmptyString()),
    ignore_case: optional(bool(), false),
  },
  oneof(['exact', 'prefix', 'suffix', 'safe_regex', 'contains', 'custom'], { required: true }),
  unsupported('matcher extensions are not available', 'custom'),
  check((matcher) =>
    matcher.ignore_case && matcher.safe_regex !== undefined
      ? new Problem('has no effect on safe_regex', {
          path: ['ignore_case'],
          allowed: 'the flag (?i) in the expression',
        })
      : undefined,
  ),
);
export type StringMatcher = v.InferOutput<typeof StringMatcher>;

/** envoy.type.matcher.v3.ListStringMatcher. */
export const ListStringMatcher = message({ patterns: list(StringMatcher, { min: 1 }) });
export type ListStringMatcher = v.InferOutput<typeof ListStringMatcher>;

/** envoy.type.matcher.v3.PathMatcher. */
export const PathMatcher = message({ path: StringMatcher });
export type PathMatcher = v.InferOutput<typeof PathMatcher>;

/** envoy.type.matcher.v3.DoubleMatcher: a range or an exact number. */
export const DoubleMatcher = message(
  { range: optional(DoubleRange), exact: optional(double()) },
  oneof(['range', 'exact'], { required: true }),
);
export type DoubleMatcher = v.InferOutput<typeof DoubleMatcher>;

/** envoy.type.matcher.v3.ValueMatcher: exactly one of its fields. */
export interface ValueMatcher {
  null_match?: Record<string, never> | undefined;
  double_match?: DoubleMatcher | undefined;
  string_match?: StringMatcher | undefined;
  bool_match?: boolean | undefined;
  present_match?: boolean | undefined;
  list_match?: ListMatcher | undefined;
  or_match?: OrMatcher | undefined;
}

/** envoy.type.matcher.v3.ListMatcher: at least one element matches. */
export interface ListMatcher {
  one_of?: ValueMatcher | undefined;
}

/** envoy.type.matcher.v3.OrMatcher: at least one of the matchers matches. */
export interface OrMatcher {
  value_matchers: ValueMatcher[];
}

const valueMatcher: Schema<ValueMatcher> = v.lazy(() => ValueMatcher);

export const ListMatcher: Schema<ListMatcher> = message(
  { one_of: optional(valueMatcher) },
  oneof(['one_of'], { required: true }),
);

export const OrMatcher: Schema<OrMatcher> = message({ value_matchers: list(valueMatcher, { min: 2 }) });

export const ValueMatcher: Schema<ValueMatcher> = message(
  {
    null_match: optional(message({})),
    double_match: optional(DoubleMatcher),
    string_match: optional(StringMatcher),
    bool_match: optional(bool()),
    present_match: optional(bool()),
    list_match: optional(ListMatcher),
    or_match: optional(OrMatcher),
  },
  oneof(['null_match', 'double_match', 'string_match', 'bool_match', 'present_match', 'list_match', 'or_match'], {
    required: true,
  }),
);

/** One step of a path into metadata. */
const PathSegment = message({ key: optional(nonEmptyString()) }, oneof(['key'], { required: true }));

/** envoy.type.matcher.v3.MetadataMatcher: a value in a filter's dynamic metadata. */
export const MetadataMatcher = message({
  filter: nonEmptyString(),
  path: list(PathSegment, { min: 1 }),
  value: ValueMatcher,
  invert: optional(bool(), false),
});
export type MetadataMatcher = v.InferOutput<typeof MetadataMatcher>;

/** envoy.type.matcher.v3.FilterStateMatcher on string values. */
export const FilterStateMatcher = message(
  { key: nonEmptyString(), string_match: optional(StringMatcher) },
  oneof(['string_match', 'address_match'], { required: true }),
  unsupported('only string_match is available', 'address_match'),
);
export type FilterStateMatcher = v.InferOutput<typeof FilterStateMatcher>;
