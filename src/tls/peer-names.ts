import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { SubjectAltNameMatcher } from '../config/schema/tls.ts';
import { compileStringMatcher } from '../matching/string-matcher.ts';
import { certificateFacts } from './certificate-facts.ts';

/** The subject alternative names of a certificate, by kind and in their order. */
export interface PeerNames {
  readonly dns: readonly string[];
  readonly uri: readonly string[];
  readonly ip: readonly string[];
  readonly email: readonly string[];
  /** All of these, in the certificate's order. */
  readonly all: readonly string[];
}

const KINDS: Readonly<Record<string, 'dns' | 'uri' | 'ip' | 'email'>> = {
  DNS: 'dns',
  URI: 'uri',
  'IP Address': 'ip',
  email: 'email',
};

/** One entry of Node's text: a kind, and a value that is a JSON string when it has characters that mean something. */
const ENTRY = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/y;

type Named = Pick<X509Certificate, 'subjectAltName'>;

const cache = new WeakMap<Named, PeerNames>();

/**
 * Reads a certificate's subject alternative names from Node's text, once. A text that is not of its known form has no names
 * at all: who cannot be read is nobody.
 */
export function peerNames(certificate: Named): PeerNames {
  let names = cache.get(certificate);
  if (names === undefined) {
    names = readNames(certificate);
    cache.set(certificate, names);
  }
  return names;
}

function readNames(certificate: Named): PeerNames {
  const names = { dns: [] as string[], uri: [] as string[], ip: [] as string[], email: [] as string[] };
  const all: string[] = [];
  const text = certificate.subjectAltName ?? '';
  ENTRY.lastIndex = 0;
  while (ENTRY.lastIndex < text.length) {
    const match = ENTRY.exec(text);
    if (match === null) return NO_NAMES;
    const [, label = '', raw = ''] = match;
    const kind = KINDS[label];
    if (kind === undefined) continue;
    const written = raw.startsWith('"') ? (JSON.parse(raw) as string) : raw;
    const value = kind === 'ip' ? addressText(written) : written;
    names[kind].push(value);
    all.push(value);
  }
  return { ...names, all };
}

/** OpenSSL writes IPv6 in full and in capitals; configurations have it as RFC 5952 does. */
function addressText(text: string): string {
  return text.includes(':') && isIP(text) === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}

const NO_NAMES: PeerNames = { dns: [], uri: [], ip: [], email: [], all: [] };

/**
 * A certificate's subject as RFC 2253 writes it, the last part first: `CN=client,O=Acme\, Inc`.
 * @param subject Node's text, one part per line with RFC 2253's escapes.
 */
export function rfc2253(subject: string | undefined): string {
  if (subject === undefined) return '';
  const text = subject.split('\n').reverse().join(',');
  // Node leaves Unicode as it is; the RFC wants bytes in hexadecimal.
  return text.replace(/[\x7f-\uffff]+/g, (run) =>
    Array.from(Buffer.from(run), (byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** Whether any name of a certificate is as one of the matchers wants it. */
export type NameMatcher = (names: PeerNames, certificate: Pick<X509Certificate, 'raw'>) => boolean;

/** Compiles `match_typed_subject_alt_names`; undefined without any. @throws RegexError */
export function compileNameMatchers(configs: readonly SubjectAltNameMatcher[]): NameMatcher | undefined {
  if (configs.length === 0) return undefined;
  const matchers = configs.map(compileNameMatcher);
  return (names, certificate) => matchers.some((matches) => matches(names, certificate));
}

function compileNameMatcher({ san_type: type, matcher, oid }: SubjectAltNameMatcher): NameMatcher {
  const { exact } = matcher;
  // Envoy compares an exact DNS name as a host name: without case, and with the certificate's wildcard.
  if (type === 'DNS' && exact !== undefined) return (names) => names.dns.some((name) => coversHost(name, exact));
  const matches = compileStringMatcher(matcher);
  switch (type) {
    case 'DNS':
      return (names) => names.dns.some(matches);
    case 'URI':
      return (names) => names.uri.some(matches);
    case 'IP_ADDRESS':
      return (names) => names.ip.some(matches);
    case 'EMAIL':
      return (names) => names.email.some(matches);
    case 'OTHER_NAME':
      return (_, certificate) => {
        const { otherNames } = certificateFacts(certificate);
        return otherNames.some((name) => name.oid === oid && matches(name.value));
      };
    default:
      return () => false;
  }
}

/**
 * Whether a DNS name of a certificate stands for a host. A wildcard takes the place of the whole first label and of
 * that one alone (RFC 6125 §6.4.3).
 */
export function coversHost(name: string, host: string): boolean {
  const pattern = name.toLowerCase();
  const wanted = host.toLowerCase();
  if (!pattern.startsWith('*.')) return pattern === wanted && pattern !== '';
  const suffix = pattern.substring(1);
  const label = wanted.substring(0, wanted.length - suffix.length);
  return suffix.indexOf('.', 1) > 0 && wanted.endsWith(suffix) && label !== '' && !label.includes('.');
}
