import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect, test } from 'vitest';
import type { ProxyHeader } from '../../src/network/proxy-protocol/header.ts';
import { readProxyHeader } from '../../src/network/proxy-protocol/read-header.ts';
import { TCP4_ENDS, tlv, v2 } from '../network/proxy-protocol/headers.ts';
import {
  announcing,
  bootstrap,
  clusterOf,
  httpManager,
  listenerOf,
  proxyProtocol,
  tcpProxy,
} from '../support/listener-config.ts';
import { startTestProxy, type TestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { eventually } from '../support/story.ts';
import { TestPki, transportSocket, trust } from '../support/tls.ts';

/** A server that takes a header from each connection and hands the rest to `serve`. */
interface HeaderServer extends AsyncDisposable {
  readonly port: number;
  readonly headers: ProxyHeader[];
  readonly open: Set<Socket>;
}

async function headerServer(serve: (socket: Socket) => void): Promise<HeaderServer> {
  const headers: ProxyHeader[] = [];
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    let seen = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      seen = Buffer.concat([seen, chunk]);
      const header = readProxyHeader(seen);
      if (typeof header === 'number') return;
      if ('reason' in header) throw new Error(header.reason);
      headers.push(header);
      socket.off('data', onData);
      socket.pause();
      const rest = seen.subarray(header.byteLength);
      if (rest.length > 0) socket.unshift(rest);
      serve(socket);
    };
    socket.on('data', onData);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as AddressInfo).port,
    headers,
    open,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

const echoing = () => headerServer((socket) => void socket.pipe(socket));

/** Answers each request with its path. */
const answering = () =>
  headerServer((socket) => {
    socket.on('data', (bytes) => {
      const path = /^\w+ (\S+)/.exec(bytes.toString('latin1'))?.[1] ?? '';
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`);
    });
    socket.resume();
  });

const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;

function start(cluster: object, filter: object, listener: object = {}): Promise<TestProxy> {
  return startTestProxy(bootstrap([listenerOf({ filter_chains: [{ filters: [filter] }], ...listener })], [cluster]));
}

test.each(['V1', 'V2'])(
  'a TCP upstream hears in %s whom the connection is for, before the client has spoken',
  async (version) => {
    await using app = await echoing();
    await using proxy = await start(clusterOf('app', app.port, announcing({ version })), tcpProxy('app'));
    const client = await TestClient.connect(proxy.port);
    await eventually('the header is there', () => app.headers.length === 1);
    expect(app.headers[0]?.ends).toEqual({
      sourceAddress: '127.0.0.1',
      sourcePort: client.socket.localPort,
      destinationAddress: '127.0.0.1',
      destinationPort: proxy.port,
    });
    client.write('hello');
    await client.untilText('hello');
    client.destroy();
    await eventually('the session is over', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
    expect(proxy.stat('cluster.app.upstream_cx_tx_bytes_total')).toBe((app.headers[0]?.byteLength ?? 0) + 5);
  },
);

test('what a header before us says goes on: the client, and the items that may pass', async () => {
  await using app = await echoing();
  const upstream = announcing({
    version: 'V2',
    pass_through_tlvs: { match_type: 'INCLUDE_ALL' },
    added_tlvs: [
      { type: 0xee, value: 'aGVsbG8=' },
      { type: 9, value: 'b3Vycw==' },
    ],
  });
  await using proxy = await start(clusterOf('app', app.port, upstream), tcpProxy('app'), {
    listener_filters: [proxyProtocol({ pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [5, 9, 3] } })],
  });
  const client = await TestClient.connect(proxy.port);
  client.write(v2(1, 0x11, Buffer.concat([TCP4_ENDS, tlv(5, 'id'), tlv(6, 'stays'), tlv(9, 'theirs')])));
  await eventually('the header is there', () => app.headers.length === 1);
  expect(app.headers[0]?.ends?.sourceAddress).toBe('1.2.3.4');
  expect(app.headers[0]?.tlvs.map(({ type, value }) => `${type}=${value}`)).toEqual(['238=hello', '9=ours', '5=id']);
  client.destroy();
});

test('more items than fit are counted', async () => {
  await using app = await echoing();
  const large = Buffer.alloc(40_000).toString('base64');
  const added = [
    { type: 1, value: large },
    { type: 2, value: large },
  ];
  await using proxy = await start(
    clusterOf('app', app.port, announcing({ version: 'V2', added_tlvs: added })),
    tcpProxy('app'),
  );
  const client = await TestClient.connect(proxy.port);
  client.write('x');
  await client.untilText('x');
  expect(app.headers[0]?.tlvs.map(({ type }) => type)).toEqual([1]);
  expect(proxy.stat('cluster.app.upstream.proxyprotocol.v2_tlvs_exceed_max_length')).toBe(1);
  client.destroy();
});

test('requests of each client have connections of their own, which are reused and end with the client', async () => {
  await using app = await answering();
  await using proxy = await start(clusterOf('app', app.port, announcing({ version: 'V1' })), httpManager('app'));
  const [first, second] = [await TestClient.connect(proxy.port), await TestClient.connect(proxy.port)];
  for (const [client, path] of [
    [first, '/1'],
    [first, '/2'],
    [second, '/3'],
    [first, '/4'],
  ] as const) {
    client.write(request(path));
    await client.untilText(path);
  }
  expect(app.headers.map(({ ends }) => ends?.sourcePort)).toEqual([first.socket.localPort, second.socket.localPort]);
  first.destroy();
  await eventually('its connection is gone', () => app.open.size === 1);
  second.write(request('/5'));
  await second.untilText('/5');
  expect(app.headers).toHaveLength(2);
  second.destroy();
  await eventually('both are gone', () => app.open.size === 0);
  expect(proxy.stat('cluster.app.upstream_cx_active')).toBe(0);
});

test('HTTP/2 upstreams get the header before the preface', async () => {
  const inner = createHttp2Server((incoming, response) => void response.end(incoming.url));
  await using app = await headerServer((socket) => inner.emit('connection', socket));
  const http2 = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const cluster = clusterOf('app', app.port, {
    ...announcing({ version: 'V2' }),
    typed_extension_protocol_options: {
      [http2]: { '@type': `type.googleapis.com/${http2}`, explicit_http_config: { http2_protocol_options: {} } },
    },
  });
  await using proxy = await start(cluster, httpManager('app'));
  const clients = await Promise.all([0, 1].map(() => TestClient.connect(proxy.port)));
  for (const client of clients) {
    client.write(request('/over-http2'));
    await client.untilText('/over-http2');
  }
  expect(app.headers).toHaveLength(2);
  for (const client of clients) client.destroy();
});

test('TLS begins behind the header', async () => {
  const pki = new TestPki();
  const inner = createTlsServer(pki.server, (socket) => void socket.pipe(socket));
  await using app = await headerServer((socket) => inner.emit('connection', socket));
  const tls = transportSocket('UpstreamTlsContext', { common_tls_context: { validation_context: trust(pki.ca) } });
  await using proxy = await start(
    clusterOf('app', app.port, announcing({ version: 'V2' }, JSON.parse(tls.replace('transport_socket: ', '')))),
    tcpProxy('app'),
  );
  const client = await TestClient.connect(proxy.port);
  client.write('secret');
  await client.untilText('secret');
  expect(app.headers[0]?.ends?.sourcePort).toBe(client.socket.localPort);
  expect(proxy.stat('cluster.app.ssl.handshake')).toBe(1);
  client.destroy();
});

test('health checks are announced as the connections of the proxy itself', async () => {
  await using app = await answering();
  const check = {
    health_checks: [
      {
        timeout: '5s',
        interval: '60s',
        unhealthy_threshold: 1,
        healthy_threshold: 1,
        http_health_check: { path: '/' },
      },
    ],
  };
  for (const version of ['V1', 'V2']) {
    await using proxy = await start(
      clusterOf('app', app.port, { ...announcing({ version }), ...check }),
      httpManager('app'),
    );
    await eventually('checked', () => proxy.stat('cluster.app.health_check.success') > 0);
  }
  const [first, second] = app.headers;
  expect(first?.ends?.destinationPort).toBe(app.port);
  expect(second).toMatchObject({ version: 2, ends: undefined });
});
