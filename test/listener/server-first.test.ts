import type { Socket } from 'node:net';
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
import { echo, eventually, sleep, startApp } from '../support/story.ts';

const STATS = 'listener.127.0.0.1_0.server_first';
const RACING = { metadata: { filter_metadata: { 'outrigger.v1': { race_server_first: true } } } };
/** Inspectors that wait for ever: whoever is served has not waited for them. */
const PATIENT = { listener_filters: [tlsInspector(), httpInspector()], listener_filters_timeout: '0s' };
const HTTP = { transport_protocol: 'raw_buffer', application_protocols: ['http/1.0', 'http/1.1', 'h2c'] };

/** HTTP goes to one app, everything else to a TCP server. */
function start(httpPort: number, tcpPort: number, listener: object = {}, cluster: object = {}): Promise<TestProxy> {
  const fields = {
    ...PATIENT,
    ...RACING,
    filter_chains: [{ filter_chain_match: HTTP, filters: [httpManager('http')] }],
    default_filter_chain: { filters: [tcpProxy('tcp')] },
    ...listener,
  };
  return startTestProxy(
    bootstrap([listenerOf(fields)], [clusterOf('http', httpPort), clusterOf('tcp', tcpPort, cluster)]),
  );
}

/** Greets, and says back what it gets: as SMTP begins. */
const greeting = (text = '220 mail.test ESMTP\r\n') =>
  listen((socket) => {
    socket.write(text);
    socket.on('data', (bytes) => socket.write(Buffer.concat([Buffer.from('250 '), bytes as Buffer])));
    socket.on('end', () => socket.end());
  });

/** Says nothing before it is spoken to. */
const silent = () =>
  listen((socket) => {
    socket.on('data', (bytes) => socket.write(Buffer.concat([Buffer.from('got '), bytes as Buffer])));
    socket.on('end', () => socket.end());
  });

const gone = (proxy: TestProxy) =>
  eventually('no connection is left', () => {
    return (
      proxy.stat('cluster.tcp.upstream_cx_active') === 0 &&
      proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active') === 0
    );
  });

test('a server that speaks first is heard, though inspectors wait for the client', async () => {
  await using app = await startApp(echo());
  await using mail = await greeting();
  await using proxy = await start(app.port, mail.port);
  const client = await TestClient.connect(proxy.port);
  await client.untilText('220 mail.test ESMTP\r\n');
  client.write('EHLO a\r\n');
  await client.untilText('250 EHLO a\r\n');
  client.socket.end();
  await client.untilClosed();
  expect(client.text).toBe('220 mail.test ESMTP\r\n250 EHLO a\r\n');
  expect(mail.sockets).toHaveLength(1);
  expect(proxy.stat(`${STATS}.raced`)).toBe(1);
  expect(proxy.stat(`${STATS}.server_spoke`)).toBe(1);
  expect(proxy.stat('tcp.tcp.downstream_cx_tx_bytes_total')).toBe(client.received.length);
  await gone(proxy);
  expect(proxy.stat('cluster.tcp.upstream_cx_total')).toBe(1);
});

test('without the option nobody is connected ahead', async () => {
  await using app = await startApp(echo());
  await using mail = await greeting();
  await using proxy = await start(app.port, mail.port, { metadata: {} });
  const client = await TestClient.connect(proxy.port);
  await eventually('it is waited for', () => proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active') === 1);
  expect(mail.sockets).toHaveLength(0);
  client.write('HELO a\r\n');
  await client.untilText('250 HELO a');
  client.destroy();
});

test('a client that speaks HTTP is served as such, and the connection made ahead is closed', async () => {
  await using app = await startApp(echo());
  await using mail = await silent();
  await using proxy = await start(app.port, mail.port);
  const client = await TestClient.connect(proxy.port);
  await eventually('the other one is connected', () => mail.sockets.length === 1);
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  expect(client.text).toContain('200 OK');
  await eventually('it is closed', () => mail.sockets[0]?.closed === true);
  expect(proxy.stat(`${STATS}.unused`)).toBe(1);
  await gone(proxy);
});

test('a client that speaks first is heard by the server that was connected ahead', async () => {
  await using app = await startApp(echo());
  await using server = await silent();
  await using proxy = await start(app.port, server.port);
  const client = await TestClient.connect(proxy.port);
  await eventually('it is connected', () => server.sockets.length === 1);
  client.write('*1\r\n');
  await client.untilText('got *1');
  expect(server.sockets).toHaveLength(1);
  expect(proxy.stat(`${STATS}.reused`)).toBe(1);
  client.destroy();
  await gone(proxy);
});

test('once the client has begun to speak, what the server says decides nothing any more, and is not lost', async () => {
  await using app = await startApp(echo());
  const late: Socket[] = [];
  await using server = await listen((socket) => late.push(socket));
  await using proxy = await start(app.port, server.port);
  const http = await TestClient.connect(proxy.port);
  await eventually('connected', () => late.length === 1);
  http.write('GET / HT');
  // The proxy shares the event loop of this test: it has read them by then.
  await sleep(20);
  late[0]?.write('too late');
  await sleep(20);
  http.write('TP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await http.untilClosed();
  expect(http.text).toContain('200 OK');
  expect(http.text).not.toContain('too late');
  await gone(proxy);
});

test('the race is not lost by a server that says a lot, nor does the client get it in another order', async () => {
  const long = Buffer.alloc(3_000_000, 'abcdefghij');
  await using app = await startApp(echo());
  await using server = await listen((socket) => void socket.end(long));
  await using proxy = await start(app.port, server.port);
  const client = await TestClient.connect(proxy.port);
  client.socket.pause();
  await eventually('decided', () => proxy.stat(`${STATS}.server_spoke`) === 1);
  client.socket.resume();
  await client.until((one) => one.ended);
  expect(client.received.equals(long)).toBe(true);
  client.destroy();
  await gone(proxy);
});

test('a server that ends without a word, resets or refuses leaves the client to the inspectors', async () => {
  await using app = await startApp(echo());
  const endings: Record<string, (socket: Socket) => void> = {
    ends: (socket) => socket.end(),
    resets: (socket) => socket.resetAndDestroy(),
  };
  for (const [name, ending] of Object.entries(endings)) {
    let first = true;
    await using server = await listen((socket) => {
      if (first) ending(socket);
      else socket.on('data', () => socket.end('second try'));
      first = false;
    });
    await using proxy = await start(app.port, server.port);
    const client = await TestClient.connect(proxy.port);
    await eventually(name, () => proxy.stat('cluster.tcp.upstream_cx_destroy') === 1);
    client.write('x\r\n');
    await client.untilText('second try');
    client.destroy();
    await gone(proxy);
  }
  await using proxy = await start(app.port, 1);
  const client = await TestClient.connect(proxy.port);
  await eventually('refused', () => proxy.stat('cluster.tcp.upstream_cx_connect_fail') === 1);
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  expect(client.text).toContain('200 OK');
});

test('clients that go away, by FIN or reset, take the connection made ahead with them', async () => {
  await using app = await startApp(echo());
  await using server = await silent();
  await using proxy = await start(app.port, server.port);
  for (const [index, leave] of [
    (client: TestClient) => client.socket.end(),
    (client: TestClient) => client.socket.resetAndDestroy(),
  ].entries()) {
    const client = await TestClient.connect(proxy.port);
    await eventually('connected', () => server.sockets.length === index + 1);
    leave(client);
    await eventually('gone', () => server.sockets[index]?.closed === true);
  }
  expect(proxy.stat(`${STATS}.unused`)).toBe(2);
  await gone(proxy);
});

test('hundreds of silent clients make no more connections than the circuit breaker allows', async () => {
  await using app = await startApp(echo());
  await using server = await silent();
  const breaker = { circuit_breakers: { thresholds: [{ max_connections: 20 }] } };
  await using proxy = await start(app.port, server.port, { listener_filters_timeout: '0.3s' }, breaker);
  const clients = await Promise.all(Array.from({ length: 300 }, () => TestClient.connect(proxy.port)));
  await Promise.all(clients.map((client) => client.untilClosed()));
  expect(server.sockets).toHaveLength(20);
  expect(proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_timeout')).toBe(300);
  expect(proxy.stat(`${STATS}.unused`)).toBe(20);
  await gone(proxy);
  // The breaker has been given back what was taken.
  const next = await TestClient.connect(proxy.port);
  await eventually('room again', () => server.sockets.length === 21);
  next.destroy();
});

test('a timeout that lets clients pass hands over what was connected ahead', async () => {
  await using app = await startApp(echo());
  await using server = await silent();
  await using proxy = await start(app.port, server.port, {
    listener_filters_timeout: '0.05s',
    continue_on_listener_filters_timeout: true,
  });
  const client = await TestClient.connect(proxy.port);
  await eventually('served', () => proxy.stat(`${STATS}.reused`) === 1);
  client.write('hello');
  await client.untilText('got hello');
  expect(server.sockets).toHaveLength(1);
  client.destroy();
});

test('HTTP, TLS and guarded chains are not raced: their servers wait, or the client must be asked first', async () => {
  await using app = await startApp(echo());
  await using server = await greeting();
  const rbac = {
    name: 'rbac',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC',
      stat_prefix: 'guard',
      rules: { action: 'DENY', policies: { all: { permissions: [{ any: true }], principals: [{ any: true }] } } },
    },
  };
  for (const filters of [[httpManager('tcp')], [rbac, tcpProxy('tcp')]]) {
    await using proxy = await start(app.port, server.port, { default_filter_chain: { filters } });
    const client = await TestClient.connect(proxy.port);
    await eventually('waited for', () => proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active') === 1);
    client.destroy();
    await eventually('over', () => proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active') === 0);
    expect(proxy.stat(`${STATS}.raced`)).toBe(0);
  }
  expect(server.sockets).toHaveLength(0);
});

test('behind a PROXY protocol header the race begins once the client is known', async () => {
  await using app = await startApp(echo());
  await using mail = await greeting();
  await using proxy = await start(app.port, mail.port, {
    listener_filters: [proxyProtocol(), tlsInspector(), httpInspector()],
  });
  const client = await TestClient.connect(proxy.port);
  await eventually('waited for', () => proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active') === 1);
  expect(mail.sockets).toHaveLength(0);
  client.write('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n');
  await client.untilText('220 mail.test');
  client.destroy();
  await gone(proxy);
});

test('a declared port is not inspected at all: the server is heard without a race', async () => {
  await using app = await startApp(echo());
  await using mail = await greeting();
  const everyPort = { filter_disabled: { destination_port_range: { start: 1, end: 65536 } } };
  await using proxy = await start(app.port, mail.port, {
    metadata: {},
    listener_filters: [
      { ...tlsInspector(), ...everyPort },
      { ...httpInspector(), ...everyPort },
    ],
  });
  const client = await TestClient.connect(proxy.port);
  await client.untilText('220 mail.test');
  client.destroy();
});

test('what is not an option is refused by name', async () => {
  const listener = { metadata: { filter_metadata: { 'outrigger.v1': { race_server_frist: true } } } };
  await expect(start(1, 1, listener)).rejects.toThrow(/race_server_frist/);
});
