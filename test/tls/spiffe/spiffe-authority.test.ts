import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import type { SpiffeValidatorConfig } from '../../../src/config/schema/spiffe.ts';
import { peerNames } from '../../../src/tls/peer-names.ts';
import { SourceReader } from '../../../src/tls/secrets/source-reader.ts';
import { SpiffeAuthority } from '../../../src/tls/spiffe/spiffe-authority.ts';
import { handshakeChain } from '../../support/handshake.ts';
import { type CertificateOptions, TestCa } from '../../support/pki.ts';

const shop = new TestCa('Shop');
const bank = new TestCa('Bank');
const IN_SHOP = 'URI:spiffe://shop.test/cart';

const domains = (...list: readonly [name: string, pem: string][]): SpiffeValidatorConfig => ({
  trust_domains: list.map(([name, pem]) => ({ name, trust_bundle: { inline_string: pem } })),
});

const FEDERATION = domains(['shop.test', shop.cert], ['bank.test', bank.cert]);

/** What an authority has against a certificate; undefined when it is good. */
function refusal(certificate: X509Certificate, config = FEDERATION, options = { allow_expired_certificate: false }) {
  const authority = new SpiffeAuthority(config, options as never, 'client', (source, what) =>
    new SourceReader().read(source, what),
  );
  const reason = authority.refusal(
    { isSessionReused: () => false } as TLSSocket,
    certificate,
    peerNames(certificate),
  )?.reason;
  return reason === undefined ? undefined : /verify cert failed: (.*):TLS_error_end$/.exec(reason)?.[1];
}

function svid(ca: TestCa, options: CertificateOptions = { names: [IN_SHOP] }): X509Certificate {
  return new X509Certificate(ca.issue({ keyUsage: 0x80, ...options }).cert);
}

test('the authority of the trust domain vouches for its workloads', () => {
  expect(refusal(svid(shop))).toBeUndefined();
  expect(refusal(svid(bank, { names: ['URI:spiffe://bank.test/teller'] }))).toBeUndefined();
});

test('the authority of another trust domain does not, though it is trusted for its own', () => {
  expect(refusal(svid(bank))).toContain('unable to get local issuer certificate');
  expect(refusal(svid(shop, { names: ['URI:spiffe://bank.test/teller'] }))).toContain('unable to get local issuer');
});

test('a trust domain without a bundle is unknown', () => {
  const stranger = svid(shop, { names: ['URI:spiffe://other.test/cart'] });
  expect(refusal(stranger)).toBe('no trust bundle store');
});

test.each<[string, CertificateOptions, string]>([
  ['no name', {}, 'no trust bundle store'],
  ['a DNS name only', { names: ['DNS:cart.shop.test'] }, 'no trust bundle store'],
  ['a URI that is no SPIFFE ID', { names: ['URI:https://shop.test/cart'] }, 'no trust bundle store'],
  ['a trust domain and no path', { names: ['URI:spiffe://shop.test'] }, 'no trust bundle store'],
  ['two IDs', { names: [IN_SHOP, 'URI:spiffe://shop.test/admin'] }, 'cert precheck: more than one URI SAN'],
  ['an ID and another URI', { names: [IN_SHOP, 'URI:https://shop.test'] }, 'cert precheck: more than one URI SAN'],
  ['the right to sign certificates', { names: [IN_SHOP], keyUsage: 0x84 }, 'cert precheck'],
  ['the right to sign revocation lists', { names: [IN_SHOP], keyUsage: 0x82 }, 'cert precheck'],
  ['a key that may not sign', { names: [IN_SHOP], keyUsage: 0x20 }, 'cert precheck: the key may not sign'],
  ['an authority', { names: [IN_SHOP], isCa: true }, 'cert precheck'],
])('%s makes no workload', (_, options, reason) => {
  expect(refusal(svid(shop, options))).toBe(reason);
});

test('a key without limits makes no workload', () => {
  expect(refusal(new X509Certificate(shop.issue({ names: [IN_SHOP] }).cert))).toBe('cert precheck');
});

test('a DNS name beside the ID is fine', () => {
  expect(refusal(svid(shop, { names: ['DNS:cart.shop.test', IN_SHOP] }))).toBeUndefined();
});

test('an expired SVID is refused unless the configuration says otherwise', () => {
  const old = svid(shop, { names: [IN_SHOP], notAfter: new Date(Date.now() - 1000) });
  expect(refusal(old)).toContain('certificate has expired');
  expect(refusal(old, FEDERATION, { allow_expired_certificate: true })).toBeUndefined();
});

test('authorities below a bundle come with the SVID, and belong to one trust domain', async () => {
  const below = new TestCa('Below the shop', shop);
  const issued = below.issue({ names: [IN_SHOP], keyUsage: 0x80 });
  const chain = await handshakeChain({ cert: issued.cert + below.cert, key: issued.key });
  expect(refusal(chain)).toBeUndefined();
  const foreign = below.issue({ keyUsage: 0x80, names: ['URI:spiffe://bank.test/teller'] });
  const stolen = await handshakeChain({ cert: foreign.cert + below.cert, key: foreign.key });
  expect(refusal(stolen)).toContain('unable to get local issuer certificate');
});

test('a bundle with a revocation list has its workloads looked up', () => {
  const [good, bad] = [svid(shop), svid(shop)];
  const config = domains(['shop.test', shop.cert + shop.revoke(bad)]);
  expect(refusal(good, config)).toBeUndefined();
  expect(refusal(bad, config)).toContain('certificate revoked');
});

const x5c = (ca: TestCa) => [new X509Certificate(ca.cert).raw.toString('base64')];
const bundleMap = (map: unknown): SpiffeValidatorConfig => ({
  trust_domains: [{ name: 'bank.test', trust_bundle: { inline_string: bank.cert } }],
  trust_bundles: { inline_string: JSON.stringify(map) },
});

test('a map of SPIFFE bundles goes before the list', () => {
  const map = bundleMap({
    trust_domains: {
      'shop.test': {
        spiffe_sequence: 3,
        keys: [
          { kty: 'EC', use: 'jwt-svid', kid: 'a' },
          { kty: 'EC', use: 'x509-svid', x5c: x5c(shop) },
        ],
      },
    },
  });
  expect(refusal(svid(shop), map)).toBeUndefined();
  expect(refusal(svid(bank, { names: ['URI:spiffe://bank.test/teller'] }), map)).toBe('no trust bundle store');
});

test.each([
  [{}, 'trust_domains is not a map'],
  [{ trust_domains: {} }, 'no trust domain in it'],
  [{ trust_domains: { 'shop.test': {} } }, 'the bundle of shop.test has no list of keys'],
  [{ trust_domains: { 'shop.test': { keys: [{ use: 'jwt-svid' }] } } }, 'no x509-svid key for shop.test'],
  [{ trust_domains: { 'shop.test': { keys: [{ use: 'x509-svid', x5c: [] }] } } }, 'needs one certificate in x5c'],
  [{ trust_domains: { 'shop.test': { keys: [{ use: 'x509-svid', x5c: ['AAAA'] }] } } }, 'cannot be read'],
  [{ trust_domains: { 'Shop.test': { keys: [] } } }, 'not the name of a trust domain'],
])('a map that says %j is a mistake', (map, problem) => {
  expect(() => refusal(svid(shop), bundleMap(map))).toThrow(problem);
});

test('a bundle without certificates is a mistake', () => {
  expect(() => refusal(svid(shop), domains(['shop.test', 'nothing']))).toThrow('trust bundle of shop.test has no CERT');
});
