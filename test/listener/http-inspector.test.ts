import { expect, test } from 'vitest';
import {
  bootstrap,
  clusterOf,
  httpInspector,
  httpManager,
  listenerOf,
  proxyProtocol,
  tcpProxy,
  tlsInspector,
} from '../support/listener-config.ts';
import { startTestProxy, type TestProxy } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { echo, sleep, startApp } from '../support/story.ts';
import { TestPki, tlsClient, tlsServer } from '../support/tls.ts';

const STATS = 'listener.127.0.0.1_0.http_inspector';

/** Says its name and what it got as soon as something comes. */
const saying = (name: string) =>
  listen((socket) =>
    socket.once('data', (bytes) => socket.end(Buffer.concat([Buffer.from(`${name}:`), bytes as Buffer]))),
  );

/** Three chains by protocol, and one for what is no HTTP. */
async function start(listener: object = {}): Promise<TestProxy & { readonly ports: readonly number[] }> {
  const servers = await Promise.all(['one', 'zero', 'two', 'other'].map(saying));
  const [one, zero, two, other] = servers.map((server) => server.port) as [number, number, number, number];
  const chain = (cluster: string, ...protocols: string[]) => ({
    filter_chain_match: protocols.length === 0 ? {} : { application_protocols: protocols },
    filters: [tcpProxy(cluster)],
  });
  const chains = [chain('one', 'http/1.1'), chain('zero', 'http/1.0'), chain('two', 'h2c'), chain('other')];
  const proxy = await startTestProxy(
    bootstrap(
      [listenerOf({ listener_filters: [tlsInspector(), httpInspector()], filter_chains: chains, ...listener })],
      [clusterOf('one', one), clusterOf('zero', zero), clusterOf('two', two), clusterOf('other', other)],
    ),
  );
  return {
    ...proxy,
    ports: [one, zero, two, other],
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      for (const server of servers) await server[Symbol.asyncDispose]();
    },
  };
}

async function answer(port: number, text: string): Promise<string> {
  const client = await TestClient.connect(port);
  client.write(text);
  await client.untilClosed();
  client.destroy();
  return client.text;
}

test('chains are chosen by the version of HTTP, and whoever is chosen gets every byte', async () => {
  await using proxy = await start();
  const cases = [
    ['GET / HTTP/1.1\r\n\r\n', 'one'],
    ['GET / HTTP/1.0\r\n\r\n', 'zero'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes', 'two'],
    ['*1\r\n$4\r\nPING\r\n', 'other'],
    ['\0\0\0\x08\x04\xd2\x16\x2f', 'other'],
  ] as const;
  for (const [text, name] of cases) expect(await answer(proxy.port, text)).toBe(`${name}:${text}`);
  expect(proxy.stat(`${STATS}.http11_found`)).toBe(1);
  expect(proxy.stat(`${STATS}.http10_found`)).toBe(1);
  expect(proxy.stat(`${STATS}.http2_found`)).toBe(1);
  expect(proxy.stat(`${STATS}.http_not_found`)).toBe(2);
});

test('a request line byte by byte is waited for', async () => {
  await using proxy = await start();
  const client = await TestClient.connect(proxy.port);
  for (const byte of 'GET / HTTP/1.1\r\n') {
    client.write(byte);
    await sleep(1);
  }
  await client.untilClosed();
  expect(client.text).toBe('one:GET / HTTP/1.1\r\n');
});

test('a line of 64 KiB without end ends the connection', async () => {
  await using proxy = await start();
  expect(await answer(proxy.port, `GET /${'a'.repeat(70_000)}`)).toBe('');
  expect(proxy.stat(`${STATS}.read_error`)).toBe(1);
});

test('what has begun as HTTP and goes no further is served in time, or not at all, as the listener says', async () => {
  await using patient = await start({
    listener_filters_timeout: '0.05s',
    continue_on_listener_filters_timeout: true,
  });
  expect(await answer(patient.port, 'GET')).toBe('other:GET');
  expect(patient.stat('listener.127.0.0.1_0.downstream_pre_cx_timeout')).toBe(1);
  await using strict = await start({ listener_filters_timeout: '0.05s' });
  expect(await answer(strict.port, 'GET')).toBe('');
  expect(strict.stat('listener.127.0.0.1_0.downstream_pre_cx_timeout')).toBe(1);
});

test('TLS is left to ALPN', async () => {
  const pki = new TestPki();
  await using tls = await tlsServer(pki.server, (socket) => socket.once('data', () => socket.end('tls')));
  await using proxy = await startTestProxy(
    bootstrap(
      [
        listenerOf({
          listener_filters: [tlsInspector(), httpInspector()],
          filter_chains: [
            { filter_chain_match: { transport_protocol: 'tls' }, filters: [tcpProxy('tls')] },
            { filter_chain_match: { transport_protocol: 'raw_buffer' }, filters: [tcpProxy('nobody')] },
          ],
        }),
      ],
      [clusterOf('tls', tls.port), clusterOf('nobody', 1)],
    ),
  );
  const client = await tlsClient(proxy.port);
  client.write('x');
  await client.untilClosed();
  expect(client.text).toBe('tls');
  expect(proxy.stat(`${STATS}.http_not_found`)).toBe(0);
});

test('behind a PROXY protocol header the protocol is found as well, and the codec reads the request', async () => {
  await using app = await startApp(echo());
  await using proxy = await startTestProxy(
    bootstrap(
      [
        listenerOf({
          listener_filters: [proxyProtocol(), tlsInspector(), httpInspector()],
          filter_chains: [
            {
              filter_chain_match: { application_protocols: ['http/1.1'] },
              filters: [httpManager('app', { use_remote_address: true })],
            },
          ],
        }),
      ],
      [clusterOf('app', app.port)],
    ),
  );
  const text = 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';
  for (const pieces of [[text], text.split(/(?<=\n)/), [...text]]) {
    const client = await TestClient.connect(proxy.port);
    for (const piece of pieces) {
      client.write(piece);
      if (pieces.length > 1) await sleep(1);
    }
    await client.untilClosed();
    expect(client.text).toContain('"x-forwarded-for":"1.2.3.4"');
  }
});
