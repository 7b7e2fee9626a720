import type { HttpConnectionManager } from '../config/schema/http-connection-manager.ts';

/** What became of a path; for a redirect, where to. */
export interface NormalizedPath {
  kind: 'forward' | 'reject' | 'redirect';
  path: string;
}

/** The result is the same object for every call: read it before the next one. */
export type PathNormalizer = (path: string) => NormalizedPath;

type PathSettings = Pick<
  HttpConnectionManager,
  'normalize_path' | 'merge_slashes' | 'path_with_escaped_slashes_action'
>;

/** Characters that normalisation may change, and the slash before a dot segment; a path without them is left alone. */
const NOT_NORMAL = /[\\%"<>^`{|}\x80-\xff]|\/\./;
const REPEATED_SLASH = /\/\//;
const ONLY_SLASHES = /^\/{2,}$/;
const ESCAPED_SLASH = /%(?:2f|5c)/i;
const ESCAPE_SEQUENCE = /%[0-9a-f]{2}/gi;
const STRAY_PERCENT = /%(?![0-9a-f]{2})/gi;
/** Stands for a stray percent sign meanwhile; no path holds it, being a control character. */
const MARK = '\x01';
// biome-ignore lint/suspicious/noControlCharactersInRegex: the mark is one
const MARK_OF_SEQUENCE = /\x01(?=[0-9a-f]{2})/gi;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters in question
const UNACCEPTABLE = /[\0-\x1f\x7f-\xff]/;
const UNRESERVED = /[A-Za-z0-9._~-]/;
const TO_ESCAPE = /["<>^`{|}]/g;
/** A dot segment with parameters, `/..;x`, counts as one without (`..` and what follows up to the next slash). */
const DOT_SEGMENT_PARAMETERS = /\/(\.\.?);[^/]*/g;
const MAYBE_DOT_SEGMENT = /\/\./;

/**
 * Compiles the path settings of a connection manager, in Envoy's order: escaped slashes, then RFC 3986 §6.2.2 (dot
 * segments removed, unreserved characters unescaped, backslashes turned), then repeated slashes. The query stays as it
 * is. Undefined when nothing is to be done.
 *
 * A fragment is not looked for here.
 */
export function compilePathNormalizer(settings: PathSettings): PathNormalizer | undefined {
  const escapedSlashes = settings.path_with_escaped_slashes_action;
  const handlesEscaped = escapedSlashes !== 'KEEP_UNCHANGED' && escapedSlashes !== 'IMPLEMENTATION_SPECIFIC_DEFAULT';
  const normalizes = settings.normalize_path;
  const merges = settings.merge_slashes;
  if (!handlesEscaped && !normalizes && !merges) return undefined;
  const result: NormalizedPath = { kind: 'forward', path: '' };

  function rewrite(whole: string): void {
    const question = whole.indexOf('?');
    const query = question < 0 ? '' : whole.substring(question);
    let path: string | undefined = question < 0 ? whole : whole.substring(0, question);
    if (handlesEscaped && ESCAPED_SLASH.test(path)) {
      path = path.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
      if (escapedSlashes === 'REJECT_REQUEST') result.kind = 'reject';
      if (escapedSlashes === 'UNESCAPE_AND_REDIRECT') result.kind = 'redirect';
    }
    if (normalizes && NOT_NORMAL.test(path)) path = canonicalPath(path);
    if (path === undefined) {
      result.kind = 'reject';
      return;
    }
    if (merges) path = mergeSlashes(path);
    result.path = path + query;
  }

  return (path) => {
    result.kind = 'forward';
    result.path = path;
    const suspect =
      (normalizes && NOT_NORMAL.test(path)) ||
      (merges && REPEATED_SLASH.test(path)) ||
      (handlesEscaped && ESCAPED_SLASH.test(path));
    // `*` and CONNECT have no path to normalise.
    if (suspect && path.charCodeAt(0) === 47) rewrite(path);
    return result;
  };
}

/** Slashes alone become two, as they do in Envoy. */
function mergeSlashes(path: string): string {
  return ONLY_SLASHES.test(path) ? '//' : path.replace(/\/{2,}/g, '/');
}

/** The canonical form of a path without query; undefined when it holds NUL, control characters or bytes outside ASCII. */
function canonicalPath(path: string): string | undefined {
  if (path.includes('%00') || UNACCEPTABLE.test(path)) return undefined;
  const plain = path.replace(DOT_SEGMENT_PARAMETERS, '/$1').replaceAll('\\', '/');
  // A percent sign that begins no sequence must not begin one with what is unescaped behind it: %4%41 is %254A.
  const marked = plain.replace(STRAY_PERCENT, MARK);
  const unescaped = marked.replace(ESCAPE_SEQUENCE, unescapeUnreserved).replace(TO_ESCAPE, percentEncode);
  const decoded = unescaped.replace(MARK_OF_SEQUENCE, '%25').replaceAll(MARK, '%');
  return MAYBE_DOT_SEGMENT.test(decoded) ? removeDotSegments(decoded) : decoded;
}

function unescapeUnreserved(sequence: string): string {
  const char = String.fromCharCode(Number.parseInt(sequence.substring(1), 16));
  return UNRESERVED.test(char) ? char : sequence;
}

function percentEncode(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** RFC 3986 §5.2.4 for an absolute path; an empty segment counts as one. */
function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/');
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] as string;
    if (segment !== '.' && segment !== '..') {
      kept.push(segment);
      continue;
    }
    if (segment === '..') kept.pop();
    if (i === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}
