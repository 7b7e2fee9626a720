import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CertificateAuthority,
  isAddress,
  type KeyType,
  type RevokedCertificate,
} from '../mesh/certificate-authority.ts';
import { isTrustDomain, parseSpiffeId } from '../tls/spiffe/spiffe-id.ts';
import { spanText } from './certs-ttl.ts';
import { attempt, makeOutputFolder } from './output.ts';
import { UsageError } from './usage-error.ts';

type KeyChoice = 'ecdsa' | 'rsa';

const KEY_TYPES: Readonly<Record<KeyChoice, KeyType>> = { ecdsa: 'ecdsa-p256', rsa: 'rsa-2048' };

export interface AuthorityRequest {
  readonly trustDomain: string;
  readonly out: string;
  /** Milliseconds. */
  readonly ttl: number;
  readonly key: KeyChoice;
  readonly force: boolean;
}

/** `certs ca`: writes an authority; returns what to tell. @throws UsageError */
export async function makeAuthority({ trustDomain, out, ttl, key, force }: AuthorityRequest): Promise<string> {
  if (!isTrustDomain(trustDomain)) {
    throw new UsageError(
      `'${trustDomain}' is not the name of a trust domain`,
      'lower-case letters, digits, dots, dashes and underscores, such as shop.test',
    );
  }
  const files = filesIn(out, ['ca.pem', 'ca-key.pem', 'bundle.json'], force);
  const authority = await CertificateAuthority.create(trustDomain, ttl, KEY_TYPES[key]);
  const der = new X509Certificate(authority.certificatePem).raw.toString('base64');
  const bundle = { trust_domains: { [trustDomain]: { keys: [{ use: 'x509-svid', x5c: [der] }] } } };
  makeOutputFolder(out);
  write(files['ca-key.pem'], authority.keyPem, 0o600);
  write(files['ca.pem'], authority.certificatePem);
  write(files['bundle.json'], `${JSON.stringify(bundle, undefined, 2)}\n`);
  return `wrote ${files['ca.pem']}, ${files['ca-key.pem']} and ${files['bundle.json']}: the authority of ${trustDomain}, for ${spanText(ttl)}

Next     outrigger certs svid --ca ${out} --spiffe-id spiffe://${trustDomain}/app --out app
`;
}

export interface SvidFilesRequest {
  readonly ca: string;
  readonly spiffeId: string;
  readonly out: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly ttl: number;
  readonly key: KeyChoice;
  readonly force: boolean;
}

/** `certs svid`: writes the identity of a workload; returns what to tell. @throws UsageError */
export async function makeSvid({ ca, spiffeId, out, dns, ip, ttl, key, force }: SvidFilesRequest): Promise<string> {
  const id = parseSpiffeId(spiffeId);
  if (id === undefined || id.path === '') {
    throw new UsageError(`'${spiffeId}' is not the SPIFFE ID of a workload`, 'such as spiffe://shop.test/cart');
  }
  const authority = readAuthority(ca);
  if (id.trustDomain !== authority.trustDomain) {
    throw new UsageError(
      `${ca} vouches for ${authority.trustDomain}, not for ${id.trustDomain}`,
      `spiffe://${authority.trustDomain}${id.path}`,
    );
  }
  for (const address of ip) if (!isAddress(address)) throw new UsageError(`--ip: '${address}' is not an IP address`);
  for (const name of dns) {
    if (!/^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$/.test(name)) {
      throw new UsageError(`--dns: '${name}' is not a host name`);
    }
  }
  const files = filesIn(out, ['svid.pem', 'svid-key.pem', 'bundle.pem'], force);
  const request = { spiffeId, dnsNames: dns, ipAddresses: ip, ttlMs: ttl, keyType: KEY_TYPES[key] };
  const svid = await authority.issueSvid(request);
  makeOutputFolder(out);
  write(files['svid-key.pem'], svid.keyPem, 0o600);
  write(files['svid.pem'], svid.certificatePem);
  write(files['bundle.pem'], authority.certificatePem);
  const until = new X509Certificate(svid.certificatePem).validToDate.toISOString();
  return `wrote ${files['svid.pem']}, ${files['svid-key.pem']} and ${files['bundle.pem']}: ${spiffeId}, until ${until}\n`;
}

/** `certs crl`: writes the list of an authority; returns what to tell. @throws UsageError */
export async function makeRevocationList(request: {
  readonly ca: string;
  readonly revoke: readonly string[];
  readonly ttl: number;
}): Promise<string> {
  const { ca, revoke, ttl } = request;
  const authority = readAuthority(ca);
  const own = new X509Certificate(authority.certificatePem);
  const kept = join(ca, 'revoked.json');
  const revoked = new Map(
    (existsSync(kept) ? (JSON.parse(readFileSync(kept, 'utf8')) as RevokedCertificate[]) : []).map((entry) => [
      entry.serial,
      entry,
    ]),
  );
  for (const file of revoke) {
    const certificate = readCertificate(file);
    if (!certificate.checkIssued(own) || !certificate.verify(own.publicKey)) {
      throw new UsageError(`${file} was not issued by the authority in ${ca}`, 'only its own authority revokes one');
    }
    const serial = certificate.serialNumber.toLowerCase();
    if (!revoked.has(serial)) revoked.set(serial, { serial, revokedAt: new Date().toISOString() });
  }
  const entries = [...revoked.values()];
  const list = join(ca, 'crl.pem');
  write(list, await authority.revocationList(entries, ttl));
  write(kept, `${JSON.stringify(entries, undefined, 2)}\n`);
  const count = entries.length === 1 ? '1 certificate' : `${entries.length} certificates`;
  return `wrote ${list}: ${count} revoked; the next list is due in ${spanText(ttl)}\n`;
}

function readAuthority(folder: string): CertificateAuthority {
  const [certificate, key] = [join(folder, 'ca.pem'), join(folder, 'ca-key.pem')];
  for (const file of [certificate, key]) {
    if (!existsSync(file)) throw new UsageError(`there is no ${file}`, 'outrigger certs ca makes an authority');
  }
  try {
    return CertificateAuthority.load(readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'));
  } catch (error) {
    throw new UsageError(`${folder} is not an authority: ${(error as Error).message}`);
  }
}

/** @throws UsageError */
function readCertificate(file: string): X509Certificate {
  try {
    return new X509Certificate(readFileSync(file));
  } catch (error) {
    throw new UsageError(`${file} is not a certificate in PEM: ${(error as Error).message}`);
  }
}

/** The paths of files that are to be written. @throws UsageError when one is there, unless forced */
function filesIn<Name extends string>(folder: string, names: readonly Name[], force: boolean): Record<Name, string> {
  const paths = names.map((name): [Name, string] => [name, join(folder, name)]);
  for (const [, path] of paths) {
    if (!force && existsSync(path)) throw new UsageError(`${path} exists already`, 'choose another --out, or --force');
  }
  return Object.fromEntries(paths) as Record<Name, string>;
}

/** Replaces a file as a whole: whoever reads it meanwhile gets the old one or the new one. */
function write(path: string, text: string, mode = 0o644): void {
  const next = `${path}.new-${process.pid}`;
  attempt(path, () => {
    try {
      writeFileSync(next, text, { mode, flag: 'wx' });
      renameSync(next, path);
    } catch (error) {
      rmSync(next, { force: true });
      throw error;
    }
  });
}
