import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { TestCa } from '../../support/pki.ts';
import { httpConfig, startTestProxy } from '../../support/proxy.ts';
import { certificate, inChain, tlsClient, tlsServer, transportSocket } from '../../support/tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'outrigger-trust-domains-'));
afterAll(() => rmSync(folder, { recursive: true }));

const shop = new TestCa('Shop');
const bank = new TestCa('Bank');
const below = new TestCa('Below', shop);
const svid = (ca: TestCa, id: string) => ca.issue({ names: [`URI:${id}`], keyUsage: 0x80 });
const SERVER = svid(shop, 'spiffe://shop.test/server');

const VALIDATOR = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';

/** Replaces a file as editors and kubelets do. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function validation(bundles: Readonly<Record<string, object>>): object {
  const trust_domains = Object.entries(bundles).map(([name, trust_bundle]) => ({ name, trust_bundle }));
  const typed_config = { '@type': VALIDATOR, trust_domains };
  return { custom_validator_config: { name: 'envoy.tls.cert_validator.spiffe', typed_config } };
}

/** A listener that answers those whom it believes. */
function listener(bundles: Readonly<Record<string, object>>): string {
  const routes = '- match: { prefix: / }\n  direct_response: { status: 200 }';
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(SERVER)], validation_context: validation(bundles) },
  });
  return inChain(httpConfig(1, { routes }), socket);
}

/** What a request gets, '' when the connection ends instead; and the session that the server offered last. */
async function ask(
  port: number,
  shown: { cert: string; key: string } | undefined,
  session?: Buffer,
): Promise<{ status: string; resumed: boolean; session: Buffer | undefined }> {
  let offered: Buffer | undefined;
  try {
    const client = await tlsClient(port, { ...shown, ...(session === undefined ? {} : { session }) });
    client.socket.on('session', (next: Buffer) => {
      offered = next;
    });
    client.socket.on('error', () => {});
    const resumed = client.socket.isSessionReused();
    client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    const status = client.text.substring(9, 12);
    client.destroy();
    return { status, resumed, session: offered };
  } catch {
    return { status: '', resumed: false, session: offered };
  }
}

const inline = (ca: TestCa): object => ({ inline_string: ca.cert });
const BOTH = { 'shop.test': inline(shop), 'bank.test': inline(bank) };

test('each trust domain has its own authority, on one listener', async () => {
  await using proxy = await startTestProxy(listener(BOTH));
  expect(await ask(proxy.port, svid(shop, 'spiffe://shop.test/a'))).toMatchObject({ status: '200' });
  expect(await ask(proxy.port, svid(bank, 'spiffe://bank.test/a'))).toMatchObject({ status: '200' });
  expect(await ask(proxy.port, svid(bank, 'spiffe://shop.test/a'))).toMatchObject({ status: '' });
  expect(await ask(proxy.port, svid(shop, 'spiffe://bank.test/a'))).toMatchObject({ status: '' });
  expect(await ask(proxy.port, undefined)).toMatchObject({ status: '' });
  const ssl = (name: string) => proxy.stat(`listener.127.0.0.1_0.ssl.${name}`);
  await expect.poll(() => ssl('fail_verify_error')).toBe(2);
  expect(ssl('handshake')).toBe(2);
});

test('a session is resumed with an authority in between, which comes along only once', async () => {
  await using proxy = await startTestProxy(listener(BOTH));
  const { cert, key } = svid(below, 'spiffe://shop.test/a');
  const shown = { cert: cert + below.cert, key };
  const first = await ask(proxy.port, shown);
  expect(first).toMatchObject({ status: '200', resumed: false });
  expect(await ask(proxy.port, shown, first.session)).toMatchObject({ status: '200', resumed: true });
});

test('a session that was refused cannot be resumed either', async () => {
  await using proxy = await startTestProxy(listener(BOTH));
  const forged = svid(bank, 'spiffe://shop.test/a');
  const first = await ask(proxy.port, forged);
  expect(first.status).toBe('');
  if (first.session !== undefined) expect((await ask(proxy.port, forged, first.session)).status).toBe('');
});

test('a bundle that changes counts from the next handshake on, for resumed sessions too', async () => {
  const path = join(folder, 'shop.pem');
  writeFileSync(path, shop.cert);
  await using proxy = await startTestProxy(listener({ 'shop.test': { filename: path } }));
  const old = svid(shop, 'spiffe://shop.test/a');
  const next = new TestCa('Shop, next year');
  const young = svid(next, 'spiffe://shop.test/a');
  const { session } = await ask(proxy.port, old);
  expect(await ask(proxy.port, young)).toMatchObject({ status: '' });
  replace(path, shop.cert + next.cert);
  await expect.poll(async () => (await ask(proxy.port, young)).status, { timeout: 20_000 }).toBe('200');
  expect(await ask(proxy.port, old)).toMatchObject({ status: '200' });
  replace(path, next.cert);
  await expect.poll(async () => (await ask(proxy.port, old)).status, { timeout: 20_000 }).toBe('');
  expect(await ask(proxy.port, old, session)).toMatchObject({ status: '' });
  expect(await ask(proxy.port, young)).toMatchObject({ status: '200' });
  replace(path, 'not a bundle');
  await expect.poll(() => proxy.stat('listener.127.0.0.1_0.ssl.context_update_rejected')).toBe(1);
  expect(await ask(proxy.port, young)).toMatchObject({ status: '200' });
});

test('a client asks its servers the same', async () => {
  const answer = (socket: { once(event: 'data', listener: () => void): void; end(text: string): void }) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  for (const [shown, status] of [
    [svid(bank, 'spiffe://bank.test/a'), 200],
    [svid(bank, 'spiffe://shop.test/a'), 503],
  ] as const) {
    await using server = await tlsServer(shown, answer);
    const context = { common_tls_context: { validation_context: validation(BOTH) } };
    const cluster = transportSocket('UpstreamTlsContext', context);
    await using proxy = await startTestProxy(httpConfig(server.port, { cluster }));
    expect((await fetch(`http://127.0.0.1:${proxy.port}/`)).status).toBe(status);
  }
});

test('trust domains may come from a file of secrets, with names from the configuration', async () => {
  const path = join(folder, 'secrets.json');
  const secrets = (bundles: Readonly<Record<string, object>>) => {
    const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
    const secret = { '@type': type, name: 'trust', validation_context: validation(bundles) };
    return JSON.stringify({ resources: [secret] });
  };
  writeFileSync(path, secrets({ 'shop.test': inline(shop) }));
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: {
      tls_certificates: [certificate(SERVER)],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { suffix: '/a' } }],
        },
        validation_context_sds_secret_config: {
          name: 'trust',
          sds_config: { path_config_source: { path } },
        },
      },
    },
  });
  const routes = '- match: { prefix: / }\n  direct_response: { status: 200 }';
  await using proxy = await startTestProxy(inChain(httpConfig(1, { routes }), socket));
  const teller = svid(bank, 'spiffe://bank.test/a');
  expect(await ask(proxy.port, svid(shop, 'spiffe://shop.test/a'))).toMatchObject({ status: '200' });
  expect(await ask(proxy.port, svid(shop, 'spiffe://shop.test/b'))).toMatchObject({ status: '' });
  expect(await ask(proxy.port, teller)).toMatchObject({ status: '' });
  replace(path, secrets(BOTH));
  await expect.poll(async () => (await ask(proxy.port, teller)).status, { timeout: 20_000 }).toBe('200');
});
