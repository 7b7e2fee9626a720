import { once } from 'node:events';
import { createServer as createHttp1 } from 'node:http';
import { connect, createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/story.ts';

type Listener = (request: { httpVersion: string }, response: { end(text: string): void }) => void;

/** A server that speaks HTTP/1.1 and HTTP/2 in clear text on one port, by the first bytes of each connection. */
async function bilingual(listener: Listener): Promise<number> {
  const http1 = await portOf(createHttp1((request, response) => listener(request, response)));
  const http2 = await portOf(createHttp2((request, response) => listener(request, response)));
  return portOf(
    createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes: Buffer) => {
        const inner = netConnect(bytes.toString('latin1').startsWith('PRI') ? http2 : http1, '127.0.0.1');
        inner.on('error', () => {});
        inner.write(bytes);
        socket.pipe(inner).pipe(socket);
      });
    }),
  );
}

async function portOf(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const options = (text: string): string => `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    ${text}
`;

async function askOverHttp2(proxy: TestProxy): Promise<string> {
  const session = connect(`http://127.0.0.1:${proxy.port}`);
  session.on('error', () => {});
  onTestFinished(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  stream.end();
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  return body;
}

const askOverHttp1 = async (proxy: TestProxy): Promise<string> =>
  (await fetch(`http://127.0.0.1:${proxy.port}/`)).text();

test('a cluster that speaks as its clients do has a pool for each version', async () => {
  const port = await bilingual((request, response) => response.end(request.httpVersion));
  const cluster = options('use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} }');
  await using proxy = await startTestProxy(httpConfig(port, { cluster }));
  expect(await askOverHttp1(proxy)).toBe('1.1');
  expect(await askOverHttp2(proxy)).toBe('2.0');
  expect(await askOverHttp1(proxy)).toBe('1.1');
  expect(proxy.stat('cluster.app.upstream_cx_http1_total')).toBe(1);
  expect(proxy.stat('cluster.app.upstream_cx_http2_total')).toBe(1);
});

describe('connections ahead of the requests', () => {
  const ONE_STREAM = options('explicit_http_config: { http2_protocol_options: { max_concurrent_streams: 1 } }');
  const HTTP1 = options('explicit_http_config: { http_protocol_options: {} }');

  test.each([
    ['HTTP/1.1', HTTP1, 1, 1],
    ['HTTP/1.1', HTTP1, 2, 2],
    ['HTTP/1.1', HTTP1, 3, 3],
    ['HTTP/2', ONE_STREAM, 1, 1],
    ['HTTP/2', ONE_STREAM, 2, 2],
    ['HTTP/2', ONE_STREAM, 2.5, 3],
  ])('over %s (%#): for one request, as many as the ratio says', async (_version, protocol, ratio, connections) => {
    const held: { end(text: string): void }[] = [];
    const port = await bilingual((_request, response) => held.push(response));
    const cluster = `${protocol}preconnect_policy: { per_upstream_preconnect_ratio: ${ratio} }`;
    await using proxy = await startTestProxy(httpConfig(port, { cluster }));
    const answer = askOverHttp1(proxy);
    await eventually('the request is there', () => held.length === 1, 5000);
    const open = (): number => proxy.stat('cluster.app.upstream_cx_active');
    await eventually(`${connections} connections`, () => open() === connections, 5000);
    held[0]?.end('done');
    expect(await answer).toBe('done');
    expect(open()).toBe(connections);
    expect(proxy.stat('cluster.app.upstream_cx_total')).toBe(connections);
    // The next request finds what was made ahead.
    const next = askOverHttp1(proxy);
    await eventually('the next request is there', () => held.length === 2, 5000);
    held[1]?.end('again');
    expect(await next).toBe('again');
    expect(proxy.stat('cluster.app.upstream_cx_total')).toBe(connections);
  });
});
