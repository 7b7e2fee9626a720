import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { elementOf } from '../../src/http/forward-client-cert.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { certificate, inChain, TestPki, tlsClient, transportSocket, trust } from '../support/tls.ts';

const pki = new TestPki();
let app: Server;

beforeAll(async () => {
  app = createServer((request, response) => {
    const lines = request.rawHeaders.flatMap((name, i, all) =>
      i % 2 === 0 && name.toLowerCase() === 'x-forwarded-client-cert' ? [all[i + 1]] : [],
    );
    response.end(`${JSON.stringify(lines)}\n`);
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
});

afterAll(() => void app.close());

/** What the app is told, for two requests on one connection. */
async function told(
  mode: string | undefined,
  options: { details?: object; client?: 'client' | 'nobody'; sent?: readonly string[] } = {},
): Promise<string[]> {
  const manager = [
    ...(mode === undefined ? [] : [`forward_client_cert_details: ${mode}`]),
    ...(options.details === undefined ? [] : [`set_current_client_cert_details: ${JSON.stringify(options.details)}`]),
  ].join('\n');
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(pki.server)], validation_context: trust(pki.ca) },
  });
  const config = inChain(httpConfig((app.address() as AddressInfo).port, { manager }), socket);
  await using proxy = await startTestProxy(config);
  const client = await tlsClient(proxy.port, options.client === 'nobody' ? {} : pki.client);
  const lines = (options.sent ?? []).map((value) => `x-forwarded-client-cert: ${value}\r\n`).join('');
  client.write(
    `GET / HTTP/1.1\r\nhost: a\r\n${lines}\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines}\r\n`,
  );
  await client.untilClosed();
  const bodies = [...client.text.matchAll(/^\[.*\]$/gm)].map(([body]) => body);
  client.destroy();
  expect(bodies).toHaveLength(2);
  expect(bodies[1]).toBe(bodies[0]);
  return JSON.parse(bodies[0] as string);
}

const OWN = /^By=spiffe:\/\/test\/server;Hash=[0-9a-f]{64}$/;

describe('x-forwarded-client-cert', () => {
  const sent = ['By=a;Hash=b', 'By=c'];

  test.each([undefined, 'SANITIZE'])('goes nowhere with %s', async (mode) => {
    expect(await told(mode, { sent })).toEqual([]);
  });

  test('passes as it came with FORWARD_ONLY, from a client with a certificate', async () => {
    expect(await told('FORWARD_ONLY', { sent })).toEqual(sent);
    expect(await told('FORWARD_ONLY')).toEqual([]);
    expect(await told('FORWARD_ONLY', { sent, client: 'nobody' })).toEqual([]);
  });

  test('is added to with APPEND_FORWARD', async () => {
    const [line = '', ...more] = await told('APPEND_FORWARD', { sent });
    expect(more).toEqual([]);
    expect(line.startsWith('By=a;Hash=b,By=c,')).toBe(true);
    expect(line.substring(17)).toMatch(OWN);
    expect((await told('APPEND_FORWARD'))[0]).toMatch(OWN);
    expect(await told('APPEND_FORWARD', { sent, client: 'nobody' })).toEqual([]);
  });

  test('is written anew with SANITIZE_SET', async () => {
    const lines = await told('SANITIZE_SET', { sent });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(OWN);
    expect(await told('SANITIZE_SET', { sent, client: 'nobody' })).toEqual([]);
  });

  test('passes from anybody with ALWAYS_FORWARD_ONLY', async () => {
    expect(await told('ALWAYS_FORWARD_ONLY', { sent, client: 'nobody' })).toEqual(sent);
  });

  test('says what it is asked to, in this order', async () => {
    const details = { dns: true, uri: true, subject: true, chain: true, cert: true };
    const [line = ''] = await told('SANITIZE_SET', { details });
    const pem = encodeURIComponent(pki.client.cert);
    expect(line.replace(/Hash=[0-9a-f]{64}/, 'Hash=…')).toBe(
      `By=spiffe://test/server;Hash=…;Cert="${pem}";Chain="${pem}";Subject="CN=client,O=Acme\\, Inc";URI=spiffe://test/client;DNS=client.test`,
    );
  });
});

test('what an authority wrote into a certificate cannot pose as another part', () => {
  const view = {
    fingerprint256: 'ab',
    uriSans: ['spiffe://a;Hash=cd', 'x,By=me', 'a"b\r\nc'],
    dnsSans: [],
    subject: 'CN=é',
  };
  const certificates = { peer: view, local: undefined, peerChain: [], sessionId: '', forwarded: undefined } as never;
  expect(elementOf(certificates, { uri: true, dns: true, subject: true })).toBe(
    'Hash=ab;Subject="CN=%C3%A9";URI="spiffe://a;Hash=cd";URI="x,By=me";URI="a\\"b%0D%0Ac"',
  );
});
