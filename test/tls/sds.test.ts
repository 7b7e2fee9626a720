import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Issued, TestCa } from '../support/pki.ts';
import { httpConfig, startTestProxy, type TestProxy, type TestProxyOptions } from '../support/proxy.ts';
import { SecretVolume, tlsFiles } from '../support/secret-volume.ts';
import { TestClient } from '../support/sockets.ts';
import { inChain, TestPki, tlsClient, tlsServer, transportSocket } from '../support/tls.ts';

const pki = new TestPki();
const SSL = 'listener.127.0.0.1_0.ssl';
const FACTORY = 'listener.127.0.0.1_0.server_ssl_socket_factory';
const ROUTES = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';
const PATIENCE = { timeout: 10_000 };

const issue = (commonName: string, ca: TestCa = pki.ca): Issued => ca.issue({ commonName, names: ['DNS:server.test'] });

const TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** A file of secrets, as JSON. */
function secrets(...list: readonly object[]): string {
  return JSON.stringify({ resources: list.map((secret) => ({ '@type': TYPE, ...secret })) });
}

const inline = (text: string): object => ({ inline_string: text });
const certificateSecret = ({ cert, key }: Issued): object => ({
  name: 'server_cert',
  tls_certificate: { certificate_chain: inline(cert), private_key: inline(key) },
});
const rootsSecret = (ca: string): object => ({ name: 'roots', validation_context: { trusted_ca: inline(ca) } });

function sds(volume: SecretVolume, name: string, file: string, isWatched = false): object {
  const source = { path: volume.file(file), ...(isWatched ? { watched_directory: { path: volume.path } } : {}) };
  return { name, sds_config: { path_config_source: source } };
}

const SERVER_CERT = (volume: SecretVolume): object => ({
  tls_certificate_sds_secret_configs: [sds(volume, 'server_cert', 'cert.yaml')],
});

function start(common: object, fields: object = {}, options?: TestProxyOptions): Promise<TestProxy> {
  const socket = transportSocket('DownstreamTlsContext', { common_tls_context: common, ...fields });
  return startTestProxy(inChain(httpConfig(1, { routes: ROUTES }), socket), options);
}

async function shown(port: number): Promise<string> {
  const client = await tlsClient(port);
  const { CN } = client.socket.getPeerCertificate().subject;
  client.destroy();
  return String(CN);
}

/** What a client with a certificate is answered, '' when it was refused. */
async function answer(port: number, who?: Issued): Promise<string> {
  const client = await tlsClient(port, who).catch(() => undefined);
  if (client === undefined) return '';
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  return client.text.substring(9, 12);
}

describe('a certificate from a file of secrets', () => {
  test('is shown, and the next version to new connections', async () => {
    using volume = new SecretVolume({ 'cert.yaml': secrets(certificateSecret(issue('first'))) });
    await using proxy = await start(SERVER_CERT(volume));
    expect(await shown(proxy.port)).toBe('first');
    volume.swap({ 'cert.yaml': secrets(certificateSecret(issue('second'))) });
    await expect.poll(() => shown(proxy.port), PATIENCE).toBe('second');
    expect(proxy.stat('sds.server_cert.update_attempt')).toBe(2);
    expect(proxy.stat('sds.server_cert.update_success')).toBe(2);
    expect(proxy.stat('sds.server_cert.update_time')).toBeGreaterThan(1.7e12);
    expect(proxy.stat(`${FACTORY}.ssl_context_update_by_sds`)).toBe(2);
    expect(proxy.stat(`${SSL}.certificate.server_cert.expiration_unix_time_seconds`)).toBeGreaterThan(1.7e9);
  });

  test('in YAML, with files of its own that are followed too', async () => {
    const text = (volume: SecretVolume): string => `
resources:
- "@type": ${TYPE}
  name: server_cert
  tls_certificate:
    certificate_chain: { filename: ${volume.file('tls.crt')} }
    private_key: { filename: ${volume.file('tls.key')} }
    watched_directory: { path: ${volume.path} }
`;
    using volume = new SecretVolume(tlsFiles(issue('first')));
    volume.swap({ 'cert.yaml': text(volume) });
    await using proxy = await start({
      tls_certificate_sds_secret_configs: [sds(volume, 'server_cert', 'cert.yaml', true)],
    });
    volume.swap(tlsFiles(issue('second')));
    await expect.poll(() => shown(proxy.port), PATIENCE).toBe('second');
    volume.swap({ 'tls.key': 'broken' });
    await expect.poll(() => proxy.stat('sds.server_cert.key_rotation_failed'), PATIENCE).toBe(1);
    expect(await shown(proxy.port)).toBe('second');
  });

  test.each([
    ['no YAML', 'resources: [', 'update_failure', /cert\.yaml:\d/],
    ['of another name', secrets({ ...certificateSecret(issue('x')), name: 'other' }), 'update_rejected', /no secret/],
    [
      'of another kind',
      secrets({ ...rootsSecret(pki.ca.cert), name: 'server_cert' }),
      'update_rejected',
      /no tls_cert/,
    ],
    [
      'with an unknown field',
      secrets({ ...certificateSecret(issue('x')), tls_certificat: {} }),
      'update_rejected',
      /unknown field/,
    ],
    [
      'with a key of another certificate',
      secrets(certificateSecret({ ...issue('x'), key: issue('y').key })),
      'update_rejected',
      /the key is not the certificate's/,
    ],
  ])('that is %s leaves the old one in use, counted and logged', async (_, text, stat, reason) => {
    using volume = new SecretVolume({ 'cert.yaml': secrets(certificateSecret(issue('old'))) });
    await using proxy = await start(SERVER_CERT(volume));
    volume.swap({ 'cert.yaml': text });
    await expect.poll(() => proxy.stat(`sds.server_cert.${stat}`), PATIENCE).toBe(1);
    expect(proxy.logLines.join('')).toMatch(reason);
    expect(await shown(proxy.port)).toBe('old');
    volume.swap({ 'cert.yaml': secrets(certificateSecret(issue('new'))) });
    await expect.poll(() => shown(proxy.port), PATIENCE).toBe('new');
  });

  test('that is not there yet lets nobody in, says why, and everybody once it comes', async () => {
    using volume = new SecretVolume();
    await using proxy = await start(SERVER_CERT(volume));
    expect(await answer(proxy.port)).toBe('');
    expect(proxy.stat(`${FACTORY}.downstream_context_secrets_not_ready`)).toBe(1);
    expect(proxy.stat('sds.server_cert.update_failure')).toBe(1);
    const log = proxy.logLines.join('');
    expect(log).toMatch(/handshakes fail until the secret is there.*ENOENT/);
    expect(log).toMatch(/TLS handshake failed.*Secret is not supplied by SDS/);
    volume.swap({ 'cert.yaml': secrets(certificateSecret(issue('late'))) });
    await expect.poll(() => answer(proxy.port), PATIENCE).toBe('200');
    expect(await shown(proxy.port)).toBe('late');
  });

  test('whose files come later than it does is taken once they are there', async () => {
    using volume = new SecretVolume();
    using files = new SecretVolume();
    const text = secrets({
      name: 'server_cert',
      tls_certificate: {
        certificate_chain: { filename: files.file('tls.crt') },
        private_key: { filename: files.file('tls.key') },
      },
    });
    volume.swap({ 'cert.yaml': text });
    await using proxy = await start(SERVER_CERT(volume));
    expect(await answer(proxy.port)).toBe('');
    expect(proxy.stat('sds.server_cert.update_rejected')).toBe(1);
    files.swap(tlsFiles(issue('late')));
    await expect.poll(() => answer(proxy.port), PATIENCE).toBe('200');
    expect(await shown(proxy.port)).toBe('late');
  });

  test('hears nothing of other files in its folder', async () => {
    using volume = new SecretVolume({ 'cert.yaml': secrets(certificateSecret(issue('one'))), other: '1' });
    await using proxy = await start(SERVER_CERT(volume));
    volume.swap({ other: '2' });
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(proxy.stat('sds.server_cert.update_attempt')).toBe(1);
    volume.swap({ 'cert.yaml': secrets(certificateSecret(issue('two'))) });
    await expect.poll(() => proxy.stat('sds.server_cert.update_attempt'), PATIENCE).toBe(2);
  });

  test('used by two listeners is read once', async () => {
    using volume = new SecretVolume({ 'cert.yaml': secrets(certificateSecret(issue('one'))) });
    const socket = transportSocket('DownstreamTlsContext', { common_tls_context: SERVER_CERT(volume) });
    const [listener] = /^ {2}- name: http\n[\s\S]*?(?=^ {2}clusters:)/m.exec(httpConfig(1, { routes: ROUTES })) ?? [''];
    const text = httpConfig(1, { routes: ROUTES }).replace(
      listener,
      `${listener}${listener.replace('name: http', 'name: other').replace('127.0.0.1', '127.0.0.2')}`,
    );
    await using proxy = await startTestProxy(inChain(text, socket));
    expect(proxy.stat('sds.server_cert.update_attempt')).toBe(1);
    expect(proxy.proxy.listeners().length).toBe(2);
  });

  test('reaches every worker thread', async () => {
    using volume = new SecretVolume({ 'cert.yaml': secrets(certificateSecret(issue('first'))) });
    await using proxy = await start(SERVER_CERT(volume), {}, { concurrency: 2 });
    expect(await shown(proxy.port)).toBe('first');
    volume.swap({ 'cert.yaml': secrets(certificateSecret(issue('second'))) });
    const many = async (): Promise<string[]> => {
      const names = await Promise.all(Array.from({ length: 16 }, () => shown(proxy.port)));
      return [...new Set(names)];
    };
    await expect.poll(many, PATIENCE).toEqual(['second']);
  });
});

describe('whom to believe, from a file of secrets', () => {
  const mutual = (volume: SecretVolume): object => ({
    ...SERVER_CERT(volume),
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: 'spiffe://test/client' } }],
      },
      validation_context_sds_secret_config: sds(volume, 'roots', 'roots.yaml'),
    },
  });
  const required = { require_client_certificate: true };

  test('an authority that changes: the old one is believed no more', async () => {
    using volume = new SecretVolume({
      'cert.yaml': secrets(certificateSecret(issue('server'))),
      'roots.yaml': secrets(rootsSecret(pki.ca.cert)),
    });
    await using proxy = await start(mutual(volume), required);
    expect(await answer(proxy.port, pki.client)).toBe('200');
    expect(await answer(proxy.port, pki.server)).toBe('');
    expect(proxy.stat(`${SSL}.fail_verify_san`)).toBe(1);
    volume.swap({ 'roots.yaml': secrets(rootsSecret(pki.otherCa.cert)) });
    await expect.poll(() => answer(proxy.port, pki.rogue), PATIENCE).toBe('200');
    expect(await answer(proxy.port, pki.client)).toBe('');
  });

  test('without the authority nobody is let in', async () => {
    using volume = new SecretVolume({
      'cert.yaml': secrets(certificateSecret(issue('server'))),
      'roots.yaml': secrets(),
    });
    await using proxy = await start(mutual(volume), required);
    expect(await answer(proxy.port, pki.client)).toBe('');
    expect(proxy.stat('sds.roots.update_rejected')).toBe(1);
    expect(proxy.stat(`${FACTORY}.downstream_context_secrets_not_ready`)).toBe(1);
  });

  test('a list of revoked certificates comes and goes with the secret', async () => {
    const { X509Certificate } = await import('node:crypto');
    const crl = pki.ca.revoke(new X509Certificate(pki.client.cert));
    const roots = (list?: string): string =>
      secrets({
        name: 'roots',
        validation_context: { trusted_ca: inline(pki.ca.cert), ...(list === undefined ? {} : { crl: inline(list) }) },
      });
    using volume = new SecretVolume({
      'cert.yaml': secrets(certificateSecret(issue('server'))),
      'roots.yaml': roots(),
    });
    await using proxy = await start(mutual(volume), required);
    expect(await answer(proxy.port, pki.client)).toBe('200');
    volume.swap({ 'roots.yaml': roots(crl) });
    await expect.poll(() => answer(proxy.port, pki.client), PATIENCE).toBe('');
    volume.swap({ 'roots.yaml': roots(pki.ca.revoke()) });
    await expect.poll(() => answer(proxy.port, pki.client), PATIENCE).toBe('200');
  });
});

describe('ticket keys from a file of secrets', () => {
  test('tickets of any key are accepted, and those of a key that is gone are not', async () => {
    const [a, b, c] = [randomBytes(80), randomBytes(80), randomBytes(80)];
    const keys = (...list: readonly Buffer[]): string =>
      secrets({
        name: 'keys',
        session_ticket_keys: { keys: list.map((key) => ({ inline_bytes: key.toString('base64') })) },
      });
    using volume = new SecretVolume({
      'cert.yaml': secrets(certificateSecret(issue('server'))),
      'keys.yaml': keys(a),
    });
    await using proxy = await start(SERVER_CERT(volume), {
      session_ticket_keys_sds_secret_config: sds(volume, 'keys', 'keys.yaml'),
    });
    const reused = async (session: Buffer): Promise<boolean> => {
      const client = await tlsClient(proxy.port, { session, maxVersion: 'TLSv1.2' });
      const answer = client.socket.isSessionReused();
      client.destroy();
      return answer;
    };
    const first = await tlsClient(proxy.port, { maxVersion: 'TLSv1.2' });
    const session = first.socket.getSession() as Buffer;
    first.destroy();
    expect(await reused(session)).toBe(true);
    volume.swap({ 'keys.yaml': keys(b, a) });
    await expect.poll(() => proxy.stat('sds.keys.update_success'), PATIENCE).toBe(2);
    expect(await reused(session)).toBe(true);
    volume.swap({ 'keys.yaml': keys(c, b) });
    await expect.poll(() => proxy.stat('sds.keys.update_success'), PATIENCE).toBe(3);
    expect(await reused(session)).toBe(false);
    volume.swap({ 'keys.yaml': keys(randomBytes(79)) });
    await expect.poll(() => proxy.stat('sds.keys.update_rejected'), PATIENCE).toBe(1);
  });
});

describe('a cluster with secrets', () => {
  test('connects once they are there, and fails with the reason before', async () => {
    using volume = new SecretVolume();
    await using server = await tlsServer(
      { ...pki.server, ca: pki.ca.cert, requestCert: true, rejectUnauthorized: true },
      (socket) => {
        const client = socket.getPeerCertificate().subject.CN;
        socket.on('data', () => socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello ${client}`));
      },
    );
    const cluster = transportSocket('UpstreamTlsContext', {
      common_tls_context: {
        tls_certificate_sds_secret_configs: [sds(volume, 'server_cert', 'cert.yaml')],
        validation_context_sds_secret_config: sds(volume, 'roots', 'roots.yaml'),
      },
    });
    await using proxy = await startTestProxy(
      httpConfig(server.port, { cluster }).replace(
        /^( +)route_config:$/m,
        (line, indent: string) =>
          `${line}\n${indent}  response_headers_to_add: [{ header: { key: x-reason, value: "%UPSTREAM_TRANSPORT_FAILURE_REASON%" } }]`,
      ),
    );
    const get = async (): Promise<string> => {
      const client = await TestClient.connect(proxy.port);
      client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      await client.untilClosed();
      return client.text;
    };
    expect(await get()).toMatch(/^HTTP\/1.1 503[\s\S]*x-reason: TLS_error:_Secret_is_not_supplied_by_SDS/);
    expect(proxy.stat('cluster.app.client_ssl_socket_factory.upstream_context_secrets_not_ready')).toBe(1);
    volume.swap({
      'cert.yaml': secrets(certificateSecret(issue('client'))),
      'roots.yaml': secrets(rootsSecret(pki.ca.cert)),
    });
    await expect.poll(get, PATIENCE).toContain('hello client');
  });
});
