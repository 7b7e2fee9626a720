import type { RedirectAction } from '../../config/schema/route-components.ts';
import { toWireText } from '../../matching/wire-text.ts';
import { portStart } from '../authority.ts';
import type { RequestHead } from '../message.ts';
import { compilePathRewrite, type MatchedPath } from './rewrite.ts';

/** A compiled redirect: its status, and where it leads. */
export interface Redirect {
  readonly status: number;
  location(request: RequestHead): string;
}

const STATUS = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
} as const;

/**
 * Compiles envoy.config.route.v3.RedirectAction.
 *
 * @throws RegexError
 */
export function compileRedirect(config: RedirectAction, matched: MatchedPath): Redirect {
  const scheme = config.scheme_redirect || (config.https_redirect ? 'https' : '');
  const host = toWireText(config.host_redirect);
  const port = config.port_redirect === 0 ? '' : `:${config.port_redirect}`;
  const path = compileLocationPath(config, matched);
  return {
    status: STATUS[config.response_code],
    location(request) {
      const target = scheme || request.scheme;
      return `${target}://${host || keptHost(request, target, port !== '')}${port}${path(request.path)}`;
    },
  };
}

/** A query in `path_redirect` replaces the request's; otherwise the request's stays unless it is to be stripped. */
function compileLocationPath(config: RedirectAction, matched: MatchedPath): (path: string) => string {
  const strip = config.strip_query;
  if (config.path_redirect) {
    const fixed = toWireText(config.path_redirect);
    if (strip || fixed.includes('?')) return () => fixed;
    return (path) => {
      const query = path.indexOf('?');
      return query < 0 ? fixed : fixed + path.substring(query);
    };
  }
  const rewrite = compilePathRewrite(config.prefix_rewrite ?? '', config.regex_rewrite, matched);
  return (path) => {
    const rewritten = rewrite === undefined ? path : rewrite(path);
    const query = strip ? rewritten.indexOf('?') : -1;
    return query < 0 ? rewritten : rewritten.substring(0, query);
  };
}

/** The request's host; without its port where another is set, or where it is the default one of a scheme that changes. */
function keptHost(request: RequestHead, scheme: string, hasNewPort: boolean): string {
  const { authority } = request;
  const colon = portStart(authority);
  if (colon < 0) return authority;
  if (hasNewPort) return authority.substring(0, colon);
  const came = request.get('x-forwarded-proto') ?? request.scheme;
  const port = authority.substring(colon);
  const isDefault = (came === 'https' && port === ':443') || (came === 'http' && port === ':80');
  return scheme !== came && isDefault ? authority.substring(0, colon) : authority;
}
