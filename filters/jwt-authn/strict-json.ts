import { isUtf8 } from 'node:buffer';

const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;
/** Deeper values are refused: each level is one of the stack's. */
const MAX_DEPTH = 64;

/**
 * The object that bytes of JSON say, or undefined when they are not UTF-8, not JSON, not an object, or name a member
 * twice: of such an object two readers may see different members (RFC 7519 §4, RFC 8725 §2.4). Nor may it have half a
 * surrogate pair or a number beyond all doubles, which would turn into the same text for different values (RFC 7493 §2).
 */
export function parseStrictObject(bytes: Buffer): Record<string, unknown> | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return namesIn(text) === membersOf(value, 0) ? (value as Record<string, unknown>) : undefined;
}

/** How many names of members a JSON text has: its strings that a colon follows. */
function namesIn(text: string): number {
  let count = 0;
  let at = text.indexOf('"');
  while (at >= 0) {
    let end = at + 1;
    for (;;) {
      const code = text.charCodeAt(end);
      if (code === QUOTE) break;
      end += code === BACKSLASH ? 2 : 1;
    }
    let next = end + 1;
    while (text.charCodeAt(next) <= 32) next++;
    if (text.charCodeAt(next) === COLON) count++;
    at = text.indexOf('"', end + 1);
  }
  return count;
}

/**
 * How many members the objects of a parsed value have, one given twice counted once; NaN when they nest too deeply, or
 * a text or number is none.
 */
function membersOf(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.isWellFormed() ? 0 : Number.NaN;
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN;
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > MAX_DEPTH) return Number.NaN;
  const parts = Object.values(value);
  let count = 0;
  if (!Array.isArray(value)) {
    for (const name of Object.keys(value)) count += name.isWellFormed() ? 1 : Number.NaN;
  }
  for (const part of parts) count += membersOf(part, depth + 1);
  return count;
}
