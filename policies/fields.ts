import { Problem, type Schema } from '../src/config/schema/building-blocks.ts';
import { RegexMatcher } from '../src/config/schema/matcher.ts';
import { addProblem, defineSchema, runSchema } from '../src/config/schema/schema.ts';
import { type TextMatcher, textMatcher } from '../src/config/sidecar/text-matcher.ts';
import { address, type CanonicalAddress, span } from '../src/config/sidecar/units.ts';

/** Values of policies whose bounds Envoy's configuration has: a fault is told at its own line, not where it leads to. */

const MAX_SECONDS = 315_576_000_000;

/** A text, or a pattern with a star at one end, `*text*`, `*`, or `~regex` (RE2). */
export function text(): Schema<TextMatcher> {
  return refined(textMatcher(), ({ contains, safe_regex }) => {
    if (contains === '') return new Problem('has nothing between its stars', { allowed: '* for any value' });
    if (safe_regex === undefined) return undefined;
    const { issues } = runSchema(RegexMatcher, safe_regex, {});
    return issues?.[0] === undefined
      ? undefined
      : new Problem(issues[0].message, { allowed: '~ and a regular expression' });
  });
}

/** A time longer than none, in the canonical form. */
export function time(): Schema<string> {
  return refined(span(), (value) => {
    const seconds = secondsOf(value);
    return seconds > 0 && seconds <= MAX_SECONDS
      ? undefined
      : new Problem(`${value} is out of range`, { allowed: `more than 0s, at most ${MAX_SECONDS}s` });
  });
}

/** Of a time in the canonical form. */
export function secondsOf(value: string): number {
  return Number(value.slice(0, -1));
}

/** Where a service listens. */
export function serviceAddress(): Schema<CanonicalAddress> {
  return refined(address(), (target) => {
    if ('pipe' in target) return undefined;
    const { port_value: port } = target.socket_address;
    return Number.isInteger(port) && port > 0 && port <= 65535
      ? undefined
      : new Problem(`${port} is not a port`, { allowed: '1 to 65535' });
  });
}

function refined<T>(schema: Schema<T>, check: (value: T) => Problem | undefined): Schema<T> {
  return defineSchema<T>(schema.type, schema.expects, (input, dataset, config) => {
    const { issues, typed, value } = runSchema(schema, input, config);
    dataset.issues = issues;
    dataset.typed = typed;
    dataset.value = value;
    const problem = issues === undefined ? check(value as T) : undefined;
    if (problem !== undefined) addProblem(dataset, problem, input);
  });
}
