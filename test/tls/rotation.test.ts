import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TestCa } from '../support/pki.ts';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { SecretVolume, tlsFiles } from '../support/secret-volume.ts';
import { eventually } from '../support/story.ts';
import { inChain, TestPki, tlsClient, tlsServer, transportSocket } from '../support/tls.ts';

const pki = new TestPki();
const SSL = 'listener.127.0.0.1_0.ssl';
const ROUTES = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';
const REQUEST = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
/** Files are looked at some time after they changed, on a machine that may be busy. */
const PATIENCE = { timeout: 10_000 };

const issue = (commonName: string, ca: TestCa = pki.ca) => ca.issue({ commonName, names: ['DNS:server.test'] });

/** A listener with a certificate from a volume. */
function start(volume: SecretVolume, fields: { certificate?: object; common?: object } = {}): Promise<TestProxy> {
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: {
      tls_certificates: [
        {
          certificate_chain: { filename: volume.file('tls.crt') },
          private_key: { filename: volume.file('tls.key') },
          ...fields.certificate,
        },
      ],
      ...fields.common,
    },
  });
  return startTestProxy(inChain(httpConfig(1, { routes: ROUTES }), socket));
}

/** Whose certificate a new connection gets. */
async function shown(port: number): Promise<string> {
  const client = await tlsClient(port);
  const { CN } = client.socket.getPeerCertificate().subject;
  client.destroy();
  return String(CN);
}

describe('a certificate that changes', () => {
  test('is shown to new connections; those that are open go on', async () => {
    using volume = new SecretVolume(tlsFiles(issue('first')));
    await using proxy = await start(volume);
    const open = await tlsClient(proxy.port);
    open.write(REQUEST);
    await open.untilText('served');
    for (const name of ['second', 'third']) {
      volume.swap(tlsFiles(issue(name)));
      await expect.poll(() => shown(proxy.port), PATIENCE).toBe(name);
    }
    open.write(REQUEST);
    await open.until((one) => one.text.split('served').length === 3);
    expect(open.socket.getPeerCertificate().subject.CN).toBe('first');
    open.destroy();
    expect(proxy.stat(`${SSL}.context_update_success`)).toBe(2);
    expect(proxy.stat(`${SSL}.context_update_rejected`)).toBe(0);
  });

  test('may change in two steps: nothing is served between them but the old one', async () => {
    using volume = new SecretVolume(tlsFiles(issue('old')));
    await using proxy = await start(volume);
    const { cert, key } = issue('new');
    volume.edit('tls.crt', cert);
    await expect.poll(() => proxy.stat(`${SSL}.context_update_rejected`), PATIENCE).toBe(1);
    expect(await shown(proxy.port)).toBe('old');
    expect(proxy.logLines.join('')).toMatch(/refused, the old one stays.*the key is not the certificate's/);
    volume.edit('tls.key', key);
    await expect.poll(() => shown(proxy.port), PATIENCE).toBe('new');
  });

  test('that is broken leaves the old one in use, and the next good one is taken', async () => {
    using volume = new SecretVolume(tlsFiles(issue('old')));
    await using proxy = await start(volume);
    volume.swap({ 'tls.crt': 'half of a certifi' });
    await expect.poll(() => proxy.stat(`${SSL}.context_update_rejected`), PATIENCE).toBe(1);
    expect(await shown(proxy.port)).toBe('old');
    volume.swap(tlsFiles(issue('new')));
    await expect.poll(() => shown(proxy.port), PATIENCE).toBe('new');
  });

  test('with watched_directory, is read when that folder changes', async () => {
    using volume = new SecretVolume();
    const folder = join(volume.path, 'certs');
    const version = (number: number, name: string): void => {
      mkdirSync(join(volume.path, `v${number}`));
      for (const [file, text] of Object.entries(tlsFiles(issue(name))))
        writeFileSync(join(volume.path, `v${number}`, file), text);
    };
    version(1, 'first');
    renameSync(join(volume.path, 'v1'), folder);
    const at = (name: string): object => ({ filename: join(folder, name) });
    const certificate = {
      certificate_chain: at('tls.crt'),
      private_key: at('tls.key'),
      watched_directory: { path: folder },
    };
    await using proxy = await start(volume, { certificate });
    for (const [file, text] of Object.entries(tlsFiles(issue('second')))) {
      writeFileSync(join(folder, '.new'), text);
      renameSync(join(folder, '.new'), join(folder, file));
    }
    await expect.poll(() => shown(proxy.port), PATIENCE).toBe('second');
  });

  test('is followed no more when its listener is gone', async () => {
    using volume = new SecretVolume(tlsFiles(issue('first')));
    await using proxy = await start(volume);
    const plain = httpConfig(1, { routes: ROUTES });
    await proxy.reload(plain);
    await eventually('the old listener has gone', () => proxy.stat('listener.127.0.0.1_0.downstream_cx_active') === 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    volume.swap(tlsFiles(issue('second')));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(proxy.stat(`${SSL}.context_update_success`)).toBe(0);
  });

  test('fails no request of clients that come and go meanwhile', async () => {
    using volume = new SecretVolume(tlsFiles(issue('0')));
    await using proxy = await start(volume);
    let served = 0;
    let isOver = false;
    const seen = new Set<string>();
    const visitor = async (): Promise<void> => {
      while (!isOver) {
        const client = await tlsClient(proxy.port);
        seen.add(String(client.socket.getPeerCertificate().subject.CN));
        client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
        await client.untilClosed();
        expect(client.text).toContain('served');
        served++;
      }
    };
    const visitors = Array.from({ length: 4 }, visitor);
    for (let i = 1; i <= 6; i++) {
      volume.swap(tlsFiles(issue(String(i))));
      await expect.poll(() => seen.has(String(i)), PATIENCE).toBe(true);
    }
    isOver = true;
    await Promise.all(visitors);
    expect(proxy.stat(`${SSL}.handshake`)).toBe(served);
    expect(proxy.stat(`${SSL}.connection_error`)).toBe(0);
  });

  test('is not followed by a configuration that was refused', async () => {
    using volume = new SecretVolume(tlsFiles(issue('first')));
    await using proxy = await start(volume);
    const good = {
      certificate_chain: { filename: volume.file('tls.crt') },
      private_key: { filename: volume.file('tls.key') },
    };
    const chain = (tls_certificates: readonly object[]) =>
      transportSocket('DownstreamTlsContext', { common_tls_context: { tls_certificates } });
    const [indent = '', filters = ''] =
      /^( +)- filters:\n([\s\S]*?)(?=^ {2}clusters:)/m.exec(httpConfig(1, { routes: ROUTES }))?.slice(1) ?? [];
    const broken = `${indent}- filter_chain_match: { server_names: [other.test] }\n${indent}  ${chain([
      { ...good, private_key: { filename: '/nowhere.key' } },
    ])}\n${indent}  filters:\n${filters}`;
    const text = inChain(httpConfig(1, { routes: ROUTES }), chain([good])).replace(
      /^ {2}clusters:/m,
      `${broken}  clusters:`,
    );
    await expect(proxy.reload(text)).rejects.toThrow(/nowhere\.key/);
    volume.swap(tlsFiles(issue('second')));
    await expect.poll(() => shown(proxy.port), PATIENCE).toBe('second');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(proxy.stat(`${SSL}.context_update_success`)).toBe(1);
  });

  test('an expiry date in the statistics and in /certs follows', async () => {
    const days = (count: number) =>
      pki.ca.issue({ names: ['DNS:server.test'], notAfter: new Date(Date.now() + (count + 0.5) * 86_400_000) });
    using volume = new SecretVolume(tlsFiles(days(10)));
    await using proxy = await start(volume);
    expect(proxy.stat('server.days_until_first_cert_expiring')).toBe(10);
    volume.swap(tlsFiles(days(20)));
    await expect.poll(() => proxy.stat('server.days_until_first_cert_expiring'), PATIENCE).toBe(20);
    volume.swap({ 'tls.crt': 'broken' });
    await expect.poll(() => proxy.stat(`${SSL}.context_update_rejected`), PATIENCE).toBe(1);
    expect(proxy.stat('server.days_until_first_cert_expiring')).toBe(20);
  });
});

describe('towards upstreams', () => {
  const answering = (seen: string[], options: object = {}) =>
    tlsServer(
      { ...pki.server, ca: pki.ca.cert, requestCert: true, rejectUnauthorized: false, ...options },
      (socket) => {
        seen.push(String(socket.getPeerCertificate()?.subject?.CN));
        socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'));
      },
    );

  async function status(port: number): Promise<string> {
    const { TestClient } = await import('../support/sockets.ts');
    const client = await TestClient.connect(port);
    client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    return client.text.substring(9, 12);
  }

  const context = (volume: SecretVolume) =>
    transportSocket('UpstreamTlsContext', {
      common_tls_context: {
        tls_certificates: [
          {
            certificate_chain: { filename: volume.file('tls.crt') },
            private_key: { filename: volume.file('tls.key') },
          },
        ],
        validation_context: { trusted_ca: { filename: volume.file('ca.crt') } },
      },
    });

  test('a new client certificate is shown to new connections', async () => {
    using volume = new SecretVolume({ ...tlsFiles(issue('old client')), 'ca.crt': pki.ca.cert });
    const seen: string[] = [];
    await using server = await answering(seen);
    await using proxy = await startTestProxy(httpConfig(server.port, { cluster: context(volume) }));
    expect(await status(proxy.port)).toBe('200');
    volume.swap(tlsFiles(issue('new client')));
    await expect.poll(() => proxy.stat('cluster.app.ssl.context_update_success'), PATIENCE).toBe(1);
    expect(await status(proxy.port)).toBe('200');
    expect(seen).toEqual(['old client', 'new client']);
  });

  test('a server is refused once its authority is gone, also one with a session to resume', async () => {
    using volume = new SecretVolume({ ...tlsFiles(issue('client')), 'ca.crt': pki.ca.cert });
    await using server = await answering([]);
    await using proxy = await startTestProxy(httpConfig(server.port, { cluster: context(volume) }));
    expect(await status(proxy.port)).toBe('200');
    expect(await status(proxy.port)).toBe('200');
    expect(proxy.stat('cluster.app.ssl.session_reused')).toBe(1);
    volume.swap({ 'ca.crt': pki.otherCa.cert });
    await expect.poll(() => proxy.stat('cluster.app.ssl.context_update_success'), PATIENCE).toBe(1);
    expect(await status(proxy.port)).toBe('503');
    expect(proxy.stat('cluster.app.ssl.session_reused')).toBe(1);
    expect(proxy.stat('cluster.app.ssl.fail_verify_error')).toBeGreaterThan(0);
    volume.swap({ 'ca.crt': `${pki.otherCa.cert}${pki.ca.cert}` });
    await expect.poll(() => status(proxy.port), PATIENCE).toBe('200');
  });
});
