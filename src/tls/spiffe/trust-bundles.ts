import { X509Certificate } from 'node:crypto';
import type { SpiffeValidatorConfig } from '../../config/schema/spiffe.ts';
import type { ReadSource } from '../certificate-check.ts';
import { certificatesIn, revocationListsIn } from '../chain-authority.ts';
import type { RevocationList } from '../revocation-list.ts';
import { TlsLoadError } from '../secrets/source-reader.ts';
import { isTrustDomain } from './spiffe-id.ts';

/** Whom a trust domain believes. */
export interface TrustBundle {
  readonly authorities: readonly X509Certificate[];
  readonly revocationLists: readonly RevocationList[];
}

/** Bundles by the name of their trust domain. */
export type TrustBundles = ReadonlyMap<string, TrustBundle>;

/** Reads the bundles of a validator. @throws TlsLoadError */
export function loadTrustBundles(config: SpiffeValidatorConfig, read: ReadSource): TrustBundles {
  const { trust_bundles: map, trust_domains: domains } = config;
  // As in Envoy, the map goes before the list.
  if (map !== undefined) return readBundleMap(read(map, 'trust_bundles').toString());
  return new Map(
    domains.map(({ name, trust_bundle: source }) => [
      name,
      readPem(read(source, `trust bundle of ${name}`), `trust bundle of ${name}`),
    ]),
  );
}

function readPem(pem: Buffer, what: string): TrustBundle {
  const hasLists = pem.includes('-----BEGIN X509 CRL-----');
  return {
    authorities: certificatesIn(pem, what),
    revocationLists: hasLists ? revocationListsIn(pem, what) : [],
  };
}

interface BundleKey {
  readonly use?: unknown;
  readonly x5c?: unknown;
}

/**
 * A map of SPIFFE bundles in JSON: `{"trust_domains": {"example.org": {"keys": [{"use": "x509-svid", "x5c": […]}]}}}`
 * (SPIFFE Trust Domain and Bundle §4). Keys of other uses, such as `jwt-svid`, are for others.
 * @throws TlsLoadError
 */
export function readBundleMap(text: string): TrustBundles {
  const domains = asRecord(asRecord(parseJson(text), 'a bundle map').trust_domains, 'trust_domains');
  const bundles = new Map<string, TrustBundle>();
  for (const [name, bundle] of Object.entries(domains)) {
    if (!isTrustDomain(name)) throw new TlsLoadError(`trust_bundles: '${name}' is not the name of a trust domain`);
    const { keys } = asRecord(bundle, `the bundle of ${name}`);
    if (!Array.isArray(keys)) throw new TlsLoadError(`trust_bundles: the bundle of ${name} has no list of keys`);
    const authorities = keys.flatMap((key: BundleKey) => authorityOf(key, name));
    if (authorities.length === 0) throw new TlsLoadError(`trust_bundles: no x509-svid key for ${name}`);
    bundles.set(name, { authorities, revocationLists: [] });
  }
  if (bundles.size === 0) throw new TlsLoadError('trust_bundles: no trust domain in it');
  return bundles;
}

function authorityOf(key: BundleKey, name: string): X509Certificate[] {
  if (key?.use !== 'x509-svid') return [];
  const { x5c } = key;
  // One key is one authority: its certificate and nothing above it (§4.2.2).
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') {
    throw new TlsLoadError(`trust_bundles: a key of ${name} needs one certificate in x5c`);
  }
  try {
    return [new X509Certificate(Buffer.from(x5c[0], 'base64'))];
  } catch (error) {
    throw new TlsLoadError(`trust_bundles: a certificate of ${name} cannot be read: ${(error as Error).message}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TlsLoadError(`trust_bundles: ${(error as Error).message}`);
  }
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TlsLoadError(`trust_bundles: ${what} is not a map`);
}
