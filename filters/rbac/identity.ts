import type { StringMatcher } from '../../src/config/schema/matcher.ts';
import { compileStringMatcher } from '../../src/matching/string-matcher.ts';
import { lowerAscii } from '../../src/matching/wire-text.ts';
import { textCover } from './cover.ts';
import type { IndexedPolicy, KeySource, RuleStream } from './policy-index.ts';
import type { MtlsAuthenticated } from './schema.ts';

/** Who is at the other end, by the certificate of the TLS handshake. */

const NO_NAMES: readonly string[] = Object.freeze([]);

/** The names under which Envoy knows an authenticated peer: URI SANs, DNS SANs, subject. */
function principalNames(stream: RuleStream): readonly string[] {
  const tls = stream.connection.tls;
  if (tls === undefined) return NO_NAMES;
  return [...tls.peerUriSans, ...tls.peerDnsSans, tls.peerSubject];
}

const PRINCIPAL: KeySource = { id: 'principal', read: () => undefined, readMany: principalNames };
const URI: KeySource = {
  id: 'validated uri',
  read: () => undefined,
  readMany: ({ connection: { tls } }) => (tls?.peerVerified ? tls.peerUriSans : NO_NAMES),
};

/** As in Envoy, without a name every TLS connection is authenticated, with a client certificate or not. */
export function authenticated(name: StringMatcher | undefined): IndexedPolicy {
  if (name === undefined) return { matches: (_, stream) => stream.connection.tls !== undefined, cover: undefined };
  const matches = compileStringMatcher(name);
  return {
    matches: (_, stream) => {
      const tls = stream.connection.tls;
      if (tls === undefined) return false;
      return tls.peerUriSans.some(matches) || tls.peerDnsSans.some(matches) || matches(tls.peerSubject);
    },
    cover: textCover(PRINCIPAL, name),
  };
}

/** A client certificate was presented and validated, and has the name. */
export function validated({ san_matcher: name }: MtlsAuthenticated): IndexedPolicy {
  if (name === undefined) return { matches: (_, { connection }) => isValidated(connection), cover: undefined };
  const { exact } = name.matcher;
  if (name.san_type === 'URI') {
    const matches = compileStringMatcher(name.matcher);
    return {
      matches: (_, { connection }) => isValidated(connection) && (connection.tls?.peerUriSans.some(matches) ?? false),
      cover: textCover(URI, name.matcher),
    };
  }
  const matches =
    exact === undefined ? compileStringMatcher(name.matcher) : (pattern: string) => coversHost(pattern, exact);
  return {
    matches: (_, { connection }) => isValidated(connection) && (connection.tls?.peerDnsSans.some(matches) ?? false),
    cover: undefined,
  };
}

function isValidated({ tls }: RuleStream['connection']): boolean {
  return tls?.peerVerified ?? false;
}

/** A wildcard in a certificate stands for one label (RFC 9525 §6.3). */
function coversHost(name: string, host: string): boolean {
  const pattern = lowerAscii(name);
  const wanted = lowerAscii(host);
  if (!pattern.startsWith('*.')) return pattern === wanted;
  const label = wanted.slice(0, wanted.length - pattern.length + 1);
  return pattern.indexOf('.', 2) > 0 && wanted.endsWith(pattern.slice(1)) && label !== '' && !label.includes('.');
}
