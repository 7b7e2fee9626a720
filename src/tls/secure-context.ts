import { constants, createHash, X509Certificate } from 'node:crypto';
import { createSecureContext, getCiphers, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { DataSource } from '../config/schema/core.ts';
import type { CommonTlsContext, TlsParameters } from '../config/schema/tls.ts';
import type { CertificateDetails, ContextCertificates } from '../observe/certificates.ts';
import { peerNames } from './peer-names.ts';
import { type KeyPair, readAuthorities, readKeyPair, readRevocationLists } from './secrets/pem.ts';
import type { ResolvedContext } from './secrets/resolved-context.ts';
import type { ContextReaders } from './secrets/rotating-context.ts';
import { SourceReader, TlsLoadError } from './secrets/source-reader.ts';
import { installTicketKeys, type TicketKeys } from './secrets/ticket-keys.ts';
import type { SessionTickets } from './session-tickets.ts';
import { tuneContext } from './tuned-context.ts';

export { pemBlocks } from './secrets/pem.ts';
export { TlsLoadError } from './secrets/source-reader.ts';

/** The bytes that a data source names. @throws TlsLoadError */
export function readSource(source: DataSource, what: string): Buffer {
  return new SourceReader().read(source, what);
}

/** Those of TLS 1.3 are not a matter of configuration. AES with 128 bits comes first: as safe, and cheaper. */
const TLS13_CIPHERS = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/** Envoy's default for TLS 1.2: forward secrecy and authenticated encryption only. */
const TLS12_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
];

const CURVES = ['X25519', 'P-256'];

/** What is common to all certificates of a context. */
function commonOptions(
  common: CommonTlsContext,
  defaultMaximum: 'TLSv1.2' | 'TLSv1.3',
  authorities: readonly string[],
  { trusted }: ContextReaders,
): SecureContextOptions {
  const { tls_params: params, validation_context: validation } = common;
  // Node knows lists for whole chains alone; those for the first certificate are looked at by `ChainVerifier`.
  const crl = validation?.only_verify_leaf_cert_crl ? undefined : validation?.crl;
  return {
    minVersion: params.tls_minimum_protocol_version === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: maximumVersion(params, defaultMaximum),
    ciphers: [...TLS13_CIPHERS, ...cipherSuites(params.cipher_suites)].join(':'),
    ecdhCurve: (params.ecdh_curves.length === 0 ? CURVES : params.ecdh_curves).join(':'),
    // Without an authority of its own a context trusts none: not those that Node brings along.
    ca: [...authorities],
    // A certificate that is trusted itself needs no authority above it, as in Envoy.
    allowPartialTrustChain: true,
    ...(crl === undefined ? {} : { crl: readRevocationLists(crl, trusted, validation?.watched_directory) }),
    ...(params.signature_algorithms.length === 0 ? {} : { sigalgs: params.signature_algorithms.join(':') }),
  };
}

function maximumVersion(params: TlsParameters, byDefault: 'TLSv1.2' | 'TLSv1.3'): 'TLSv1.2' | 'TLSv1.3' {
  switch (params.tls_maximum_protocol_version) {
    case 'TLSv1_2':
      return 'TLSv1.2';
    case 'TLSv1_3':
      return 'TLSv1.3';
    default:
      return params.tls_minimum_protocol_version === 'TLSv1_3' ? 'TLSv1.3' : byDefault;
  }
}

/** Suites in order; `[A|B]`, which lets the client choose between equals, becomes A, B. */
function cipherSuites(names: readonly string[]): readonly string[] {
  if (names.length === 0) return TLS12_CIPHERS;
  const suites = names.flatMap((name) => name.split(':')).flatMap((name) => name.replace(/^\[|\]$/g, '').split('|'));
  const known = new Set(getCiphers());
  const unknown = suites.filter((name) => !known.has(name.toLowerCase()));
  if (unknown.length > 0) throw new TlsLoadError(`cipher_suites: ${unknown.join(', ')} is not available`);
  return suites;
}

/** The contexts of one configuration: what a server name gets, and what everybody else gets. */
export interface Contexts {
  readonly fallback: SecureContext;
  /** How many the fallback issues as a server's; undefined where OpenSSL cannot be told. */
  readonly tickets: SessionTickets | undefined;
  /** A better one for a server name; undefined when the fallback is right. Absent with one certificate of each kind. */
  readonly forServerName: ((name: string) => SecureContext | undefined) | undefined;
  readonly certificates: ContextCertificates;
  /** When each certificate expires, in seconds since the epoch, by the name that statistics have for it. */
  readonly expirations: ReadonlyMap<string, number>;
}

/** What a context has besides certificates and authorities. */
export interface ContextExtras {
  readonly options?: SecureContextOptions;
  /** Who makes session tickets, and what a session is bound to besides the trust; a client has neither. */
  readonly sessions?: { readonly keys: TicketKeys | undefined; readonly binding: string };
}

/**
 * Reads certificates, keys and authorities.
 * @param owner whose they are, for errors: `cluster app`.
 * @throws TlsLoadError for files, PEM, keys and parameters that are not as they must be
 */
export function createContexts(
  owner: string,
  resolved: ResolvedContext,
  defaultMaximum: 'TLSv1.2' | 'TLSv1.3',
  readers: ContextReaders,
  extras: ContextExtras = {},
): Contexts {
  try {
    return contextsOf(resolved, defaultMaximum, readers, extras);
  } catch (error) {
    throw error instanceof TlsLoadError ? new TlsLoadError(`${owner}: ${error.message}`) : error;
  }
}

function contextsOf(
  resolved: ResolvedContext,
  defaultMaximum: 'TLSv1.2' | 'TLSv1.3',
  readers: ContextReaders,
  extras: ContextExtras,
): Contexts {
  const { common } = resolved;
  const validation = common.validation_context;
  readers.trusted.readAll(validation, validation?.watched_directory);
  const trust = readers.trusted.fingerprint();
  const pairs = common.tls_certificates.map((config, index) =>
    readKeyPair(config, `tls_certificates[${index}]`, readers.shown),
  );
  const ca = validation?.trusted_ca;
  const authorities = ca === undefined ? [] : readAuthorities(ca, readers.trusted, validation?.watched_directory);
  // Renegotiation lets a peer change who it is in the middle, and costs much to answer (RFC 9325 §3.5).
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | (extras.options?.secureOptions ?? 0);
  const base: SecureContextOptions = {
    ...commonOptions(common, defaultMaximum, authorities, readers),
    ...extras.options,
    secureOptions,
  };
  const { sessions } = extras;
  if (sessions !== undefined) {
    base.sessionIdContext = sessionContextId(trust, sessions.binding, JSON.stringify(validation ?? null), pairs);
  }
  const create = (own: readonly KeyPair[]): Pick<Contexts, 'fallback' | 'tickets'> => {
    const context = secureContext(base, firstOfEachKind(own));
    if (sessions?.keys !== undefined) installTicketKeys(context, sessions.keys);
    return { fallback: context, tickets: tuneContext(context, validation?.crl !== undefined) };
  };
  return {
    ...create(pairs),
    forServerName: byServerName(pairs, (own) => create(own).fallback),
    ...described(resolved, pairs, authorities),
  };
}

/** OpenSSL's limit (SSL_MAX_SID_CTX_LENGTH). */
const SESSION_ID_CONTEXT_BYTES = 32;

/**
 * What a session is bound to. A ticket that was issued under another one leads to a full handshake: whoever is believed
 * now, by whatever names and lists, has to be asked again, and a ticket for one server is none for another. A renewed
 * certificate for the same names changes nothing.
 */
function sessionContextId(trust: string, binding: string, validation: string, pairs: readonly KeyPair[]): string {
  const names = pairs.map(({ leaf }) => leaf.subjectAltName ?? leaf.subject);
  const text = JSON.stringify([trust, binding, validation, names]);
  return createHash('sha256').update(text).digest('base64').substring(0, SESSION_ID_CONTEXT_BYTES);
}

/** The contexts of certificates by their DNS names, where there are several of one kind. */
function byServerName(
  pairs: readonly KeyPair[],
  create: (own: readonly KeyPair[]) => SecureContext,
): Contexts['forServerName'] {
  if (pairs.length <= 1 || firstOfEachKind(pairs).length === pairs.length) return undefined;
  const named = pairs.flatMap((pair) => peerNames(pair.leaf).dns.map((name) => ({ name: name.toLowerCase(), pair })));
  const contexts = new Map<string, SecureContext>();
  for (const name of new Set(named.map((entry) => entry.name))) {
    contexts.set(name, create(named.filter((entry) => entry.name === name).map((entry) => entry.pair)));
  }
  return (name) => {
    const host = name.toLowerCase();
    return contexts.get(host) ?? contexts.get(`*${host.substring(host.indexOf('.'))}`);
  };
}

function described(
  { common, certificateNames, authorityName }: ResolvedContext,
  pairs: readonly KeyPair[],
  authorities: readonly string[],
): Pick<Contexts, 'certificates' | 'expirations'> {
  const believed = authorities.map((pem) => new X509Certificate(pem));
  const chain = pairs.map(({ leaf, path }) => detailsOf(leaf, path));
  const path = common.validation_context?.trusted_ca?.filename ?? '<inline>';
  const expirations = new Map<string, number>();
  for (const [index, { leaf }] of pairs.entries()) {
    expirations.set(certificateNames[index] || unnamed('cert', leaf), Math.floor(leaf.validToDate.getTime() / 1000));
  }
  const [first] = believed;
  if (first !== undefined) {
    const untilMs = Math.min(...believed.map((one) => one.validToDate.getTime()));
    expirations.set(authorityName || unnamed('ca_cert', first), Math.floor(untilMs / 1000));
  }
  return { certificates: { authorities: believed.map((one) => detailsOf(one, path)), chain }, expirations };
}

/** As in Envoy, a certificate that is no secret with a name is told by a hash; the same for a renewed one. */
function unnamed(kind: string, { subject, subjectAltName }: X509Certificate): string {
  const digest = createHash('sha256').update(`${subject} ${subjectAltName}`).digest('hex');
  return `unnamed_${kind}_${digest.substring(0, 8)}`;
}

function detailsOf(certificate: X509Certificate, path: string): CertificateDetails {
  const { dns, uri, ip } = peerNames(certificate);
  return {
    path,
    serialNumber: certificate.serialNumber.toLowerCase(),
    subjectAltNames: [
      ...dns.map((name) => ({ dns: name })),
      ...uri.map((name) => ({ uri: name })),
      ...ip.map((name) => ({ ip_address: name })),
    ],
    validFromEpochMs: certificate.validFromDate.getTime(),
    validToEpochMs: certificate.validToDate.getTime(),
  };
}

/** A handshake chooses between one RSA and one EC certificate by what the client can. */
function firstOfEachKind(pairs: readonly KeyPair[]): readonly KeyPair[] {
  const seen = new Set<string | undefined>();
  return pairs.filter(({ leaf }) => {
    const kind = leaf.publicKey.asymmetricKeyType;
    if (seen.has(kind)) return false;
    seen.add(kind);
    return true;
  });
}

function secureContext(base: SecureContextOptions, pairs: readonly KeyPair[]): SecureContext {
  try {
    return createSecureContext({
      ...base,
      cert: pairs.map((pair) => pair.cert),
      key: pairs.map(({ key, passphrase }) => (passphrase === undefined ? { pem: key } : { pem: key, passphrase })),
    });
  } catch (error) {
    throw new TlsLoadError(`certificate, key or parameters are refused: ${(error as Error).message}`);
  }
}
