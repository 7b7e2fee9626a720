import type { MetadataMatcher, ValueMatcher } from '../config/schema/matcher.ts';
import { compileStringMatcher } from './string-matcher.ts';
import { toWireText } from './wire-text.ts';

/** Where metadata is looked up: a stream. */
export interface MetadataSource {
  getMetadata(namespace: string, key?: string): unknown;
}

/**
 * Compiles envoy.type.matcher.v3.ValueMatcher for a value in its JSON form; undefined is a value that is not there.
 *
 * @throws RegexError
 */
export function compileValueMatcher(config: ValueMatcher): (value: unknown) => boolean {
  if (config.string_match !== undefined) {
    const matches = compileStringMatcher(config.string_match);
    // String matchers compare the bytes of messages, metadata is Unicode.
    return (value) => typeof value === 'string' && matches(toWireText(value));
  }
  if (config.double_match !== undefined) {
    const { exact, range } = config.double_match;
    if (exact !== undefined) return (value) => value === exact;
    const { start, end } = range ?? { start: 0, end: 0 };
    return (value) => typeof value === 'number' && value >= start && value < end;
  }
  if (config.bool_match !== undefined) {
    const wanted = config.bool_match;
    return (value) => value === wanted;
  }
  if (config.present_match !== undefined) {
    // As in Envoy, present_match: false is no test for absence: it never matches.
    return config.present_match ? (value) => value !== undefined : () => false;
  }
  if (config.list_match?.one_of !== undefined) {
    const matches = compileValueMatcher(config.list_match.one_of);
    return (value) => Array.isArray(value) && value.some(matches);
  }
  if (config.or_match !== undefined) {
    const alternatives = config.or_match.value_matchers.map(compileValueMatcher);
    return (value) => {
      for (const matches of alternatives) if (matches(value)) return true;
      return false;
    };
  }
  return (value) => value === null;
}

/**
 * Compiles envoy.type.matcher.v3.MetadataMatcher: follows the path into what a filter left on the stream.
 *
 * @throws RegexError
 */
export function compileMetadataMatcher(config: MetadataMatcher): (source: MetadataSource) => boolean {
  const namespace = config.filter;
  const [first = '', ...rest] = config.path.map((segment) => segment.key ?? '');
  const matches = compileValueMatcher(config.value);
  const invert = config.invert;
  return (source) => {
    let value = source.getMetadata(namespace, first);
    for (const key of rest) value = member(value, key);
    return matches(value) !== invert;
  };
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}
