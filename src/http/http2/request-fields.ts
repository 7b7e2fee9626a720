import { isValidAuthority } from '../authority.ts';
import type { HttpSettings } from '../connection-manager-settings.ts';
import type { HeaderMap } from '../headers.ts';
import type { HeadError } from '../http1/head-parser.ts';
import { KNOWN, presenceBit } from '../http1/header-names.ts';
import type { RequestHead } from '../message.ts';
import { isPath } from './field-values.ts';
import { type FieldList, PSEUDO } from './hpack/field-list.ts';

const ERRORS = {
  missingHost: { status: 400, details: 'missing_host_header', wellFormed: true },
  badHost: { status: 400, details: 'http.invalid_authority' },
  fragment: { status: 400, details: 'path_normalization_failed', wellFormed: true },
  badPath: { status: 400, details: 'http2.invalid_path' },
  tooLarge: { status: 431, details: 'request_headers_too_large' },
} as const satisfies Record<string, HeadError>;

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** Whether a method is a token; the usual ones are told at a glance. */
export function isMethod(method: string): boolean {
  return method === 'GET' || method === 'POST' || method === 'PUT' || method === 'HEAD' || TOKEN.test(method);
}

/** Bits of the pseudo-headers that came. */
const CAME = { METHOD: 1, PATH: 2, AUTHORITY: 4, SCHEME: 8, PROTOCOL: 16 } as const;

/** Connection-specific fields, which make a message malformed (RFC 9113 §8.2.2). */
const CONNECTION_SPECIFIC =
  (1 << KNOWN.CONNECTION) |
  (1 << KNOWN.KEEP_ALIVE) |
  (1 << KNOWN.PROXY_CONNECTION) |
  (1 << KNOWN.TRANSFER_ENCODING) |
  (1 << KNOWN.UPGRADE);

/** What became of a header block: a request, one to answer with an error, or a malformed one. */
export type RequestFieldsResult = { readonly malformed: string } | { readonly refused: HeadError } | undefined;

const REFUSED = Object.fromEntries(Object.entries(ERRORS).map(([key, error]) => [key, { refused: error }])) as {
  readonly [K in keyof typeof ERRORS]: { readonly refused: HeadError };
};

function malformed(why: string): RequestFieldsResult {
  return { malformed: why };
}

/**
 * Turns a header block into the request that policies see (RFC 9113 §8.3.1): undefined when all is well. Extended
 * CONNECT (RFC 8441) becomes what it is in HTTP/1.1, a GET that asks for an upgrade; plain CONNECT stays.
 */
export function readRequestFields(
  fields: FieldList,
  request: RequestHead,
  settings: HttpSettings,
  allowConnect: boolean,
): RequestFieldsResult {
  request.reset('');
  request.protocol = 'HTTP/2';
  request.method = '';
  request.path = '';
  request.authority = '';
  request.scheme = settings.scheme;
  request.upgrade = '';
  request.keepAlive = true;
  request.expectContinue = false;
  request.present = 0;
  if (fields.malformed !== '') return malformed(fields.malformed);
  const { names, values, known, sensitive, count } = fields;
  let came = 0;
  let protocol = '';
  let host = '';
  let present = 0;
  let cookieAt = -1;
  for (let i = 0; i < count; i++) {
    const id = known[i] as number;
    const value = values[i] as string;
    if (id >= PSEUDO.METHOD) {
      if (request.length > 0 || present !== 0) return malformed('pseudo_header_after_fields');
      const bit = bitOf(id);
      if (bit === 0 || (came & bit) !== 0) return malformed('unexpected_pseudo_header');
      came |= bit;
      if (bit === CAME.METHOD) request.method = value;
      else if (bit === CAME.PATH) request.path = value;
      else if (bit === CAME.AUTHORITY) request.authority = value;
      else if (bit === CAME.PROTOCOL) protocol = value;
      else if (value !== 'http' && value !== 'https') return malformed('invalid_scheme');
      continue;
    }
    const bit = presenceBit(id);
    if ((bit & CONNECTION_SPECIFIC) !== 0) return malformed('connection_specific_header');
    if (id === KNOWN.TE && value !== 'trailers') return malformed('invalid_te');
    if (id === KNOWN.CONTENT_LENGTH && (present & bit) !== 0 && request.get('content-length') !== value)
      return malformed('invalid_content_length');
    if (id === KNOWN.CONTENT_LENGTH && (present & bit) !== 0) continue;
    present |= bit;
    if (id === KNOWN.HOST) {
      if (host !== '' && host !== value) return malformed('several_hosts');
      host = value;
      continue;
    }
    const name = names[i] as string;
    if (name === 'cookie') {
      // One line, as policies and HTTP/1 know it (RFC 9113 §8.2.3).
      if (cookieAt >= 0) {
        request.values[cookieAt] = `${request.values[cookieAt]}; ${value}`;
        if (sensitive[i] === true) neverIndex(request, name);
        continue;
      }
      cookieAt = request.length;
    }
    request.append(name, value);
    if (sensitive[i] === true) neverIndex(request, name);
  }
  if (fields.tooLarge) return REFUSED.tooLarge;
  request.present = present & ~(1 << KNOWN.HOST);
  const error = readPseudo(request, came, protocol, allowConnect);
  if (error !== undefined) return error;
  if (request.authority === '') request.authority = host;
  // What the client named in :authority is what counts (RFC 9113 §8.3.1); a second opinion is not passed on.
  if (request.authority === '') return REFUSED.missingHost;
  if (!isValidAuthority(request.authority)) return REFUSED.badHost;
  request.receivedAuthority = request.authority;
  request.receivedPath = request.path;
  if ((present & (1 << KNOWN.EXPECT)) !== 0)
    request.expectContinue = request.get('expect')?.toLowerCase() === '100-continue';
  return undefined;
}

function bitOf(id: number): number {
  switch (id) {
    case PSEUDO.METHOD:
      return CAME.METHOD;
    case PSEUDO.PATH:
      return CAME.PATH;
    case PSEUDO.AUTHORITY:
      return CAME.AUTHORITY;
    case PSEUDO.SCHEME:
      return CAME.SCHEME;
    case PSEUDO.PROTOCOL:
      return CAME.PROTOCOL;
    default:
      return 0;
  }
}

function readPseudo(request: RequestHead, came: number, protocol: string, allowConnect: boolean): RequestFieldsResult {
  if ((came & CAME.METHOD) === 0 || !isMethod(request.method)) return malformed('missing_method');
  if (request.method === 'CONNECT') {
    if ((came & CAME.PROTOCOL) === 0) {
      if ((came & (CAME.PATH | CAME.SCHEME)) !== 0 || (came & CAME.AUTHORITY) === 0)
        return malformed('invalid_connect');
      return undefined;
    }
    if (!allowConnect) return malformed('extended_connect_not_allowed');
    if (!TOKEN.test(protocol)) return malformed('invalid_protocol');
    request.method = 'GET';
    request.upgrade = protocol.toLowerCase();
    request.append('upgrade', request.upgrade);
  } else if ((came & CAME.PROTOCOL) !== 0) {
    return malformed('protocol_without_connect');
  }
  if ((came & CAME.PATH) === 0 || (came & CAME.SCHEME) === 0 || request.path === '')
    return malformed('missing_path_or_scheme');
  if (request.path === '*' && request.method === 'OPTIONS') return undefined;
  if (!isPath(request.path)) return REFUSED.badPath;
  return request.path.includes('#') ? REFUSED.fragment : undefined;
}

/** The field must never be indexed on its further way either (RFC 7541 §6.2.3). */
export function neverIndex(headers: HeaderMap, name: string): void {
  headers.neverIndexed ??= [];
  headers.neverIndexed.push(name);
}
