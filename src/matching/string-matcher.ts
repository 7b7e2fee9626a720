import type { ListStringMatcher, StringMatcher } from '../config/schema/matcher.ts';
import { compileRegex } from './regex.ts';
import { lowerAscii, toWireText } from './wire-text.ts';

/**
 * Compiles envoy.type.matcher.v3.StringMatcher. `ignore_case` compares ASCII letters without case and does not apply
 * to `safe_regex`.
 *
 * @throws RegexError
 */
export function compileStringMatcher(config: StringMatcher): (value: string) => boolean {
  if (config.safe_regex !== undefined) return compileRegex(config.safe_regex.regex).matches;
  if (config.ignore_case) return ignoringCase(config);
  if (config.exact !== undefined) {
    const exact = toWireText(config.exact);
    return (value) => value === exact;
  }
  if (config.prefix !== undefined) {
    const prefix = toWireText(config.prefix);
    return (value) => value.startsWith(prefix);
  }
  if (config.suffix !== undefined) {
    const suffix = toWireText(config.suffix);
    return (value) => value.endsWith(suffix);
  }
  const contained = toWireText(config.contains ?? '');
  return (value) => value.includes(contained);
}

function ignoringCase(config: StringMatcher): (value: string) => boolean {
  if (config.exact !== undefined) {
    const exact = lowerAscii(toWireText(config.exact));
    return (value) => value.length === exact.length && lowerAscii(value) === exact;
  }
  if (config.prefix !== undefined) {
    const prefix = lowerAscii(toWireText(config.prefix));
    return (value) => value.length >= prefix.length && lowerAscii(value.substring(0, prefix.length)) === prefix;
  }
  if (config.suffix !== undefined) {
    const suffix = lowerAscii(toWireText(config.suffix));
    return (value) =>
      value.length >= suffix.length && lowerAscii(value.substring(value.length - suffix.length)) === suffix;
  }
  const contained = lowerAscii(toWireText(config.contains ?? ''));
  return (value) => lowerAscii(value).includes(contained);
}

/** Compiles a list of string matchers, of which one must match. Exact ones are looked up in a set. */
export function compileStringMatcherList(config: ListStringMatcher): (value: string) => boolean {
  const exact = new Set<string>();
  const others: ((value: string) => boolean)[] = [];
  for (const pattern of config.patterns) {
    if (pattern.exact !== undefined && !pattern.ignore_case) exact.add(toWireText(pattern.exact));
    else others.push(compileStringMatcher(pattern));
  }
  return (value) => {
    if (exact.has(value)) return true;
    for (const matches of others) if (matches(value)) return true;
    return false;
  };
}
