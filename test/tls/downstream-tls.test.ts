import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { flushAll } from '../../src/observe/access-log/index.ts';
import { encryptKey } from '../support/pki.ts';
import { httpConfig, startTestProxy, type TestProxy, tcpConfig } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { certificate, inChain, TestPki, tlsClient, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();
const folder = mkdtempSync(join(tmpdir(), 'outrigger-tls-'));
let app: Server;
let appPort = 0;
let appReceived = 0;

beforeAll(async () => {
  app = createServer((request, response) => {
    if (request.method === 'POST') {
      request.on('data', (chunk: Buffer) => {
        appReceived += chunk.length;
      });
      response.setHeader('content-length', request.headers['content-length'] ?? '');
      request.pipe(response);
    } else {
      response.end(`proto=${request.headers['x-forwarded-proto']}`);
    }
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  appPort = (app.address() as AddressInfo).port;
});

afterAll(() => {
  app.close();
  rmSync(folder, { recursive: true });
});

const REASONS = '%DOWNSTREAM_TRANSPORT_FAILURE_REASON% %CONNECTION_TERMINATION_DETAILS% %DOWNSTREAM_PEER_SUBJECT%';

function accessLog(path: string, format: string): string {
  return `access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${path}
    log_format: { text_format_source: { inline_string: "${format}\\n" } }`;
}

/** The lines of a log, once there are some: one is written when a connection is closed on our side, which a client does not see. */
async function linesOf(path: string): Promise<string[]> {
  for (;;) {
    flushAll();
    const text = readFileSync(path, 'utf8');
    if (text !== '') return text.trimEnd().split('\n');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

let logs = 0;

/** A proxy whose listener speaks TLS; `log` tells what its listener logged. */
async function tlsProxy(
  context: { common?: object; timeout?: string; tcp?: number; manager?: string; [field: string]: unknown } = {},
): Promise<TestProxy & { log(): Promise<string[]> }> {
  const { common, timeout, tcp, manager, ...fields } = context;
  const path = join(folder, `${++logs}.log`);
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(pki.server)], ...common },
    ...fields,
  });
  const listener = accessLog(path, REASONS);
  const text =
    tcp === undefined
      ? httpConfig(appPort, { listener, ...(manager === undefined ? {} : { manager }) })
      : tcpConfig(tcp);
  const lines = timeout === undefined ? [socket] : [socket, `transport_socket_connect_timeout: ${timeout}`];
  const proxy = await startTestProxy(inChain(text, ...lines));
  return Object.assign(proxy, {
    log: () => linesOf(path),
  });
}

const SSL = 'listener.127.0.0.1_0.ssl';

async function get(
  port: number,
  options: ConnectionOptions = {},
): Promise<TestClient & { socket: { alpnProtocol: unknown } }> {
  const client = await tlsClient(port, options);
  client.write('GET / HTTP/1.1\r\nhost: server.test\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  return client as never;
}

/** What a client sees of a refusal: under TLS 1.3 its handshake may be over before the server has judged. */
async function refused(port: number, options: ConnectionOptions): Promise<void> {
  const client = await get(port, options).catch(() => undefined);
  expect(client?.text ?? '').toBe('');
}

describe('a listener with TLS', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('serves requests over %s, and says https', async (version) => {
    await using proxy = await tlsProxy();
    const client = await get(proxy.port, {
      ca: pki.ca.cert,
      servername: 'server.test',
      maxVersion: version,
      rejectUnauthorized: true,
    });
    expect(client.text).toContain('200 OK');
    expect(client.text).toContain('proto=https');
    expect(proxy.stat(`${SSL}.handshake`)).toBe(1);
    expect(proxy.stat(`${SSL}.no_certificate`)).toBe(1);
    expect(proxy.stat(`${SSL}.versions.${version}`)).toBe(1);
    const cipher = version === 'TLSv1.2' ? 'ECDHE-ECDSA-AES128-GCM-SHA256' : 'TLS_AES_128_GCM_SHA256';
    expect(proxy.stat(`${SSL}.ciphers.${cipher}`)).toBe(1);
  });

  test('many requests go over one connection, and what comes with the end of the handshake is not lost', async () => {
    await using proxy = await tlsProxy();
    const client = await tlsClient(proxy.port);
    for (let i = 0; i < 50; i++) client.write('GET / HTTP/1.1\r\nhost: server.test\r\n\r\n');
    await client.until((one) => one.text.split('proto=https').length === 51);
    client.destroy();
  });

  test('large bodies go both ways, through a reader that stops and goes on', async () => {
    await using proxy = await tlsProxy();
    const client = await tlsClient(proxy.port);
    const size = 24_000_000;
    const body = Buffer.alloc(size, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
    const chunks: Buffer[] = [];
    let received = 0;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
    });
    client.socket.pause();
    const before = process.memoryUsage().rss;
    client.socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${size}\r\nconnection: close\r\n\r\n`);
    client.socket.write(body);
    // Until the proxy is held back on both sides: what the app has got does not grow any more.
    for (let seen = -1; seen !== appReceived; await new Promise((resolve) => setTimeout(resolve, 100)))
      seen = appReceived;
    expect(appReceived).toBeLessThan(size);
    // The client's own copies of what it could not send yet are part of it.
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
    client.socket.resume();
    await client.until(() => received > size && client.ended, 15_000);
    const all = Buffer.concat(chunks);
    expect(all.subarray(all.length - size).equals(body)).toBe(true);
  });

  test('each direction of a TCP session ends by itself', async () => {
    await using upstream = await listen((socket) => {
      let got = '';
      socket.on('data', (chunk) => {
        got += chunk;
      });
      // Answers only once the client has ended: half of the connection is closed by then.
      socket.on('end', () => socket.end(`got ${got}`));
    });
    await using proxy = await tlsProxy({ tcp: upstream.port });
    const client = await tlsClient(proxy.port, { allowHalfOpen: true } as ConnectionOptions);
    client.socket.end('ping');
    await client.until((one) => one.ended);
    expect(client.text).toBe('got ping');
  });

  test('a large TCP transfer arrives whole in both directions', async () => {
    await using upstream = await listen((socket) => socket.pipe(socket));
    await using proxy = await tlsProxy({ tcp: upstream.port });
    const client = await tlsClient(proxy.port);
    const bytes = Buffer.alloc(8_000_000, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
    client.write(bytes);
    await client.until((one) => one.received.length === bytes.length, 20_000);
    expect(client.received.equals(bytes)).toBe(true);
    client.destroy();
  });

  test('a client that resets in the middle of a response takes nobody along', async () => {
    await using proxy = await tlsProxy();
    const raw = connect(proxy.port, '127.0.0.1');
    const client = await tlsClient(proxy.port, { socket: raw });
    client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nhalf');
    await client.untilText('200 OK');
    raw.resetAndDestroy();
    expect((await get(proxy.port)).text).toContain('proto=https');
  });

  test('an idle connection ends with close_notify', async () => {
    await using proxy = await tlsProxy({ manager: 'common_http_protocol_options: { idle_timeout: 0.05s }' });
    const client = await tlsClient(proxy.port);
    await client.until((one) => one.ended);
    expect(client.error).toBeUndefined();
    client.destroy();
  });

  test('operators tell what was agreed on and who the peer is', async () => {
    const path = join(folder, 'operators.log');
    const format =
      '%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN% %REQUESTED_SERVER_NAME%';
    await using proxy = await tlsProxy({
      common: { tls_certificates: [certificate(pki.server)], validation_context: trust(pki.ca) },
      manager: accessLog(path, format),
    });
    await get(proxy.port, { ...pki.client, servername: 'server.test' });
    expect(await linesOf(path)).toEqual([
      'TLSv1.3 TLS_AES_128_GCM_SHA256 CN=client,O=Acme\\, Inc spiffe://test/client client.test server.test',
    ]);
  });
});

describe('ALPN', () => {
  const common = { alpn_protocols: ['http/1.1', 'other'] };

  test('the listener prefers its own order', async () => {
    await using proxy = await tlsProxy({ common });
    const client = await get(proxy.port, { ALPNProtocols: ['other', 'http/1.1'] });
    expect(client.socket.alpnProtocol).toBe('http/1.1');
    expect(client.text).toContain('200 OK');
  });

  test('a client without ALPN is served', async () => {
    await using proxy = await tlsProxy({ common });
    expect((await get(proxy.port)).text).toContain('200 OK');
  });

  test('a client that offers nothing in common is told so', async () => {
    await using proxy = await tlsProxy({ common });
    await expect(get(proxy.port, { ALPNProtocols: ['nothing'] })).rejects.toThrow(/no application protocol/);
    expect(proxy.stat(`${SSL}.connection_error`)).toBe(1);
  });
});

describe('client certificates', () => {
  const required = {
    require_client_certificate: true,
    common: { validation_context: trust(pki.ca, ['URI', 'spiffe://test/client']) },
  };

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('the right one is let in over %s', async (maxVersion) => {
    await using proxy = await tlsProxy(required);
    expect((await get(proxy.port, { ...pki.client, maxVersion })).text).toContain('200 OK');
    expect(proxy.stat(`${SSL}.handshake`)).toBe(1);
    expect(proxy.stat(`${SSL}.no_certificate`)).toBe(0);
    expect(await proxy.log()).toEqual(['- - CN=client,O=Acme\\, Inc']);
  });

  const VERIFY =
    'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_';

  const cases: [string, ConnectionOptions, string, string][] = [
    [
      'none',
      {},
      'fail_verify_no_cert',
      'TLS_error:|268435648:SSL_routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE:peer_did_not_provide_required_client_certificate:TLS_error_end',
    ],
    [
      'of another authority',
      pki.rogue,
      'fail_verify_error',
      `${VERIFY}unable_to_get_local_issuer_certificate:TLS_error_end`,
    ],
    ['expired', pki.expired, 'fail_verify_error', `${VERIFY}certificate_has_expired:TLS_error_end`],
    [
      'of somebody else',
      pki.server,
      'fail_verify_san',
      'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[server.test,_spiffe://test/server,_127.0.0.1]:TLS_error_end',
    ],
  ];

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test.each(cases)(
      `one that is wrong is refused over ${version}, with the reason in log and statistics: %s`,
      async (_, client, stat, reason) => {
        await using proxy = await tlsProxy(required);
        await refused(proxy.port, { ...client, maxVersion: version });
        expect(proxy.stat(`${SSL}.${stat}`)).toBe(1);
        expect(proxy.stat(`${SSL}.handshake`)).toBe(0);
        expect(proxy.stat(`${SSL}.connection_error`)).toBe(0);
        expect((await proxy.log())[0]).toContain(reason);
        expect(proxy.logLines.join('')).toContain('TLS handshake failed');
        expect(proxy.stat('http.test.downstream_rq_total')).toBe(0);
      },
    );
  }

  test('without being required, none is fine and a wrong one is not', async () => {
    await using proxy = await tlsProxy({ common: { validation_context: trust(pki.ca) } });
    expect((await get(proxy.port)).text).toContain('200 OK');
    await refused(proxy.port, pki.rogue);
    expect(proxy.stat(`${SSL}.fail_verify_error`)).toBe(1);
  });

  test('one that was revoked is refused', async () => {
    const { X509Certificate } = await import('node:crypto');
    const crl = pki.ca.revoke(new X509Certificate(pki.client.cert));
    await using proxy = await tlsProxy({
      common: { validation_context: { ...trust(pki.ca), crl: { inline_string: crl } } },
    });
    await refused(proxy.port, pki.client);
    expect((await proxy.log())[0]).toContain('certificate_revoked');
  });

  test('ACCEPT_UNTRUSTED lets anybody in, but nobody counts as verified', async () => {
    await using proxy = await tlsProxy({
      common: { validation_context: { ...trust(pki.ca), trust_chain_verification: 'ACCEPT_UNTRUSTED' } },
    });
    expect((await get(proxy.port, pki.rogue)).text).toContain('200 OK');
  });

  test('a session is resumed with its certificate, and its names are judged again', async () => {
    await using proxy = await tlsProxy(required);
    let session: Buffer | undefined;
    const first = await tlsClient(proxy.port, pki.client);
    first.socket.on('session', (ticket: Buffer) => {
      session = ticket;
    });
    first.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await first.untilClosed();
    const second = await get(proxy.port, { ...pki.client, session: session as Buffer });
    expect(second.text).toContain('200 OK');
    expect(proxy.stat(`${SSL}.session_reused`)).toBe(1);
    expect((await proxy.log()).at(-1)).toBe('- - CN=client,O=Acme\\, Inc');
  });

  test('sessions are not resumed where that is switched off', async () => {
    await using proxy = await tlsProxy({ disable_stateless_session_resumption: true });
    const first = await tlsClient(proxy.port, { maxVersion: 'TLSv1.2' });
    const session = first.socket.getSession() as Buffer;
    first.destroy();
    await get(proxy.port, { session, maxVersion: 'TLSv1.2' });
    expect(proxy.stat(`${SSL}.session_reused`)).toBe(0);
    expect(proxy.stat(`${SSL}.handshake`)).toBe(2);
  });
});

describe('certificates', () => {
  const other = pki.ca.issue({ commonName: 'other', names: ['DNS:other.test', 'DNS:*.wild.test'] });

  test.each([
    ['server.test', 'server'],
    ['other.test', 'other'],
    ['a.wild.test', 'other'],
    ['unknown.test', 'server'],
  ])('the server name %s gets the certificate of %s', async (servername, expected) => {
    await using proxy = await tlsProxy({ common: { tls_certificates: [certificate(pki.server), certificate(other)] } });
    const client = await tlsClient(proxy.port, { servername });
    expect(client.socket.getPeerCertificate().subject.CN).toBe(expected);
    client.destroy();
  });

  test('RSA and EC stand side by side, and the client chooses', async () => {
    const rsa = pki.ca.issue({ commonName: 'rsa', keyType: 'rsa' });
    await using proxy = await tlsProxy({ common: { tls_certificates: [certificate(pki.server), certificate(rsa)] } });
    const client = await tlsClient(proxy.port, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' });
    expect(client.socket.getPeerCertificate().subject.CN).toBe('rsa');
    client.destroy();
  });

  test('a key may have a password', async () => {
    const locked = { ...certificate({ ...pki.server, key: encryptKey(pki.server.key, 'secret') }) };
    await using proxy = await tlsProxy({
      common: { tls_certificates: [{ ...locked, password: { inline_string: 'secret' } }] },
    });
    expect((await get(proxy.port)).text).toContain('200 OK');
    await expect(
      tlsProxy({ common: { tls_certificates: [{ ...locked, password: { inline_string: 'wrong' } }] } }),
    ).rejects.toThrow(/are refused/);
  });

  test.each([
    [
      'a key of another certificate',
      { tls_certificates: [certificate({ ...pki.server, key: pki.client.key })] },
      /are refused/,
    ],
    [
      'a file that is not there',
      { tls_certificates: [{ ...certificate(pki.server), certificate_chain: { filename: '/nowhere.pem' } }] },
      /^listener http: cannot read tls_certificates\[0\]\.certificate_chain: ENOENT/,
    ],
    [
      'an authority that is none',
      { validation_context: { trusted_ca: { inline_string: 'nonsense' } } },
      /trusted_ca has no CERTIFICATE/,
    ],
    ['a cipher suite that is none', { tls_params: { cipher_suites: ['ECDHE-ROT13'] } }, /ECDHE-ROT13 is not available/],
  ])('%s stops the start, and says why', async (_, common, error) => {
    await expect(tlsProxy({ common })).rejects.toThrow(error);
  });
});

describe('handshakes that come to nothing', () => {
  test('versions below the configured one are refused', async () => {
    await using proxy = await tlsProxy({ common: { tls_params: { tls_minimum_protocol_version: 'TLSv1_3' } } });
    await expect(get(proxy.port, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
    expect(proxy.stat(`${SSL}.connection_error`)).toBe(1);
    expect((await proxy.log())[0]).toContain(
      '268435696:SSL_routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL:TLS_error_end',
    );
  });

  test('clear text on a port of TLS is refused', async () => {
    await using proxy = await tlsProxy();
    const client = await TestClient.connect(proxy.port);
    client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await client.untilClosed();
    expect(client.text).not.toContain('HTTP/1.1');
    expect(proxy.stat(`${SSL}.connection_error`)).toBe(1);
    expect((await proxy.log())[0]).toContain('268435612:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end');
  });

  test('a client that ends in the middle of its hello is let go', async () => {
    await using proxy = await tlsProxy();
    const client = await TestClient.connect(proxy.port);
    client.socket.end(Buffer.from('16030102000100', 'hex'));
    await client.until((one) => one.closed);
    expect(proxy.stat(`${SSL}.connection_error`)).toBe(0);
    expect(await proxy.log()).toEqual(['- - -']);
  });

  test('a client that says nothing ends after the configured time', async () => {
    await using proxy = await tlsProxy({ timeout: '0.1s' });
    const client = await TestClient.connect(proxy.port);
    await client.untilClosed();
    expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_transport_socket_connect_timeout')).toBe(1);
    expect(await proxy.log()).toEqual(['- transport socket timeout was reached -']);
  });

  test('closing the proxy ends them', async () => {
    const proxy = await tlsProxy();
    const client = await TestClient.connect(proxy.port);
    client.write(Buffer.from('160301', 'hex'));
    await proxy[Symbol.asyncDispose]();
    await client.untilClosed();
  });

  test('a connection counts from its first byte to its last', async () => {
    await using proxy = await tlsProxy();
    const client = await TestClient.connect(proxy.port);
    client.write(Buffer.from('160301', 'hex'));
    const other = await get(proxy.port);
    expect(other.text).toContain('200 OK');
    expect(proxy.stat('listener.127.0.0.1_0.downstream_cx_total')).toBe(2);
    client.destroy();
  });
});
