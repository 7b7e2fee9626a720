import { isValidAuthority } from '../authority.ts';
import type { HttpSettings } from '../connection-manager-settings.ts';
import type { RequestHead } from '../message.ts';
import type { HeadError, HeadParser } from './head-parser.ts';
import { CONNECTION, proxyConnectionCloses, readConnection, removeHopByHop, stillPresent } from './hop-by-hop.ts';

const ERRORS = {
  missingHost: { status: 400, details: 'missing_host_header', wellFormed: true },
  badHost: { status: 400, details: 'http.invalid_authority' },
  fragment: { status: 400, details: 'path_normalization_failed', wellFormed: true },
  method: { status: 400, details: 'http1.invalid_method' },
  badTarget: { status: 400, details: 'http1.invalid_url' },
  badScheme: { status: 400, details: 'http1.invalid_scheme' },
  oldVersion: { status: 426, details: 'low_version' },
  connectionHeader: { status: 400, details: 'http1.connection_header_rejected' },
  connectBody: { status: 400, details: 'http1.body_disallowed' },
} as const satisfies Record<string, HeadError>;

/** Methods besides the usual ones that pass, as in Envoy: others are more likely an attack on what stands behind. */
const RARE_METHODS = new Set(
  (
    'TRACE ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY PROPFIND PROPPATCH ' +
    'PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE'
  ).split(' '),
);

/**
 * Turns a parsed head into the request that policies see: method, path and authority from the request line and Host
 * (RFC 9112 §3), hop-by-hop headers taken out. Returns why the request is refused, if it is.
 *
 * @param buffer the head lies in `buffer[start, end)`; its text is copied out.
 */
export function readRequestHead(
  parser: HeadParser,
  buffer: Buffer,
  start: number,
  end: number,
  request: RequestHead,
  settings: HttpSettings,
): HeadError | undefined {
  const raw = buffer.latin1Slice(start, end);
  request.raw = raw;
  request.present = parser.present;
  request.protocol = parser.minorVersion === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
  const method = internMethod(raw, parser.methodEnd);
  request.method = method ?? raw.substring(0, parser.methodEnd);
  request.upgrade = '';
  request.expectContinue = false;
  request.scheme = settings.scheme;
  request.authority = '';
  request.path = '';
  request.keepAlive = parser.minorVersion === 1;
  if (method === undefined) return ERRORS.method;
  const target = raw.substring(parser.targetStart, parser.targetEnd);
  const host = parser.hostIndex >= 0 ? request.valueAt(parser.hostIndex) : '';
  request.receivedAuthority = host;
  request.authority = host;
  const targetError = readTarget(request, target, settings);
  if (targetError !== undefined) return targetError;
  request.receivedPath = request.path;
  if (parser.minorVersion === 0) {
    if (!settings.acceptHttp10) return ERRORS.oldVersion;
    if (request.authority === '') request.authority = settings.defaultHostForHttp10;
  }
  if (request.method === 'CONNECT' && (parser.contentLength >= 0 || parser.chunked)) return ERRORS.connectBody;
  if (request.authority === '') return ERRORS.missingHost;
  if (!isValidAuthority(request.authority)) return ERRORS.badHost;
  if (parser.connectionIndex >= 0) {
    const connection = readConnection(request, parser.connectionIndex);
    if (connection & CONNECTION.REFUSED) return ERRORS.connectionHeader;
    if (connection & CONNECTION.CLOSE) request.keepAlive = false;
    else if (connection & CONNECTION.KEEP_ALIVE) request.keepAlive = true;
    if (connection & CONNECTION.UPGRADE && parser.upgradeIndex >= 0 && parser.minorVersion === 1) {
      // All lines of it, or the policies would judge one protocol and the upstream choose another.
      request.upgrade = request.get('upgrade')?.toLowerCase() ?? '';
      // An offer that need not be taken (RFC 9110 §7.8): the request is served as it is.
      if (request.upgrade === 'h2c') request.upgrade = '';
    }
    if (connection & CONNECTION.NOMINATED) request.present = stillPresent(request, parser.present);
  }
  if (proxyConnectionCloses(request, parser.present)) request.keepAlive = false;
  removeHopByHop(request, parser.present, request.upgrade !== '');
  if (parser.expectIndex >= 0) {
    const expect = request.get('expect');
    if (expect?.toLowerCase() === '100-continue') {
      request.expectContinue = parser.minorVersion === 1;
      // From HTTP/1.0 it means nothing (RFC 9110 §10.1.1).
      if (parser.minorVersion === 0) request.remove('expect');
    }
  }
  return undefined;
}

/** Absolute form: host, path and query; user information is dropped (RFC 9110 §4.2.4). */
const ABSOLUTE = /^https?:\/\/(?:[^/?#]*@)?([^/?#@]+)([/?#].*)?$/i;
const OTHER_SCHEME = /^(?!https?:)[a-z][a-z0-9+.-]*:\/\//i;

/** Host and port, nothing else (RFC 9112 §3.2.3). */
const CONNECT_TARGET = /^(\[[0-9A-Fa-f:.]+\]|[^:@[\]]+):\d{1,5}$/;

/** The forms of a target (RFC 9112 §3.2): origin, absolute, authority for CONNECT, asterisk for OPTIONS. */
function readTarget(request: RequestHead, target: string, settings: HttpSettings): HeadError | undefined {
  if (request.method === 'CONNECT') {
    request.authority = target;
    return CONNECT_TARGET.test(target) ? undefined : ERRORS.badTarget;
  }
  if (target.charCodeAt(0) === 47) {
    request.path = target;
  } else if (target === '*') {
    if (request.method !== 'OPTIONS') return ERRORS.badTarget;
    request.path = target;
  } else {
    const absolute = ABSOLUTE.exec(target);
    if (absolute === null || !settings.allowAbsoluteUrl)
      return OTHER_SCHEME.test(target) ? ERRORS.badScheme : ERRORS.badTarget;
    request.authority = absolute[1] as string;
    request.path = absolute[2] ?? '/';
  }
  return target.includes('#') ? ERRORS.fragment : undefined;
}

/** One string object per usual method, so that comparing them is comparing pointers; undefined for one that is refused. */
function internMethod(raw: string, length: number): string | undefined {
  switch (length) {
    case 3:
      if (raw.startsWith('GET')) return 'GET';
      if (raw.startsWith('PUT')) return 'PUT';
      break;
    case 4:
      if (raw.startsWith('POST')) return 'POST';
      if (raw.startsWith('HEAD')) return 'HEAD';
      break;
    case 5:
      if (raw.startsWith('PATCH')) return 'PATCH';
      break;
    case 6:
      if (raw.startsWith('DELETE')) return 'DELETE';
      break;
    case 7:
      if (raw.startsWith('OPTIONS')) return 'OPTIONS';
      if (raw.startsWith('CONNECT')) return 'CONNECT';
  }
  const method = raw.substring(0, length);
  return RARE_METHODS.has(method) ? method : undefined;
}
