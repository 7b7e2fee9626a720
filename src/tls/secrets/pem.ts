import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { WatchedDirectory } from '../../config/schema/config-source.ts';
import type { DataSource } from '../../config/schema/core.ts';
import type { TlsCertificate } from '../../config/schema/tls.ts';
import { type SourceReader, TlsLoadError } from './source-reader.ts';

/** A certificate chain with its key. */
export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly passphrase: string | undefined;
  readonly leaf: X509Certificate;
  /** Where the chain was read, `<inline>` for text of the configuration. */
  readonly path: string;
}

/** Authorities in PEM, one text each. @throws TlsLoadError */
export function readAuthorities(source: DataSource, reader: SourceReader, folder?: WatchedDirectory): string[] {
  const pem = reader.read(source, 'trusted_ca', folder);
  const certificates = pemBlocks(pem.toString('latin1'), 'CERTIFICATE', 'trusted_ca');
  for (const certificate of certificates) parseCertificate(certificate, 'trusted_ca');
  return certificates;
}

/** Revocation lists in PEM, one text each. @throws TlsLoadError */
export function readRevocationLists(source: DataSource, reader: SourceReader, folder?: WatchedDirectory): string[] {
  return pemBlocks(reader.read(source, 'crl', folder).toString('latin1'), 'X509 CRL', 'crl');
}

/** @throws TlsLoadError also for a key that is another certificate's */
export function readKeyPair(config: TlsCertificate, what: string, reader: SourceReader): KeyPair {
  const folder = config.watched_directory;
  const cert = reader.read(config.certificate_chain, `${what}.certificate_chain`, folder);
  const key = reader.read(config.private_key, `${what}.private_key`, folder);
  const { password } = config;
  const passphrase = password === undefined ? undefined : reader.read(password, `${what}.password`, folder).toString();
  const leaf = parseCertificate(cert, `${what}.certificate_chain`);
  if (!leaf.checkPrivateKey(parseKey(key, passphrase, what))) {
    throw new TlsLoadError(`${what}: certificate, key or parameters are refused: the key is not the certificate's`);
  }
  return { cert, key, passphrase, leaf, path: config.certificate_chain.filename ?? '<inline>' };
}

function parseKey(key: Buffer, passphrase: string | undefined, what: string): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? key : { key, passphrase });
  } catch (error) {
    throw new TlsLoadError(`${what}: certificate, key or parameters are refused: ${(error as Error).message}`);
  }
}

/** The blocks of one kind in a PEM file. @throws TlsLoadError without any */
export function pemBlocks(text: string, label: string, what: string): string[] {
  const blocks = text.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, 'g')) ?? [];
  if (blocks.length === 0) throw new TlsLoadError(`${what} has no ${label} in PEM`);
  return [...blocks];
}

function parseCertificate(pem: string | Buffer, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TlsLoadError(`${what}: ${(error as Error).message}`);
  }
}
