/** What a pattern amounts to when it is made of literals: one of some texts, or a head and a tail with anything between. */
export type SimplePattern =
  | { readonly kind: 'alternatives'; readonly literals: readonly string[] }
  | {
      readonly kind: 'affixes';
      readonly head: string;
      readonly tail: string;
      /** Least length of what lies between: 0 for `.*`, 1 for `.+`. */
      readonly atLeast: 0 | 1;
    };

const META = '\\^$.|?*+()[]{}';
const ALPHANUMERIC = /[A-Za-z0-9]/;

/**
 * Recognises a pattern, for matching whole texts, that needs no automaton: `a`, `a|b|c`, `(a|b)`, `head.*`, `.*tail`,
 * `head.*tail`, each also with `.+` and within `^…$`. Undefined for anything else; the pattern must be valid.
 */
export function parseSimplePattern(pattern: string): SimplePattern | undefined {
  const body = stripAnchors(pattern);
  const wildcard = parseAffixes(body);
  if (wildcard !== undefined) return wildcard;
  const inner = stripGroup(body);
  const literals: string[] = [];
  let at = 0;
  for (;;) {
    const literal = readLiteral(inner, at);
    literals.push(literal.text);
    if (literal.end === inner.length) return { kind: 'alternatives', literals };
    if (inner[literal.end] !== '|') return undefined;
    at = literal.end + 1;
  }
}

function parseAffixes(body: string): SimplePattern | undefined {
  const head = readLiteral(body, 0);
  const operator = body.substring(head.end, head.end + 2);
  if (operator !== '.*' && operator !== '.+') return undefined;
  const tail = readLiteral(body, head.end + 2);
  if (tail.end !== body.length) return undefined;
  return { kind: 'affixes', head: head.text, tail: tail.text, atLeast: operator === '.+' ? 1 : 0 };
}

/** The literal with which every text matching the pattern begins; '' when it is not obvious. */
export function requiredPrefix(pattern: string): string {
  if (pattern.includes('\\Q') || hasTopLevelAlternative(pattern)) return '';
  return readLiteral(pattern, pattern.startsWith('^') ? 1 : 0).text;
}

/** Reads literal characters up to the first operator; one that a quantifier follows is not part of the literal. */
function readLiteral(pattern: string, from: number): { text: string; end: number } {
  let text = '';
  let i = from;
  while (i < pattern.length) {
    let char = pattern[i] as string;
    let next = i + 1;
    if (char === '\\') {
      char = pattern[next] ?? '';
      // \d, \b, \x41 and the like: only escaped punctuation stands for itself.
      if (char === '' || ALPHANUMERIC.test(char) || char.charCodeAt(0) > 126) break;
      next++;
    } else if (char.charCodeAt(0) >= 0xd800 && char.charCodeAt(0) <= 0xdfff) {
      // A quantifier repeats the whole code point, not its second half.
      break;
    } else if (META.includes(char)) {
      break;
    }
    const after = pattern[next];
    if (after === '*' || after === '+' || after === '?' || after === '{') break;
    text += char;
    i = next;
  }
  return { text, end: i };
}

/** Removes `^` and `$` around a pattern without alternatives: a match of the whole text implies them. */
function stripAnchors(pattern: string): string {
  if (hasTopLevelAlternative(pattern)) return pattern;
  const from = pattern.startsWith('^') ? 1 : 0;
  const to = endsWithAnchor(pattern) ? pattern.length - 1 : pattern.length;
  return pattern.substring(from, Math.max(from, to));
}

function endsWithAnchor(pattern: string): boolean {
  if (!pattern.endsWith('$')) return false;
  let backslashes = 0;
  while (pattern[pattern.length - 2 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 0;
}

function stripGroup(pattern: string): string {
  if (!pattern.startsWith('(') || !pattern.endsWith(')')) return pattern;
  const inner = pattern.substring(pattern.startsWith('(?:') ? 3 : 1, pattern.length - 1);
  // Any operator but `|` is refused by the caller, so an inner parenthesis leads to the automaton.
  return inner.endsWith('\\') ? pattern : inner;
}

/** Says yes when in doubt: in a pattern with a character class, whose inside is not parsed, every `|` counts. */
function hasTopLevelAlternative(pattern: string): boolean {
  if (!pattern.includes('|')) return false;
  if (pattern.includes('[')) return true;
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') i++;
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth === 0) return true;
  }
  return false;
}
