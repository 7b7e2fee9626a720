import type { RequestHead } from '../../src/http/message.ts';
import { cookieValue } from '../../src/http/route/cookie.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import { readParameter, removeParameter } from './query-parameter.ts';
import type { JwtProvider } from './schema.ts';

/** A place of a request that may hold a token. */
export interface Location {
  /** Two providers that look at the same place have the same key. */
  readonly key: string;
  /** The token as it stands there; undefined when there is none. It may be anything else, too. */
  read(request: RequestHead): string | undefined;
  /** Takes a genuine token out of the request. */
  remove(request: RequestHead): void;
}

/** Where a provider looks for tokens, in the order in which they are checked: the reverse of Envoy's list of places. */
export function locationsOf(provider: JwtProvider): Location[] {
  const { from_headers: headers, from_params: params, from_cookies: cookies } = provider;
  if (headers.length + params.length + cookies.length === 0) {
    return [fromParameter('access_token'), fromHeader('authorization', 'Bearer ')];
  }
  return [
    ...byKey(cookies.map(fromCookie)),
    ...byKey(params.map(fromParameter)),
    ...byKey(headers.map(({ name, value_prefix: prefix }) => fromHeader(name, prefix))),
  ];
}

/** Each place once, the last key first. */
export function byKey(locations: readonly Location[]): Location[] {
  const unique = [...new Map(locations.map((location) => [location.key, location])).values()];
  return unique.sort((a, b) => (a.key < b.key ? 1 : -1));
}

function fromHeader(name: string, prefixText: string): Location {
  const prefix = toWireText(prefixText);
  return {
    key: `header ${name}${prefix}`,
    read(request) {
      const value = request.get(name);
      if (value === undefined || prefix === '') return value;
      const at = value.indexOf(prefix);
      return at < 0 ? undefined : skipToToken(value, at + prefix.length);
    },
    remove(request) {
      request.remove(name);
    },
  };
}

const OF_TOKEN = /[A-Za-z0-9\-_.]/;

/** What lies behind a prefix, from the first character on that a token may have; else the whole value, which is none. */
function skipToToken(value: string, from: number): string {
  for (let i = from; i < value.length; i++) if (OF_TOKEN.test(value[i] as string)) return value.substring(i);
  return value;
}

function fromParameter(name: string): Location {
  const wireName = toWireText(name);
  return {
    key: `param ${name}`,
    read: (request) => readParameter(request.path, wireName),
    remove(request) {
      request.path = removeParameter(request.path, wireName);
    },
  };
}

function fromCookie(name: string): Location {
  // Wider than RFC 6265 §4.2.1: readers of cookies trim names.
  const pair = new RegExp(`(?:^|;)\\s*${name.replace(/[^\w-]/g, '\\$&')}\\s*=([^;]*)`, 'g');
  return {
    key: `cookie ${name}`,
    read(request) {
      const value = cookieValue(request, name);
      for (const line of request.getAll('cookie')) {
        for (const [, text = ''] of line.matchAll(pair)) {
          const other = unquote(text.trim());
          // Cookies stay in the request. With different ones, no one knows which the app reads: a list is no token.
          if (other !== value) return `${value ?? ''},${other}`;
        }
      }
      return value;
    },
    // As in Envoy: cookies stay.
    remove() {},
  };
}

function unquote(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
