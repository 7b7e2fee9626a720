import type { RegexMatchAndSubstitute } from '../../config/schema/matcher.ts';
import type { RouteAction } from '../../config/schema/route-components.ts';
import { compileSubstitution } from '../../matching/regex.ts';
import { toWireText } from '../../matching/wire-text.ts';
import type { RequestHead } from '../message.ts';

/** Makes a new path of a path with its query. */
export type PathRewrite = (path: string) => string;

/** What a rewrite must know of the route's match: how much of the path a `prefix_rewrite` replaces. */
export interface MatchedPath {
  readonly prefix?: string | undefined;
  readonly path_separated_prefix?: string | undefined;
}

/** Where the path ends and its query or fragment begins. */
export function pathEnd(path: string): number {
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === 63 || code === 35) return i;
  }
  return path.length;
}

/**
 * Compiles `prefix_rewrite` and `regex_rewrite`; the query stays. A prefix rewrite replaces the matched prefix, or the
 * whole path where the match was of the whole path (exact or regular expression), as in Envoy. Undefined for neither.
 *
 * @throws RegexError
 */
export function compilePathRewrite(
  prefixRewrite: string,
  regexRewrite: RegexMatchAndSubstitute | undefined,
  matched: MatchedPath,
): PathRewrite | undefined {
  if (prefixRewrite !== '') {
    const replacement = toWireText(prefixRewrite);
    const prefix = matched.prefix ?? matched.path_separated_prefix;
    if (prefix === undefined) return (path) => replacement + path.substring(pathEnd(path));
    const { length } = toWireText(prefix);
    return (path) => replacement + path.substring(length);
  }
  if (regexRewrite === undefined) return undefined;
  const substitute = compileSubstitution(regexRewrite.pattern.regex, regexRewrite.substitution);
  return (path) => {
    const end = pathEnd(path);
    return substitute(path.substring(0, end)) + path.substring(end);
  };
}

/**
 * Compiles the host rewrites that depend on the request alone: literal, from a header, from the path. Undefined when
 * there is none; `auto_host_rewrite` waits for the endpoint.
 *
 * @throws RegexError
 */
export function compileHostRewrite(
  config: RouteAction,
  keepOriginal: boolean,
): ((request: RequestHead) => void) | undefined {
  const trace: HostTrace = { forwarded: config.append_x_forwarded_host, keepOriginal };
  if (config.host_rewrite_literal) {
    const literal = toWireText(config.host_rewrite_literal);
    return (request) => setHost(request, literal, trace);
  }
  if (config.host_rewrite_header !== undefined) {
    const name = config.host_rewrite_header;
    return (request) => {
      const host = request.get(name);
      if (host !== undefined && host !== '') setHost(request, host, trace);
    };
  }
  if (config.host_rewrite_path_regex === undefined) return undefined;
  const { pattern, substitution } = config.host_rewrite_path_regex;
  const substitute = compileSubstitution(pattern.regex, substitution);
  return (request) => setHost(request, substitute(request.path.substring(0, pathEnd(request.path))), trace);
}

/** Where the authority before a rewrite is left. */
export interface HostTrace {
  /** Behind what x-forwarded-host holds already. */
  readonly forwarded: boolean;
  /** In x-envoy-original-host. */
  readonly keepOriginal: boolean;
}

/** Replaces the authority. */
export function setHost(request: RequestHead, host: string, trace: HostTrace): void {
  const original = request.authority;
  if (original !== '' && original !== host) {
    if (trace.forwarded) {
      const before = request.get('x-forwarded-host');
      request.set('x-forwarded-host', before ? `${before},${original}` : original);
    }
    if (trace.keepOriginal) request.set('x-envoy-original-host', original);
  }
  request.authority = host;
}
