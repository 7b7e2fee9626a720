import { RE2JS } from 're2js';
import { parseSimplePattern, requiredPrefix } from './regex-shape.ts';
import { fromWireText, toWireText } from './wire-text.ts';

/** A regular expression that RE2 does not accept; the message names the expression and what is wrong with it. */
export class RegexError extends Error {
  override name = 'RegexError';
}

/** A regular expression that must match the whole text, as Envoy's `safe_regex` does. */
export interface Regex {
  readonly pattern: string;
  /** A literal with which every matching text begins; '' when there is none. Lets a table be indexed. */
  readonly prefix: string;
  matches(text: string): boolean;
}

/**
 * Compiles a pattern in RE2 syntax (no look-around, no back-references); matching takes time linear in the text. Common
 * shapes that are really literals (`/api/.*`, `a|b|c`) become string operations.
 *
 * The text is read as UTF-8, like RE2 does; unlike there, `.` also matches a byte that is not valid UTF-8.
 *
 * @throws RegexError
 */
export function compileRegex(pattern: string): Regex {
  const regex = compileRe2(pattern);
  const simple = parseSimplePattern(pattern);
  const prefix = toWireText(requiredPrefix(pattern));
  if (simple === undefined) return { pattern, prefix, matches: (text) => regex.testExact(fromWireText(text)) };
  switch (simple.kind) {
    case 'alternatives': {
      const literals = new Set(simple.literals.map(toWireText));
      const [only] = literals;
      if (literals.size === 1) return { pattern, prefix, matches: (text) => text === only };
      return { pattern, prefix, matches: (text) => literals.has(text) };
    }
    case 'affixes': {
      const head = toWireText(simple.head);
      const tail = toWireText(simple.tail);
      const minLength = head.length + tail.length + simple.atLeast;
      return { pattern, prefix, matches: affixes(head, tail, minLength) };
    }
  }
}

/** `.` matches no line feed, so the part between head and tail must hold none. */
function affixes(head: string, tail: string, minLength: number): (text: string) => boolean {
  if (tail === '') {
    return (text) => text.length >= minLength && text.startsWith(head) && text.indexOf('\n', head.length) < 0;
  }
  return (text) => {
    if (text.length < minLength || !text.startsWith(head) || !text.endsWith(tail)) return false;
    const feed = text.indexOf('\n', head.length);
    return feed < 0 || feed >= text.length - tail.length;
  };
}

/**
 * Compiles Envoy's `RegexMatchAndSubstitute`: replaces every match in a text, left to right and without overlap; in the
 * substitution `\1`…`\9` are groups, `\0` is the match and `\\` a backslash.
 *
 * @throws RegexError for a bad pattern, a bad escape, or a group that the pattern does not have
 */
export function compileSubstitution(pattern: string, substitution: string): (text: string) => string {
  const regex = compileRe2(pattern);
  const parts = parseSubstitution(pattern, substitution, regex.groupCount());
  return (wire) => {
    const text = fromWireText(wire);
    const matcher = regex.matcher(text);
    let result = '';
    let copied = 0;
    let lastEnd = -1;
    while (matcher.find()) {
      const start = matcher.start();
      const end = matcher.end();
      // RE2's GlobalReplace takes no empty match right behind the match before it.
      if (start === end && start === lastEnd) continue;
      result += text.substring(copied, start);
      for (const part of parts) result += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      copied = end;
      lastEnd = end;
    }
    return lastEnd < 0 ? wire : toWireText(result + text.substring(copied));
  };
}

function parseSubstitution(pattern: string, substitution: string, groups: number): (string | number)[] {
  const parts: (string | number)[] = [];
  let literal = '';
  for (let i = 0; i < substitution.length; i++) {
    const char = substitution[i] as string;
    if (char !== '\\') {
      literal += char;
      continue;
    }
    const escaped = substitution[++i];
    if (escaped === '\\') {
      literal += '\\';
    } else if (escaped !== undefined && escaped >= '0' && escaped <= '9') {
      const group = Number(escaped);
      if (group > groups) {
        throw new RegexError(
          `invalid substitution '${substitution}': \\${group} is used, but '${pattern}' has ${groups} groups`,
        );
      }
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(group);
    } else {
      throw new RegexError(`invalid substitution '${substitution}': a backslash must be followed by a digit or '\\'`);
    }
  }
  if (literal !== '') parts.push(literal);
  return parts;
}

function compileRe2(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace('error parsing regexp: ', '') : String(error);
    throw new RegexError(`invalid regular expression '${pattern}': ${reason} (RE2 syntax)`, { cause: error });
  }
}
