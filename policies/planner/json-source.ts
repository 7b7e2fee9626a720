import type { Position, SourceDocument } from '../../src/config/document.ts';
import type { ConfigProblem, Path } from '../../src/config/errors.ts';
import { camelCase } from '../../src/config/schema/message.ts';

/**
 * JSON too long for the parser of YAML, which keeps an object for every part of it. Keys that are there twice and the places
 * of parts are found by walking over the text.
 *
 * @returns undefined when it is no JSON
 */
export function parseJson(text: string): SourceDocument | ConfigProblem[] | undefined {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return undefined;
  }
  const twice = repeatedKeys(text);
  if (twice.length > 0) return twice;
  let places: Places | undefined;
  return {
    data,
    locate: (path) => {
      places ??= placesOf(text);
      return positionOf(text, offsetOf(text, places, path));
    },
  };
}

/** More say nothing new. */
const MAX_REPEATED = 20;

function repeatedKeys(text: string): ConfigProblem[] {
  const found: ConfigProblem[] = [];
  /** Keys so far of each map that is open, by depth. */
  const seen: Set<string | number>[] = [];
  walk(text, 0, (key, depth, offset, isFirst) => {
    if (typeof key === 'number') return true;
    if (isFirst) seen[depth] = new Set();
    if (seen[depth]!.has(key))
      found.push({ ...positionOf(text, offset), path: '', message: `the key ${JSON.stringify(key)} is there twice` });
    seen[depth]!.add(key);
    return found.length < MAX_REPEATED;
  });
  return found;
}

/** Offsets of the parts of the root, and of their parts: services and calls, each of which is short. */
type Places = ReadonlyMap<string | number, { readonly offset: number; readonly parts: Map<string | number, number> }>;

function placesOf(text: string): Places {
  const places = new Map<string | number, { offset: number; parts: Map<string | number, number> }>();
  let parts = new Map<string | number, number>();
  walk(text, 0, (key, depth, offset) => {
    if (depth === 0) {
      parts = new Map();
      places.set(key, { offset, parts });
    } else if (depth === 1) parts.set(key, offset);
    return true;
  });
  return places;
}

/** Where the key or item at the path stands, or the nearest part above it that is there. */
function offsetOf(text: string, places: Places, [first, second, ...rest]: Path): number {
  const part = first === undefined ? undefined : (places.get(first) ?? places.get(asCamelCase(first)));
  if (part === undefined || second === undefined) return part?.offset ?? 0;
  let found = part.parts.get(second) ?? part.parts.get(asCamelCase(second));
  if (found === undefined) return part.offset;
  const start = typeof second === 'number' ? found : text.indexOf(':', endOfText(text, found)) + 1;
  let matched = 0;
  walk(text, start, (key, depth, offset) => {
    // Beyond the part that has been found so far: the rest of the path is not there.
    if (depth < matched || matched === rest.length) return false;
    if (depth !== matched || (key !== rest[depth] && key !== asCamelCase(rest[depth]!))) return true;
    found = offset;
    matched++;
    return matched < rest.length;
  });
  return found;
}

/** A key may be written in snake_case or camelCase. */
function asCamelCase(key: string | number): string | number {
  return typeof key === 'string' ? camelCase(key) : key;
}

function positionOf(text: string, offset: number): Position {
  let line = 1;
  let start = 0;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
    line++;
    start = at + 1;
  }
  return { line, column: offset - start + 1 };
}

type Visit = (key: string | number, depth: number, offset: number, isFirst: boolean) => boolean;

/**
 * Tells every key of a map and every item of a list below the value at `start`, in order, until the visitor has enough.
 *
 * @param text valid JSON (RFC 8259)
 */
function walk(text: string, start: number, visit: Visit): void {
  /** Of each part that is open: the index of its next item, or -1 for a map. */
  const open: number[] = [];
  let isStart = false;
  const item = (offset: number): boolean => {
    const index = open.at(-1);
    if (index === undefined || index === -1) return true;
    open[open.length - 1] = index + 1;
    return visit(index, open.length - 1, offset, index === 0);
  };
  let isKey = false;
  for (let at = start; at < text.length; at++) {
    switch (text[at]) {
      case ' ':
      case '\n':
      case '\r':
      case '\t':
      case ':':
        break;
      case ',':
        isKey = open.at(-1) === -1;
        break;
      case '{':
      case '[':
        if (!item(at)) return;
        open.push(text[at] === '{' ? -1 : 0);
        isKey = text[at] === '{';
        isStart = isKey;
        break;
      case '}':
      case ']':
        open.pop();
        if (open.length === 0) return;
        isKey = false;
        isStart = false;
        break;
      case '"': {
        const end = endOfText(text, at);
        if (isKey) {
          const key = JSON.parse(text.slice(at, end + 1)) as string;
          if (!visit(key, open.length - 1, at, isStart)) return;
          isKey = false;
          isStart = false;
        } else if (!item(at)) return;
        at = end;
        break;
      }
      default:
        // A number, true, false or null.
        if (!item(at)) return;
        while (at + 1 < text.length && !',]} \n\r\t'.includes(text[at + 1]!)) at++;
    }
  }
}

/** Of the quote that ends the text which begins here. */
function endOfText(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
}
