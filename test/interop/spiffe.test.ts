import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { keyHash } from '../../src/tls/certificate-pins.ts';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { type CertificateOptions, type Issued, TestCa } from '../support/pki.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { certificate, inChain, tlsServer, transportSocket } from '../support/tls.ts';
import { EnvoyProcess } from './differential/harness/envoy-process.ts';

const envoy = findEnvoy();
const folder = mkdtempSync(join(tmpdir(), 'outrigger-spiffe-interop-'));
afterAll(() => rmSync(folder, { recursive: true }));

const shop = new TestCa('Shop');
const bank = new TestCa('Bank');
const below = new TestCa('Below', shop);
const lower = new TestCa('Lower', below);
const CART = 'URI:spiffe://shop.test/cart';
const TELLER = 'URI:spiffe://bank.test/teller';
const past = { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-02-01') };

async function startEnvoy(text: string): Promise<AsyncDisposable & { readonly port: number }> {
  const own = mkdtempSync(join(folder, 'envoy-'));
  const admin = 'admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }\n';
  const process = await EnvoyProcess.start(envoy as string, admin + text, own);
  const [port] = (await process.listeners(1)).values();
  return Object.assign(process, { port: port as number });
}

const START = { Outrigger: (text: string) => startTestProxy(text), Envoy: startEnvoy } as const;
const KINDS = ['Outrigger', 'Envoy'] as const;

const VALIDATOR = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';

/** Trust in both trust domains, or in what is given. */
function federation(config?: object, rest: object = {}): object {
  const typed = config ?? {
    trust_domains: [
      { name: 'shop.test', trust_bundle: { inline_string: shop.cert } },
      { name: 'bank.test', trust_bundle: { inline_string: bank.cert } },
    ],
  };
  const validator = { name: 'envoy.tls.cert_validator.spiffe', typed_config: { '@type': VALIDATOR, ...typed } };
  return { custom_validator_config: validator, ...rest };
}

const x5c = (ca: TestCa): string[] => [new X509Certificate(ca.cert).raw.toString('base64')];
const MAP = {
  trust_bundles: {
    inline_string: JSON.stringify({
      trust_domains: {
        'shop.test': { keys: [{ kty: 'EC', use: 'x509-svid', x5c: x5c(shop) }] },
        'bank.test': { keys: [{ kty: 'EC', use: 'x509-svid', x5c: x5c(bank) }] },
      },
    }),
  },
};

/** A workload's key may sign and nothing else. */
const issue = (ca: TestCa, options: CertificateOptions): Issued => ca.issue({ keyUsage: 0x80, ...options });
const SERVER = issue(shop, { names: [CART] });

/** A proxy towards a TLS server; answers tell why it is refused. */
function towards(port: number, validation: object, shown?: Issued): string {
  const socket = transportSocket('UpstreamTlsContext', {
    common_tls_context: {
      ...(shown === undefined ? {} : { tls_certificates: [certificate(shown)] }),
      validation_context: validation,
      tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
    },
  });
  const headers = `response_headers_to_add:
- header: { key: x-reason, value: "%UPSTREAM_TRANSPORT_FAILURE_REASON%" }`;
  return httpConfig(port, { cluster: socket }).replace(
    /^( +)route_config:$/m,
    (line, indent: string) => `${line}\n${headers.replace(/^/gm, `${indent}  `)}`,
  );
}

async function get(port: number): Promise<{ readonly status: string; readonly reason: string }> {
  const client = await TestClient.connect(port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  const { text } = client;
  client.destroy();
  return { status: text.substring(9, 12), reason: /x-reason: (.*)\r/.exec(text)?.[1] ?? '' };
}

function serverWith(shown: Issued, ...chain: readonly TestCa[]) {
  const cert = shown.cert + chain.map((ca) => ca.cert).join('');
  return tlsServer({ cert, key: shown.key }, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  });
}

const hashOf = ({ cert }: Issued) => new X509Certificate(cert).fingerprint256;

describe('who is believed, and why not, as by Envoy', () => {
  const plain = { trusted_ca: { inline_string: shop.cert } };
  test.for<[string, Issued, readonly TestCa[], object]>([
    ['its own authority', issue(shop, { names: [CART] }), [], federation()],
    ['its own authority, of another trust domain', issue(bank, { names: [TELLER] }), [], federation()],
    ['a bundle in a map', issue(bank, { names: [TELLER] }), [], federation(MAP)],
    ['an authority below the bundle', issue(below, { names: [CART] }), [below], federation()],
    ['an authority below, that was not sent', issue(below, { names: [CART] }), [], federation()],
    ['the authority of another trust domain', issue(bank, { names: [CART] }), [], federation()],
    ['the same, by a bundle in a map', issue(bank, { names: [CART] }), [], federation(MAP)],
    ['an unknown trust domain', issue(shop, { names: ['URI:spiffe://other.test/a'] }), [], federation()],
    ['no SPIFFE ID', issue(shop, { names: ['DNS:shop.test'] }), [], federation()],
    ['expired', issue(shop, { names: [CART], ...past }), [], federation()],
    [
      'expired, and that is fine',
      issue(shop, { names: [CART], ...past }),
      [],
      federation(undefined, { allow_expired_certificate: true }),
    ],
    ['an authority poses as a workload', issue(shop, { names: [CART], isCa: true }), [], federation()],
    ['a key that signs certificates', issue(shop, { names: [CART], keyUsage: 0x84 }), [], federation()],
    [
      'another workload',
      issue(shop, { names: [CART] }),
      [],
      federation(undefined, {
        match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: 'spiffe://shop.test/pay' } }],
      }),
    ],
    [
      'the workload that is meant',
      issue(shop, { names: [CART] }),
      [],
      federation(undefined, { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { suffix: '/cart' } }] }),
    ],
    [
      'revoked',
      SERVER,
      [],
      {
        ...plain,
        crl: { inline_string: shop.revoke(new X509Certificate(SERVER.cert)) },
        only_verify_leaf_cert_crl: true,
      },
    ],
    [
      'a list that names somebody else',
      SERVER,
      [],
      { ...plain, crl: { inline_string: shop.revoke() }, only_verify_leaf_cert_crl: true },
    ],
    [
      'expired by an authority, and that is fine',
      issue(shop, { ...past }),
      [],
      { ...plain, allow_expired_certificate: true },
    ],
    ['expired, of another authority', issue(bank, { ...past }), [], { ...plain, allow_expired_certificate: true }],
    [
      'a list of another authority',
      issue(below, {}),
      [below],
      { ...plain, crl: { inline_string: shop.revoke() }, only_verify_leaf_cert_crl: true },
    ],
    [
      'a list that has run out',
      SERVER,
      [],
      {
        ...plain,
        crl: { inline_string: shop.revocationList([], new Date(Date.now() - 1000)) },
        only_verify_leaf_cert_crl: true,
      },
    ],
    ['a key without limits', shop.issue({ names: [CART] }), [], federation()],
    ['a chain that is not too long', issue(lower, {}), [lower, below], { ...plain, max_verify_depth: 3 }],
    ['the pinned certificate', SERVER, [], { verify_certificate_hash: [hashOf(SERVER)] }],
    ['another certificate than the pinned one', issue(shop, {}), [], { verify_certificate_hash: [hashOf(SERVER)] }],
    ['the pinned key', SERVER, [], { ...plain, verify_certificate_spki: [keyHash(new X509Certificate(SERVER.cert))] }],
    [
      'another key than the pinned one',
      issue(shop, {}),
      [],
      { ...plain, verify_certificate_spki: [keyHash(new X509Certificate(SERVER.cert))] },
    ],
    [
      'a name of another kind',
      issue(shop, { names: ['1.3.6.1.4.1.311.20.2.3:user@corp'] }),
      [],
      {
        ...plain,
        match_typed_subject_alt_names: [
          { san_type: 'OTHER_NAME', oid: '1.3.6.1.4.1.311.20.2.3', matcher: { exact: 'user@corp' } },
        ],
      },
    ],
    [
      'the name of another kind is not there',
      issue(shop, { names: ['1.3.6.1.4.1.311.20.2.3:user@corp'] }),
      [],
      {
        ...plain,
        match_typed_subject_alt_names: [
          { san_type: 'OTHER_NAME', oid: '1.3.6.1.4.1.311.20.2.4', matcher: { exact: 'user@corp' } },
        ],
      },
    ],
    [
      'a name in capitals, without case',
      issue(shop, { names: ['URI:spiffe://SHOP.test/a'] }),
      [],
      {
        ...plain,
        match_typed_subject_alt_names: [
          { san_type: 'URI', matcher: { prefix: 'spiffe://shop.test/', ignore_case: true } },
        ],
      },
    ],
  ])('%s', { timeout: 60_000 }, async ([, shown, chain, validation], context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    await using server = await serverWith(shown, ...chain);
    await using ours = await startTestProxy(towards(server.port, validation));
    await using theirs = await startEnvoy(towards(server.port, validation));
    expect(await get(ours.port)).toEqual(await get(theirs.port));
  });
});

describe('a hop between trust domains', () => {
  const listener = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(SERVER)], validation_context: federation() },
  });
  const routes = '- match: { prefix: / }\n  direct_response: { status: 200 }';
  for (const near of KINDS) {
    for (const far of KINDS) {
      test(`from ${near} to ${far}`, { timeout: 60_000 }, async (context) => {
        if (envoy === undefined) return context.skip(NO_ENVOY);
        await using server = await START[far](inChain(httpConfig(1, { routes }), listener));
        for (const [ca, name, status] of [
          [bank, TELLER, '200'],
          [bank, CART, '503'],
          [shop, TELLER, '503'],
        ] as const) {
          await using client = await START[near](towards(server.port, federation(), issue(ca, { names: [name] })));
          expect((await get(client.port)).status).toBe(status);
        }
        await using nobody = await START[near](towards(server.port, federation()));
        expect((await get(nobody.port)).status).toBe('503');
      });
    }
  }
});
