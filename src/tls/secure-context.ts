import { constants, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, getCiphers, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { DataSource } from '../config/schema/core.ts';
import type { CommonTlsContext, TlsCertificate, TlsParameters } from '../config/schema/tls.ts';
import { peerNames } from './peer-names.ts';

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

/** A mistake in a TLS context that only reading its files shows. */
export class TlsLoadError extends Error {
  override readonly name = 'TlsLoadError';
}

/** The bytes that a data source names. @throws TlsLoadError */
function readSource(source: DataSource, what: string): Buffer {
  const { filename, inline_bytes: bytes, inline_string: text, environment_variable: variable } = source;
  if (text !== undefined) return Buffer.from(text);
  if (bytes !== undefined) return Buffer.from(bytes);
  if (filename !== undefined) {
    try {
      return readFileSync(filename);
    } catch (error) {
      throw new TlsLoadError(`cannot read ${what}: ${(error as Error).message}`);
    }
  }
  const value = process.env[variable ?? ''];
  if (value === undefined) throw new TlsLoadError(`${what}: the environment variable ${variable} is not set`);
  return Buffer.from(value);
}

interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly passphrase: string | undefined;
  readonly leaf: X509Certificate;
}

/** What is common to all certificates of a context. */
function commonOptions(common: CommonTlsContext, defaultMaximum: 'TLSv1.2' | 'TLSv1.3'): SecureContextOptions {
  const { tls_params: params, validation_context: validation } = common;
  const ca = validation?.trusted_ca;
  // Node knows lists for whole chains alone; those for the first certificate are looked at by `ChainVerifier`.
  const crl = validation?.only_verify_leaf_cert_crl ? undefined : validation?.crl;
  return {
    minVersion: params.tls_minimum_protocol_version === 'TLSv1_3' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: maximumVersion(params, defaultMaximum),
    ciphers: [...TLS13_CIPHERS, ...cipherSuites(params.cipher_suites)].join(':'),
    ecdhCurve: (params.ecdh_curves.length === 0 ? CURVES : params.ecdh_curves).join(':'),
    // Without an authority of its own a context trusts none: not those that Node brings along.
    ca: ca === undefined ? [] : authorities(readSource(ca, 'trusted_ca')),
    // A certificate that is trusted itself needs no authority above it, as in Envoy.
    allowPartialTrustChain: true,
    ...(crl === undefined ? {} : { crl: pemBlocks(readSource(crl, 'crl').toString('latin1'), 'X509 CRL', 'crl') }),
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

function authorities(pem: Buffer): string[] {
  const certificates = pemBlocks(pem.toString('latin1'), 'CERTIFICATE', 'trusted_ca');
  for (const certificate of certificates) parse(certificate, 'trusted_ca');
  return certificates;
}

function pemBlocks(text: string, label: string, what: string): string[] {
  const blocks = text.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, 'g')) ?? [];
  if (blocks.length === 0) throw new TlsLoadError(`${what} has no ${label} in PEM`);
  return [...blocks];
}

function parse(pem: string | Buffer, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TlsLoadError(`${what}: ${(error as Error).message}`);
  }
}

function keyPair(config: TlsCertificate, index: number): KeyPair {
  const what = `tls_certificates[${index}]`;
  const cert = readSource(config.certificate_chain, `${what}.certificate_chain`);
  const key = readSource(config.private_key, `${what}.private_key`);
  const password = config.password;
  return {
    cert,
    key,
    passphrase: password === undefined ? undefined : readSource(password, `${what}.password`).toString(),
    leaf: parse(cert, `${what}.certificate_chain`),
  };
}

/** The contexts of one configuration: what a server name gets, and what everybody else gets. */
export interface Contexts {
  readonly fallback: SecureContext;
  /** A better one for a server name; undefined when the fallback is right. Absent with one certificate of each kind. */
  readonly forServerName: ((name: string) => SecureContext | undefined) | undefined;
}

/**
 * Reads certificates, keys and authorities.
 * @param owner whose they are, for errors: `cluster app`.
 * @throws TlsLoadError for files, PEM, keys and parameters that are not as they must be
 */
export function createContexts(
  owner: string,
  common: CommonTlsContext,
  defaultMaximum: 'TLSv1.2' | 'TLSv1.3',
  extra: SecureContextOptions = {},
): Contexts {
  try {
    return contextsOf(common, defaultMaximum, extra);
  } catch (error) {
    throw error instanceof TlsLoadError ? new TlsLoadError(`${owner}: ${error.message}`) : error;
  }
}

function contextsOf(
  common: CommonTlsContext,
  defaultMaximum: 'TLSv1.2' | 'TLSv1.3',
  extra: SecureContextOptions,
): Contexts {
  const pairs = common.tls_certificates.map(keyPair);
  // Renegotiation lets a peer change who it is in the middle, and costs much to answer (RFC 9325 §3.5).
  const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | (extra.secureOptions ?? 0);
  const base = { ...commonOptions(common, defaultMaximum), ...extra, secureOptions };
  const fallback = secureContext(base, firstOfEachKind(pairs));
  if (pairs.length <= 1 || firstOfEachKind(pairs).length === pairs.length) {
    return { fallback, forServerName: undefined };
  }
  const named = pairs.flatMap((pair) => peerNames(pair.leaf).dns.map((name) => ({ name: name.toLowerCase(), pair })));
  const contexts = new Map<string, SecureContext>();
  for (const name of new Set(named.map((entry) => entry.name))) {
    const own = named.filter((entry) => entry.name === name).map((entry) => entry.pair);
    contexts.set(name, secureContext(base, firstOfEachKind(own)));
  }
  return {
    fallback,
    forServerName: (name) => {
      const host = name.toLowerCase();
      return contexts.get(host) ?? contexts.get(`*${host.substring(host.indexOf('.'))}`);
    },
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
