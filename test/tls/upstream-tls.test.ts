import { connect as connectPlain } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { expect, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy, tcpConfig } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { certificate, TestPki, tlsServer, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();
const SSL = 'cluster.app.ssl';
const VERIFY_FAILED =
  'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:';

/** Answers each request with what it knows of the connection. */
function answering(options: TlsOptions = {}, seen: TLSSocket[] = []) {
  return tlsServer({ ...pki.server, ...options }, (socket) => {
    seen.push(socket);
    socket.on('data', () => {
      const { servername, alpnProtocol } = socket as TLSSocket & { servername?: string };
      const text = JSON.stringify({ servername, alpnProtocol, client: socket.getPeerCertificate()?.subject?.CN });
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
    });
  });
}

interface Answer {
  readonly status: string;
  readonly body: string;
  /** Flags, reason and details of the access log. */
  readonly details: string;
}

const LOG = `access_log:
- name: stdout
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: /dev/null`;

function proxyTo(port: number, context: object, cluster = ''): Promise<TestProxy> {
  const socket = transportSocket('UpstreamTlsContext', context);
  const response = `response_headers_to_add:
- header: { key: x-reason, value: "%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%" }`;
  const text = httpConfig(port, { cluster: `${socket}\n${cluster}`, manager: LOG });
  return startTestProxy(
    text.replace(
      /^( +)route_config:$/m,
      (line, indent: string) => `${line}\n${response.replace(/^/gm, `${indent}  `)}`,
    ),
  );
}

async function get(proxy: TestProxy): Promise<Answer> {
  const client = await TestClient.connect(proxy.port);
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  const { text } = client;
  client.destroy();
  return {
    status: text.substring(9, 12),
    body: text.substring(text.indexOf('\r\n\r\n') + 4),
    details: /x-reason: (.*)\r/.exec(text)?.[1] ?? '',
  };
}

const context = (validation: object | undefined, common: object = {}) => ({
  common_tls_context: { ...common, ...(validation === undefined ? {} : { validation_context: validation }) },
});

test('requests go over TLS to a server that is who it should be', async () => {
  await using app = await answering();
  await using proxy = await proxyTo(app.port, {
    sni: 'server.test',
    ...context(trust(pki.ca, ['DNS', 'server.test'])),
  });
  const answer = await get(proxy);
  expect(answer.status).toBe('200');
  expect(JSON.parse(answer.body)).toMatchObject({ servername: 'server.test', alpnProtocol: false });
  expect(proxy.stat(`${SSL}.handshake`)).toBe(1);
  expect(proxy.stat(`${SSL}.versions.TLSv1.2`)).toBe(1);
  expect(proxy.stat(`${SSL}.ciphers.ECDHE-ECDSA-AES128-GCM-SHA256`)).toBe(1);
  expect(proxy.stat(`${SSL}.curves.X25519`)).toBe(1);
});

test('TLS 1.3 is spoken where the configuration allows it', async () => {
  await using app = await answering();
  await using proxy = await proxyTo(
    app.port,
    context(trust(pki.ca), { tls_params: { tls_maximum_protocol_version: 'TLSv1_3' } }),
  );
  expect((await get(proxy)).status).toBe('200');
  expect(proxy.stat(`${SSL}.versions.TLSv1.3`)).toBe(1);
});

test('connections are kept and used again', async () => {
  const seen: TLSSocket[] = [];
  await using app = await answering({}, seen);
  await using proxy = await proxyTo(app.port, context(trust(pki.ca)));
  for (let i = 0; i < 3; i++) expect((await get(proxy)).status).toBe('200');
  expect(seen).toHaveLength(1);
});

const wrong: [string, TlsOptions, object, string, string][] = [
  ['of another authority', {}, trust(pki.otherCa), 'fail_verify_error', `${VERIFY_FAILED}_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate:TLS_error_end`],
  ['expired', pki.expired, trust(pki.ca), 'fail_verify_error', `${VERIFY_FAILED}_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end`],
  ['of somebody else', {}, trust(pki.ca, ['DNS', 'other.test']), 'fail_verify_san', `${VERIFY_FAILED}_SAN_matcher,_certificate_SANs_are_[server.test,_spiffe://test/server,_127.0.0.1]:TLS_error_end`],
  ['with the name in another kind', {}, trust(pki.ca, ['URI', 'server.test']), 'fail_verify_san', VERIFY_FAILED],
]; // biome-ignore format: a table

test.each(wrong)(
  'a certificate %s is refused, and the request fails with UF and the reason',
  async (_, server, validation, stat, reason) => {
    const seen: TLSSocket[] = [];
    await using app = await answering(server, seen);
    await using proxy = await proxyTo(app.port, context(validation));
    const answer = await get(proxy);
    expect(answer.status).toBe('503');
    expect(answer.body).toBe(
      'upstream connect error or disconnect/reset before headers. reset reason: remote connection failure',
    );
    expect(answer.details).toContain(`UF ${reason}`);
    expect(proxy.stat(`${SSL}.${stat}`)).toBe(1);
    expect(proxy.stat(`${SSL}.handshake`)).toBe(0);
    expect(proxy.stat('cluster.app.upstream_cx_connect_fail')).toBe(1);
    expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(0);
    // Nothing of the request has left.
    for (const socket of seen) expect(socket.bytesRead).toBe(0);
  },
);

test('without an authority nobody is asked, as in Envoy', async () => {
  await using app = await answering(pki.expired);
  await using proxy = await proxyTo(app.port, context(undefined));
  expect((await get(proxy)).status).toBe('200');
});

test.each([
  ['the host name of the endpoint is asked for with auto_host_sni', { auto_host_sni: true }, '200', 'localhost'],
  ['an address is no server name', { sni: '127.0.0.1' }, '200', false],
])('%s', async (_, fields, status, servername) => {
  const local = pki.ca.issue({ names: ['DNS:localhost'] });
  await using app = await answering(local);
  const socket = transportSocket('UpstreamTlsContext', { ...fields, ...context(trust(pki.ca)) });
  const text = httpConfig(app.port, { cluster: socket }).replace(
    '- endpoint: { address',
    '- endpoint: { hostname: localhost, address',
  );
  await using proxy = await startTestProxy(text);
  const answer = await get(proxy);
  expect(answer.status).toBe(status);
  expect(JSON.parse(answer.body)).toMatchObject({ servername });
});

test('auto_sni_san_validation holds the certificate to the name that was asked for', async () => {
  await using app = await answering();
  const validated = (sni: string) => ({
    sni,
    auto_sni_san_validation: true,
    ...context(trust(pki.ca, ['DNS', 'whoever'])),
  });
  await using right = await proxyTo(app.port, validated('server.test'));
  expect((await get(right)).status).toBe('200');
  await using wrongName = await proxyTo(app.port, validated('other.test'));
  expect((await get(wrongName)).status).toBe('503');
  expect(wrongName.stat(`${SSL}.fail_verify_san`)).toBe(1);
});

test('the proxy shows its own certificate', async () => {
  await using app = await answering({ requestCert: true, rejectUnauthorized: true, ca: pki.ca.cert });
  await using proxy = await proxyTo(app.port, context(trust(pki.ca), { tls_certificates: [certificate(pki.client)] }));
  expect(JSON.parse((await get(proxy)).body)).toMatchObject({ client: 'client' });
});

test('a server that wants a certificate of a client without one ends the handshake', async () => {
  await using app = await answering({ requestCert: true, rejectUnauthorized: true, ca: pki.ca.cert });
  await using proxy = await proxyTo(app.port, context(trust(pki.ca)));
  const answer = await get(proxy);
  expect(answer.status).toBe('503');
  expect(answer.details).toContain('SSLV3_ALERT_HANDSHAKE_FAILURE');
  expect(proxy.stat(`${SSL}.connection_error`)).toBe(1);
});

test('the protocols of the configuration are offered', async () => {
  await using app = await answering({ ALPNProtocols: ['x', 'http/1.1'] });
  await using proxy = await proxyTo(app.port, context(trust(pki.ca), { alpn_protocols: ['http/1.1'] }));
  expect(JSON.parse((await get(proxy)).body)).toMatchObject({ alpnProtocol: 'http/1.1' });
});

test('a server that speaks clear text is no server of TLS', async () => {
  await using app = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await using proxy = await proxyTo(app.port, context(trust(pki.ca)));
  const answer = await get(proxy);
  expect(answer.status).toBe('503');
  expect(answer.details).toContain(
    'UF TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end',
  );
});

test('a server that never answers the hello runs into the connect timeout', async () => {
  await using app = await listen(() => {});
  await using proxy = await proxyTo(app.port, context(trust(pki.ca)));
  const answer = await get(proxy);
  expect(answer.status).toBe('503');
  expect(proxy.stat('cluster.app.upstream_cx_connect_timeout')).toBe(1);
});

test('a server that closes in the middle of the handshake, or is not there, fails the request', async () => {
  await using app = await listen((socket) => socket.once('data', () => socket.destroy()));
  await using proxy = await proxyTo(app.port, context(trust(pki.ca)));
  expect((await get(proxy)).status).toBe('503');
  expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(0);
  const { port } = app;
  await app[Symbol.asyncDispose]();
  expect(await get(proxy)).toMatchObject({ details: 'UF delayed_connect_error:_Connection_refused' });
  expect(port).toBeGreaterThan(0);
});

test('a TCP proxy puts TLS around what it forwards, and each direction ends by itself', async () => {
  await using app = await tlsServer({ ...pki.server, allowHalfOpen: true } as TlsOptions, (socket) => {
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk;
    });
    socket.on('end', () => socket.end(`got ${got}`));
  });
  await using proxy = await startTestProxy(
    tcpConfig(app.port, '', transportSocket('UpstreamTlsContext', context(trust(pki.ca)))),
  );
  const socket = connectPlain({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  const client = TestClient.over(socket);
  socket.end('ping');
  await client.until((one) => one.ended);
  expect(client.text).toBe('got ping');
});
