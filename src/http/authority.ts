import type { HttpConnectionManager } from '../config/schema/http-connection-manager.ts';

type AuthoritySettings = Pick<
  HttpConnectionManager,
  'strip_matching_host_port' | 'strip_any_host_port' | 'strip_trailing_host_dot'
>;

const VALID = /^[-._~%!$&'()[\]*+,;=:@A-Za-z0-9]*$/;
/** Most requests of a connection name the same host. */
let lastValid = '';
const PORT = /^\+?\d+$/;
const MAX_UINT32 = 4294967295;

/** Whether a Host or :authority holds only characters that RFC 3986 §3.2 allows, as Envoy checks. */
export function isValidAuthority(authority: string): boolean {
  if (authority === lastValid) return true;
  const isValid = VALID.test(authority);
  if (isValid) lastValid = authority;
  return isValid;
}

/** Index of the colon before the port, which stands behind the `]` of an IPv6 address; -1 without a port. */
export function portStart(authority: string): number {
  const colon = authority.lastIndexOf(':');
  return colon < 0 || authority.lastIndexOf(']') > colon ? -1 : colon;
}

/**
 * Compiles the settings of a connection manager that clean a host: its port (any, or the one the listener is at) and
 * a dot at its end. Undefined when nothing is to be done.
 */
export function compileAuthorityNormalizer(
  settings: AuthoritySettings,
): ((authority: string, localPort: number) => string) | undefined {
  const { strip_any_host_port: any, strip_matching_host_port: matching, strip_trailing_host_dot: dot } = settings;
  if (!any && !matching && !dot) return undefined;
  return (authority, localPort) => {
    const host = any || matching ? stripPort(authority, any ? undefined : localPort) : authority;
    return dot ? stripTrailingDot(host) : host;
  };
}

/** Removes the port, or only `port` where that is given. */
export function stripPort(authority: string, port?: number): string {
  const colon = portStart(authority);
  if (colon < 0) return authority;
  const text = authority.substring(colon + 1);
  const number = Number(text);
  if (!PORT.test(text) || number > MAX_UINT32 || (port !== undefined && number !== port)) return authority;
  return authority.substring(0, colon);
}

function stripTrailingDot(authority: string): string {
  const dot = authority.lastIndexOf('.');
  if (dot < 0) return authority;
  if (dot === authority.length - 1) return authority.substring(0, dot);
  if (authority.charCodeAt(dot + 1) === 58) return authority.substring(0, dot) + authority.substring(dot + 1);
  return authority;
}
