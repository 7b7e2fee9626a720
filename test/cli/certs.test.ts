import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { makeAuthority, makeRevocationList, makeSvid } from '../../src/cli/certs-files.ts';
import { showCertificates } from '../../src/cli/certs-show.ts';
import { DAY_MS, parseTtl, spanText } from '../../src/cli/certs-ttl.ts';
import { ChainVerifier } from '../../src/tls/chain-verifier.ts';
import { peerNames } from '../../src/tls/peer-names.ts';
import { readSvid } from '../../src/tls/spiffe/svid.ts';
import { readBundleMap } from '../../src/tls/spiffe/trust-bundles.ts';
import { runCli } from './run-cli.ts';

const root = mkdtempSync(join(tmpdir(), 'outrigger-certs-'));
let folders = 0;
const folder = (): string => join(root, String(++folders));

afterAll(() => rmSync(root, { recursive: true }));

const hasOpenssl = spawnSync('openssl', ['version']).error === undefined;
const openssl = async (...args: readonly string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)('openssl', args, { timeout: 30_000 });
  return stdout;
};

interface Choice {
  readonly key?: 'ecdsa' | 'rsa';
  readonly trustDomain?: string;
  readonly caKey?: 'ecdsa' | 'rsa';
}

/** An authority and a workload. */
async function identity({ key = 'ecdsa', caKey = 'ecdsa', trustDomain = 'shop.test' }: Choice = {}) {
  const [ca, out] = [folder(), folder()];
  await makeAuthority({ trustDomain, out: ca, ttl: 30 * DAY_MS, key: caKey, force: false });
  const spiffeId = `spiffe://${trustDomain}/cart`;
  const svid = { ca, spiffeId, out, dns: ['cart.test'], ip: ['127.0.0.1', '::1'], ttl: DAY_MS, key, force: false };
  await makeSvid(svid);
  return { ca, out, svid, leaf: new X509Certificate(readFileSync(join(out, 'svid.pem'))) };
}

describe.each([
  ['ecdsa', 'ecdsa'],
  ['rsa', 'ecdsa'],
  ['ecdsa', 'rsa'],
] as const)('an %s identity from an authority with %s', (key, caKey) => {
  test('is what openssl calls good, and what the standard asks for', async (context) => {
    const { ca, out, leaf } = await identity({ key, caKey });
    expect(readSvid(leaf, peerNames(leaf))).toEqual({ trustDomain: 'shop.test', path: '/cart' });
    expect(peerNames(leaf)).toMatchObject({ dns: ['cart.test'], ip: ['127.0.0.1', '::1'] });
    for (const purpose of ['client', 'server'] as const) {
      const anchors = [new X509Certificate(readFileSync(join(ca, 'ca.pem')))];
      expect(new ChainVerifier({ anchors, purpose }).problem(leaf, false)).toBeUndefined();
    }
    if (!hasOpenssl) return context.skip('needs openssl');
    for (const purpose of ['sslclient', 'sslserver']) {
      const args = ['-x509_strict', '-purpose', purpose, '-CAfile', join(out, 'bundle.pem'), join(out, 'svid.pem')];
      expect(await openssl('verify', ...args)).toContain('OK');
    }
    const text = await openssl('x509', '-in', join(out, 'svid.pem'), '-noout', '-text');
    expect(text).toContain('URI:spiffe://shop.test/cart');
    expect(text).toMatch(/Key Usage: critical\n +Digital Signature\n/);
    expect(text).toMatch(/Basic Constraints: critical\n +CA:FALSE/);
    const own = await openssl('pkey', '-in', join(out, 'svid-key.pem'), '-pubout');
    expect(own).toBe(await openssl('x509', '-in', join(out, 'svid.pem'), '-noout', '-pubkey'));
  });
});

test('keys are for their owner alone', async () => {
  const { ca, out } = await identity();
  expect(statSync(join(ca, 'ca-key.pem')).mode & 0o777).toBe(0o600);
  expect(statSync(join(out, 'svid-key.pem')).mode & 0o777).toBe(0o600);
  expect(readdirSync(out).sort()).toEqual(['bundle.pem', 'svid-key.pem', 'svid.pem']);
});

test('nothing is overwritten unless that is asked for', async () => {
  const { ca, svid, leaf } = await identity();
  await expect(makeSvid(svid)).rejects.toThrow('exists already');
  await expect(
    makeAuthority({ trustDomain: 'shop.test', out: ca, ttl: DAY_MS, key: 'ecdsa', force: false }),
  ).rejects.toThrow('exists already');
  await makeSvid({ ...svid, force: true });
  expect(new X509Certificate(readFileSync(join(svid.out, 'svid.pem'))).serialNumber).not.toBe(leaf.serialNumber);
});

test('an authority vouches for its trust domain alone, and nothing outlives it', async () => {
  const { svid } = await identity();
  await expect(makeSvid({ ...svid, spiffeId: 'spiffe://bank.test/cart' })).rejects.toThrow('vouches for shop.test');
  await makeSvid({ ...svid, ttl: 365 * DAY_MS, force: true });
  const [end, ca] = [join(svid.out, 'svid.pem'), join(svid.ca, 'ca.pem')].map(
    (file) => new X509Certificate(readFileSync(file)).validTo,
  );
  expect(end).toBe(ca);
});

test.each([
  [{ spiffeId: 'spiffe://shop.test' }, 'not the SPIFFE ID of a workload'],
  [{ spiffeId: 'https://shop.test/cart' }, 'not the SPIFFE ID of a workload'],
  [{ dns: ['two names'] }, 'not a host name'],
  [{ ip: ['localhost'] }, 'not an IP address'],
  [{ ca: '/nowhere' }, 'there is no /nowhere'],
])('%j is a mistake', async (change, problem) => {
  const { svid } = await identity();
  await expect(makeSvid({ ...svid, out: folder(), ...change })).rejects.toThrow(problem);
});

test('the bundle of an authority is one that the SPIFFE validator reads', async () => {
  const { ca } = await identity();
  const bundles = readBundleMap(readFileSync(join(ca, 'bundle.json'), 'utf8'));
  const [authority] = bundles.get('shop.test')?.authorities ?? [];
  expect(authority?.fingerprint256).toBe(new X509Certificate(readFileSync(join(ca, 'ca.pem'))).fingerprint256);
});

test('a revoked certificate is on every later list', async (context) => {
  const { ca, out, svid } = await identity();
  await makeRevocationList({ ca, revoke: [join(out, 'svid.pem')], ttl: DAY_MS });
  expect(await makeRevocationList({ ca, revoke: [], ttl: DAY_MS })).toContain('1 certificate revoked');
  const other = { ...svid, out: folder() };
  await makeSvid(other);
  if (!hasOpenssl) return context.skip('needs openssl');
  const verify = (file: string) =>
    openssl('verify', '-crl_check', '-CRLfile', join(ca, 'crl.pem'), '-CAfile', join(ca, 'ca.pem'), file);
  await expect(verify(join(out, 'svid.pem'))).rejects.toThrow('certificate revoked');
  expect(await verify(join(other.out, 'svid.pem'))).toContain('OK');
});

test('only its own authority revokes a certificate', async () => {
  const [shop, bank] = [await identity(), await identity({ trustDomain: 'bank.test' })];
  const revoke = [join(bank.out, 'svid.pem')];
  await expect(makeRevocationList({ ca: shop.ca, revoke, ttl: DAY_MS })).rejects.toThrow('was not issued by');
});

test('show tells who, until when, and the hashes that configurations pin', async (context) => {
  const { out, leaf } = await identity();
  const file = join(out, 'svid.pem');
  const text = showCertificates(file, false);
  expect(text).toContain('URI      spiffe://shop.test/cart');
  expect(text).toContain('23h left');
  expect(showCertificates(file, false, Date.now() + 2 * DAY_MS)).toContain('EXPIRED');
  const [shown] = JSON.parse(showCertificates(file, true));
  expect(shown).toMatchObject({ isAuthority: false, isExpired: false, key: 'ec prime256v1', dnsNames: ['cart.test'] });
  expect(shown.sha256).toBe(leaf.fingerprint256.replaceAll(':', '').toLowerCase());
  expect(() => showCertificates(join(out, 'svid-key.pem'), false)).toThrow('no certificate');
  if (!hasOpenssl) return context.skip('needs openssl');
  const print = await openssl('x509', '-in', file, '-noout', '-fingerprint', '-sha256');
  expect(print.trim().split('=')[1]?.replaceAll(':', '').toLowerCase()).toBe(shown.sha256);
});

test('times are a number and a unit', () => {
  expect(['90s', '15m', '12h', '30d'].map(parseTtl)).toEqual([90_000, 900_000, 43_200_000, 30 * DAY_MS]);
  expect(['', '0s', '1', 'h', '-1h', '1w', '1.5h', '1h '].map(parseTtl)).toEqual(Array(8).fill(undefined));
  expect([0, 119_000, 120_000, 47 * 3_600_000, 2 * DAY_MS].map(spanText)).toEqual(['0s', '119s', '2m', '47h', '2d']);
});

test('the command line makes, revokes and shows', { timeout: 60_000 }, async () => {
  const cwd = mkdtempSync(join(root, 'cli-'));
  const certs = (...args: readonly string[]) => runCli(['certs', ...args], { cwd });
  expect((await certs('--help')).stdout).toContain('outrigger certs svid --ca ca --spiffe-id');
  expect(await certs('ca', '--trust-domain', 'shop.test', '--out', 'ca')).toMatchObject({ code: 0, stderr: '' });
  const svid = ['svid', '--ca', 'ca', '--spiffe-id', 'spiffe://shop.test/cart', '--dns', 'a.test', '--dns', 'b.test'];
  expect(await certs(...svid, '--ttl', '90s', '--out', 'cart')).toMatchObject({ code: 0 });
  expect(await certs(...svid, '--out', 'cart')).toMatchObject({ code: 2 });
  expect(await certs(...svid, '--ttl', 'soon', '--out', 'other')).toMatchObject({ code: 2 });
  expect(await certs('crl', '--ca', 'ca', '--revoke', 'cart/svid.pem')).toMatchObject({ code: 0 });
  const { stdout } = await certs('show', 'cart/svid.pem', '--json');
  expect(JSON.parse(stdout)[0].dnsNames).toEqual(['a.test', 'b.test']);
});
