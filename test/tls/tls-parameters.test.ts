import type { ConnectionOptions } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { certificate, inChain, TestPki, tlsClient, transportSocket } from '../support/tls.ts';

const pki = new TestPki();
const SSL = 'listener.127.0.0.1_0.ssl';
const ROUTES = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';
const rsa = pki.ca.issue({ commonName: 'rsa', names: ['DNS:rsa.test'], keyType: 'rsa' });

function start(common: object, fields: object = {}): Promise<TestProxy> {
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(pki.server)], ...common },
    ...fields,
  });
  return startTestProxy(inChain(httpConfig(1, { routes: ROUTES }), socket));
}

/** The name in the certificate that a client gets; rejects when the handshake fails. */
async function shown(port: number, options: ConnectionOptions = {}): Promise<string> {
  const client = await tlsClient(port, options);
  const { CN } = client.socket.getPeerCertificate().subject;
  client.destroy();
  return String(CN);
}

describe('what a handshake may agree on', () => {
  test('curves', async () => {
    await using proxy = await start({ tls_params: { ecdh_curves: ['P-384'] } });
    expect(await shown(proxy.port, { ecdhCurve: 'P-384' })).toBe('server');
    await expect(shown(proxy.port, { ecdhCurve: 'P-256' })).rejects.toThrow(/handshake failure/);
    expect(proxy.stat(`${SSL}.connection_error`)).toBe(1);
  });

  test('signature algorithms', async () => {
    const tls_params = { signature_algorithms: ['rsa_pss_rsae_sha256', 'ecdsa_secp256r1_sha256'] };
    await using proxy = await start({ tls_params });
    expect(await shown(proxy.port)).toBe('server');
    await expect(shown(proxy.port, { sigalgs: 'ecdsa_secp384r1_sha384' })).rejects.toThrow(/handshake failure/);
  });

  test('cipher suites, in the order of the server', async () => {
    const suites = ['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-GCM-SHA256'];
    await using proxy = await start({ tls_params: { cipher_suites: suites } });
    const ciphers = suites.toReversed().join(':');
    const client = await tlsClient(proxy.port, { maxVersion: 'TLSv1.2', ciphers });
    expect(client.socket.getCipher().name).toBe(suites[0]);
    client.destroy();
    await expect(
      shown(proxy.port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' }),
    ).rejects.toThrow(/handshake failure/);
    expect(proxy.stat(`${SSL}.connection_error`)).toBe(1);
  });

  test('the newest version that both speak, within bounds', async () => {
    await using proxy = await start({ tls_params: { tls_maximum_protocol_version: 'TLSv1_2' } });
    const client = await tlsClient(proxy.port);
    expect(client.socket.getProtocol()).toBe('TLSv1.2');
    client.destroy();
    await expect(shown(proxy.port, { minVersion: 'TLSv1.3' })).rejects.toThrow(/protocol version/);
  });
});

describe('which certificate is shown', () => {
  test.each([true, false])('where no name fits, one that the client can use: full scan %s', async (isFull) => {
    const tls_certificates = [certificate(pki.server), certificate(rsa)];
    await using proxy = await start({ tls_certificates }, { full_scan_certs_on_sni_mismatch: isFull });
    const servername = 'unknown.test';
    expect(await shown(proxy.port, { servername })).toBe('server');
    const ciphers = 'ECDHE-RSA-AES128-GCM-SHA256';
    expect(await shown(proxy.port, { servername, ciphers, maxVersion: 'TLSv1.2' })).toBe('rsa');
  });

  test('a certificate in bytes, its key in the environment', async () => {
    process.env.OUTRIGGER_TEST_KEY = pki.client.key;
    const tls_certificates = [
      {
        certificate_chain: { inline_bytes: Buffer.from(pki.client.cert).toString('base64') },
        private_key: { environment_variable: 'OUTRIGGER_TEST_KEY' },
      },
    ];
    await using proxy = await start({ tls_certificates });
    delete process.env.OUTRIGGER_TEST_KEY;
    expect(await shown(proxy.port)).toBe('client');
  });
});
