import { Problem, type Schema } from '../schema/building-blocks.ts';
import { describe, scalar } from '../schema/schema.ts';

/** A string matcher of the canonical form, or `present` for any value at all. */
export interface TextMatcher {
  readonly exact?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly contains?: string;
  readonly safe_regex?: { readonly regex: string };
  readonly present?: true;
}

/**
 * `text` matches exactly, `text*`, `*text` and `*text*` with anything in place of the star, `*` whenever there is a
 * value, and `~expression` by a regular expression (RE2) that must match the whole.
 */
export function textMatcher(): Schema<TextMatcher> {
  return scalar('text_matcher', 'a text or pattern', (value) => {
    if (typeof value === 'number') return { exact: String(value) };
    if (typeof value !== 'string' || value === '')
      return new Problem(`expected a text or pattern, got ${describe(value)}`);
    return parsePattern(value);
  });
}

function parsePattern(text: string): TextMatcher | Problem {
  if (text.startsWith('~')) return { safe_regex: { regex: text.slice(1) } };
  if (text === '*') return { present: true };
  const inner = text.replace(/^\*|\*$/g, '');
  if (inner.includes('*')) {
    return new Problem(`${describe(text)} has a star in the middle`, {
      allowed: 'a star at the start or the end, or ~regex',
    });
  }
  if (text.startsWith('*') && text.endsWith('*')) return { contains: inner };
  if (text.startsWith('*')) return { suffix: inner };
  if (text.endsWith('*')) return { prefix: inner };
  return { exact: text };
}

/** A header matcher of the canonical form. */
export function headerMatcher(name: string, { present, ...text }: TextMatcher): Record<string, unknown> {
  return present ? { name, present_match: true } : { name, string_match: text };
}
