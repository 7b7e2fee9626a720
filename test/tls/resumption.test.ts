import { randomBytes, X509Certificate } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy, type TestProxyOptions } from '../support/proxy.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { TestClient } from '../support/sockets.ts';
import { certificate, inChain, TestPki, tlsClient, tlsServer, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();
const SSL = 'listener.127.0.0.1_0.ssl';
const ROUTES = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';
const PATIENCE = { timeout: 10_000 };
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

function config(common: object, fields: object = {}): string {
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(pki.server)], ...common },
    ...fields,
  });
  return inChain(httpConfig(1, { routes: ROUTES }), socket);
}

const start = (common: object, fields: object = {}, options?: TestProxyOptions): Promise<TestProxy> =>
  startTestProxy(config(common, fields), options);

interface Visit {
  /** '' when the client was refused. */
  readonly status: string;
  readonly reused: boolean;
  /** What the server gave to come back with. */
  readonly session: Buffer | undefined;
}

/** One request on a connection of its own. */
async function visit(port: number, options: ConnectionOptions): Promise<Visit> {
  const client = await tlsClient(port, options).catch(() => undefined);
  if (client === undefined) return { status: '', reused: false, session: undefined };
  let session: Buffer | undefined;
  client.socket.on('session', (ticket: Buffer) => {
    session = ticket;
  });
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  const reused = client.socket.isSessionReused();
  return { status: client.text.substring(9, 12), reused, session: session ?? client.socket.getSession() };
}

/** A client that has been there, and whose session is good. */
async function returning(port: number, options: ConnectionOptions): Promise<Buffer> {
  const { status, session } = await visit(port, options);
  expect(status).toBe('200');
  const again = await visit(port, { ...options, session: session as Buffer });
  expect(again).toMatchObject({ status: '200', reused: true });
  return again.session ?? (session as Buffer);
}

describe.each(VERSIONS)('a ticket does not outlive the trust it was issued under: %s', (maxVersion) => {
  const client = { ...pki.client, maxVersion };
  const required = { require_client_certificate: true };

  test('the authority is rotated away', async () => {
    using volume = new SecretVolume({ 'ca.crt': pki.ca.cert });
    const validation_context = { trusted_ca: { filename: volume.file('ca.crt') } };
    await using proxy = await start({ validation_context }, required);
    const session = await returning(proxy.port, client);
    const reused = proxy.stat(`${SSL}.session_reused`);
    volume.swap({ 'ca.crt': pki.otherCa.cert });
    await expect.poll(() => proxy.stat(`${SSL}.context_update_success`), PATIENCE).toBe(1);
    expect(await visit(proxy.port, { ...client, session })).toMatchObject({ status: '', reused: false });
    expect(proxy.stat(`${SSL}.fail_verify_error`)).toBe(1);
    expect(proxy.stat(`${SSL}.session_reused`)).toBe(reused);
  });

  test('the certificate is revoked', async () => {
    using volume = new SecretVolume({ 'ca.crt': pki.ca.cert, crl: pki.ca.revoke() });
    const validation_context = {
      trusted_ca: { filename: volume.file('ca.crt') },
      crl: { filename: volume.file('crl') },
    };
    await using proxy = await start({ validation_context }, required);
    const session = await returning(proxy.port, client);
    volume.swap({ crl: pki.ca.revoke(new X509Certificate(pki.client.cert)) });
    await expect.poll(() => proxy.stat(`${SSL}.context_update_success`), PATIENCE).toBe(1);
    expect(await visit(proxy.port, { ...client, session })).toMatchObject({ status: '', reused: false });
    expect(proxy.stat(`${SSL}.fail_verify_error`)).toBe(1);
  });

  test.each([
    ['another name is wanted', { validation_context: trust(pki.ca, ['URI', 'spiffe://test/other']) }, required, ''],
    ['a name is wanted, which it has', { validation_context: trust(pki.ca, ['DNS', 'client.test']) }, required, '200'],
    ['no certificate is required any more', { validation_context: trust(pki.ca) }, {}, '200'],
    ['any authority is believed', {}, {}, '200'],
  ])('%s', async (_, common, fields, status) => {
    await using proxy = await start({ validation_context: trust(pki.ca) }, required);
    const session = await returning(proxy.port, client);
    await proxy.reload(config(common, fields));
    expect(await visit(proxy.port, { ...client, session })).toMatchObject({ status, reused: false });
  });

  test('a client that showed nothing is asked again once a certificate is required', async () => {
    await using proxy = await start({ validation_context: trust(pki.ca) });
    const session = await returning(proxy.port, { maxVersion });
    await proxy.reload(config({ validation_context: trust(pki.ca) }, required));
    expect(await visit(proxy.port, { maxVersion, session })).toMatchObject({ status: '', reused: false });
    expect(proxy.stat(`${SSL}.fail_verify_no_cert`)).toBe(1);
  });

  test('a renewed certificate of the same names, and other changes of the listener, end nothing', async () => {
    const renewed = pki.ca.issue({
      commonName: 'server',
      names: ['DNS:server.test', 'URI:spiffe://test/server', 'IP:127.0.0.1'],
    });
    await using proxy = await start({ validation_context: trust(pki.ca) }, required);
    const session = await returning(proxy.port, client);
    const tls_certificates = [certificate(renewed)];
    await proxy.reload(config({ validation_context: trust(pki.ca), tls_certificates }, required));
    expect(await visit(proxy.port, { ...client, session })).toMatchObject({ status: '200', reused: true });
  });
});

describe('who resumes what', () => {
  test('a client that resumed is given the next ticket', async () => {
    await using proxy = await start({});
    let session = await returning(proxy.port, {});
    for (let i = 0; i < 3; i++) {
      const next = await visit(proxy.port, { session });
      expect(next.reused).toBe(true);
      expect(next.session?.equals(session)).toBe(false);
      session = next.session as Buffer;
    }
  });

  test.each(VERSIONS)('each worker thread, what any of them issued: %s', async (maxVersion) => {
    await using proxy = await start({ validation_context: trust(pki.ca) }, {}, { concurrency: 2 });
    const client = { ...pki.client, maxVersion };
    const session = await returning(proxy.port, client);
    const visits = await Promise.all(Array.from({ length: 24 }, () => visit(proxy.port, { ...client, session })));
    expect(visits.map(({ status, reused }) => `${status} ${reused}`)).toEqual(Array(24).fill('200 true'));
  });

  test('two proxies with the same keys and the same trust', async () => {
    const keys = { session_ticket_keys: { keys: [{ inline_bytes: randomBytes(80).toString('base64') }] } };
    await using one = await start({ validation_context: trust(pki.ca) }, keys);
    await using other = await start({ validation_context: trust(pki.ca) }, keys);
    await using stricter = await start({ validation_context: trust(pki.otherCa) }, keys);
    const session = await returning(one.port, pki.client);
    expect(await visit(other.port, { ...pki.client, session })).toMatchObject({ status: '200', reused: true });
    expect(await visit(stricter.port, { ...pki.client, session })).toMatchObject({ status: '', reused: false });
  });

  test('two proxies without configured keys resume nothing of each other', async () => {
    await using one = await start({});
    await using other = await start({});
    const session = await returning(one.port, {});
    expect(await visit(other.port, { session })).toMatchObject({ status: '200', reused: false });
  });

  test('nobody, once session_timeout is over', async () => {
    await using proxy = await start({}, { session_timeout: '1s' });
    const session = await returning(proxy.port, { maxVersion: 'TLSv1.2' });
    await new Promise((resolve) => setTimeout(resolve, 2100));
    expect(await visit(proxy.port, { session, maxVersion: 'TLSv1.2' })).toMatchObject({ status: '200', reused: false });
  });

  test.each(VERSIONS)('nobody, where stateless resumption is disabled: %s', async (maxVersion) => {
    await using proxy = await start({}, { disable_stateless_session_resumption: true });
    const { session } = await visit(proxy.port, { maxVersion });
    const again = await visit(proxy.port, { maxVersion, ...(session === undefined ? {} : { session }) });
    expect(again).toMatchObject({ status: '200', reused: false });
  });
});

describe('sessions with upstreams', () => {
  const version = (one: string): object => ({ tls_params: { tls_maximum_protocol_version: one } });

  async function requests(count: number, common: object, fields: object = {}): Promise<TestProxy> {
    const server = await tlsServer({ ...pki.server }, (socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'));
    });
    const cluster = transportSocket('UpstreamTlsContext', {
      sni: 'server.test',
      common_tls_context: { validation_context: trust(pki.ca, ['DNS', 'server.test']), ...common },
      ...fields,
    });
    const proxy = await startTestProxy(httpConfig(server.port, { cluster }));
    for (let i = 0; i < count; i++) {
      const client = await TestClient.connect(proxy.port);
      client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      await client.untilClosed();
      expect(client.text).toContain('200 OK');
    }
    await server[Symbol.asyncDispose]();
    return proxy;
  }

  // The server here gives no new ticket to a client of TLS 1.3 that resumes: every other handshake is a full one.
  test.each([
    ['TLSv1_2', 3],
    ['TLSv1_3', 2],
  ])('are resumed over %s', async (one, count) => {
    await using proxy = await requests(4, version(one));
    expect(proxy.stat('cluster.app.ssl.handshake')).toBe(4);
    expect(proxy.stat('cluster.app.ssl.session_reused')).toBe(count);
  });

  test('are not, with max_session_keys: 0', async () => {
    await using proxy = await requests(3, {}, { max_session_keys: 0 });
    expect(proxy.stat('cluster.app.ssl.handshake')).toBe(3);
    expect(proxy.stat('cluster.app.ssl.session_reused')).toBe(0);
  });
});

test('a handshake of TLS 1.3 brings one ticket, not OpenSSL’s two', async () => {
  const proxy = await start({});
  const client = await tlsClient(proxy.port, { ...pki.client, maxVersion: 'TLSv1.3' });
  let tickets = 0;
  client.socket.on('session', () => tickets++);
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  expect(client.text).toContain('served');
  expect(tickets).toBe(1);
});

test('clients that never resume are soon given no tickets; the first that does resume has them issued again', async () => {
  await using proxy = await start({ validation_context: trust(pki.ca) }, { require_client_certificate: true });
  const early = await returning(proxy.port, pki.client);
  const withTicket = async (): Promise<boolean> => {
    const client = await tlsClient(proxy.port, pki.client);
    let isIssued = false;
    client.socket.on('session', () => {
      isIssued = true;
    });
    client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    expect(client.text).toContain(' 200 ');
    return isIssued;
  };
  let handshakes = 0;
  const isEnough = async (): Promise<boolean> => {
    const issued = await Promise.all(Array.from({ length: 8 }, withTicket));
    handshakes += issued.length;
    return issued.includes(false);
  };
  while (!(await isEnough())) expect(handshakes).toBeLessThan(3000);
  expect(handshakes).toBeGreaterThan(250);
  expect(await visit(proxy.port, { ...pki.client, session: early })).toMatchObject({ status: '200', reused: true });
  for (let i = 0; i < 20; i++) expect(await withTicket()).toBe(true);
}, 60_000);

test('clients that only knock leave the tickets to others', async () => {
  await using proxy = await start({});
  for (let round = 0; round < 20; round++) {
    const knocks = await Promise.all(Array.from({ length: 32 }, () => TestClient.connect(proxy.port)));
    for (const knock of knocks) knock.socket.end();
    await Promise.all(knocks.map((knock) => knock.until((one) => one.closed)));
  }
  const { status, session } = await visit(proxy.port, {});
  expect(status).toBe('200');
  expect(await visit(proxy.port, { session: session as Buffer })).toMatchObject({ status: '200', reused: true });
});
