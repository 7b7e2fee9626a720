import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { crc32c } from '../../src/network/proxy-protocol/crc32c.ts';
import { TCP4_ENDS, TCP6_ENDS, tlv, v2 } from '../network/proxy-protocol/headers.ts';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import {
  announcing,
  bootstrapLines,
  clusterOf,
  httpInspector,
  httpManager,
  listenerOf,
  proxyProtocol,
  tcpProxy,
  tlsInspector,
} from '../support/listener-config.ts';
import { missing, output, Program } from '../support/program.ts';
import { type ProxyName, ProxyProcess, unusedPort } from '../support/proxy-process.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, echo, echoed, startApp } from '../support/story.ts';

const v1 = (rest: string) => Buffer.from(`PROXY ${rest}\r\n`, 'latin1');
const with4 = (...items: Buffer[]) => v2(1, 0x11, Buffer.concat([TCP4_ENDS, ...items]));
const checksummed = (wrong: number): Buffer => {
  const bytes = with4(tlv(3, '\0\0\0\0'), tlv(5, 'id'));
  bytes.writeUInt32BE((crc32c(bytes) ^ wrong) >>> 0, 16 + 12 + 3);
  return bytes;
};

/** Headers, and whether Envoy 1.40 takes them. */
const SAME: Readonly<Record<string, Buffer>> = {
  TCP4: v1('TCP4 1.2.3.4 5.6.7.8 1 65535'),
  TCP6: v1('TCP6 2001:db8::1 ::1 1 2'),
  UNKNOWN: v1('UNKNOWN'),
  'UNKNOWN with more': v1('UNKNOWN ::1 ::1 1 2'),
  'port 0': v1('TCP4 1.2.3.4 5.6.7.8 0 0'),
  'a port too large': v1('TCP4 1.2.3.4 5.6.7.8 1 65536'),
  'a port of letters': v1('TCP4 1.2.3.4 5.6.7.8 a 2'),
  'a negative port': v1('TCP4 1.2.3.4 5.6.7.8 -1 2'),
  'three octets': v1('TCP4 1.2.3 5.6.7.8 1 2'),
  'leading zero in an octet': v1('TCP4 1.2.3.04 5.6.7.8 1 2'),
  'addresses of the other family': v1('TCP4 ::1 ::1 1 2'),
  'IPv4 in TCP6': v1('TCP6 1.2.3.4 5.6.7.8 1 2'),
  'lower case': v1('tcp4 1.2.3.4 5.6.7.8 1 2'),
  UDP4: v1('UDP4 1.2.3.4 5.6.7.8 1 2'),
  'one port': v1('TCP4 1.2.3.4 5.6.7.8 1'),
  'two spaces': v1('TCP4 1.2.3.4  5.6.7.8 1 2'),
  broadcast: v1('TCP4 255.255.255.255 5.6.7.8 1 2'),
  multicast: v1('TCP4 1.2.3.4 224.0.0.1 1 2'),
  unspecified: v1('TCP6 :: ::1 1 2'),
  'no line end in 200 bytes': Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`),
  'no header': Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'),
  'v2 TCP4': with4(),
  'v2 TCP6': v2(1, 0x21, TCP6_ENDS),
  'v2 UDP4': v2(1, 0x12, TCP4_ENDS),
  'v2 items': with4(tlv(5, 'id'), tlv(0xee, ''), tlv(5, 'again')),
  'v2 64 KiB of items': with4(tlv(0xee, Buffer.alloc(60_000, 1))),
  'v2 LOCAL': v2(0, 0, Buffer.alloc(0)),
  'v2 LOCAL with more': v2(0, 0x11, Buffer.from('no items at all')),
  'v2 right checksum': checksummed(0),
  'v2 unknown family': v2(1, 0x41, TCP4_ENDS),
  'v2 unknown transport': v2(1, 0x13, TCP4_ENDS),
  'v2 no transport': v2(1, 0x10, TCP4_ENDS),
  'v2 unknown command': v2(2, 0x11, TCP4_ENDS),
  'v2 version 1': Buffer.concat([with4()]).fill(0x11, 12, 13),
  'v2 too short': v2(1, 0x11, TCP4_ENDS, 11),
  'v2 half an item': with4(Buffer.from([5, 0])),
  'v2 an item too long': with4(Buffer.from([5, 0, 9, 1])),
  'v2 unspecified address': v2(1, 0x11, Buffer.alloc(12)),
};

/** Where we differ: docs/differences-from-envoy.md. True is accepted by us and refused by Envoy. */
const DIFFERENT: Readonly<Record<string, readonly [header: Buffer, ours: boolean]>> = {
  'v2 of a Unix socket': [v2(1, 0x31, Buffer.alloc(216, 'a')), true],
  'v2 of an unspecified family': [v2(1, 0, Buffer.alloc(0)), true],
  'v2 wrong checksum': [checksummed(1), false],
  'a port with leading zero': [v1('TCP4 1.2.3.4 5.6.7.8 01 2'), false],
  'a port with a sign': [v1('TCP4 1.2.3.4 5.6.7.8 +1 2'), false],
  'a blank before the line end': [v1('TCP4 1.2.3.4 5.6.7.8 1 2 '), false],
  '108 bytes': [v1(`UNKNOWN ${'x'.repeat(92)}`), false],
};

/** Whether a connection with the header is served. */
async function accepts(port: number, header: Buffer): Promise<boolean> {
  const client = await TestClient.connect(port);
  client.write(Buffer.concat([header, Buffer.from('payload')]));
  await client.until((one) => one.text === 'payload' || one.ended || one.closed);
  const served = client.text === 'payload';
  client.destroy();
  return served;
}

function start(name: ProxyName, listener: object, ...clusters: object[]): Promise<ProxyProcess> {
  return ProxyProcess.start(name, bootstrapLines([listenerOf(listener)], clusters));
}

test('Envoy and Outrigger agree on which headers are none, but for what is said to differ', async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  await using app = await listen((socket) => void socket.pipe(socket));
  const listener = { listener_filters: [proxyProtocol()], filter_chains: [{ filters: [tcpProxy('app')] }] };
  await using envoy = await start('envoy', listener, clusterOf('app', app.port));
  await using outrigger = await start('outrigger', listener, clusterOf('app', app.port));
  let accepted = 0;
  for (const [name, header] of Object.entries(SAME)) {
    const [theirs, ours] = [await accepts(envoy.port, header), await accepts(outrigger.port, header)];
    expect.soft(ours, name).toBe(theirs);
    if (theirs) accepted++;
  }
  expect(accepted).toBeGreaterThan(10);
  expect(accepted).toBeLessThan(Object.keys(SAME).length - 10);
  for (const [name, [header, ours]] of Object.entries(DIFFERENT)) {
    expect.soft(await accepts(outrigger.port, header), name).toBe(ours);
    expect.soft(await accepts(envoy.port, header), `${name}, in Envoy`).toBe(!ours);
  }
  for (const name of ['proxy_proto.versions.v1.found', 'proxy_proto.not_found_disallowed']) {
    expect(await outrigger.stat(name), name).toBeGreaterThan(0);
    expect(await envoy.stat(name), name).toBeGreaterThan(0);
  }
}, 60_000);

test('Envoy and Outrigger agree on whom connections without a header are for, where they may lack one', async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  await using app = await listen((socket) => void socket.pipe(socket));
  const cases: [object, Record<string, Buffer>][] = [
    [
      { allow_requests_without_proxy_protocol: true },
      { none: Buffer.from('hello'), v1: v1('UNKNOWN'), broken: v1('x y') },
    ],
    [{ disallowed_versions: ['V1'] }, { v1: v1('UNKNOWN'), v2: with4(), none: Buffer.from('hello, hello, hello') }],
    [
      { disallowed_versions: ['V2'], allow_requests_without_proxy_protocol: true },
      { v1: v1('UNKNOWN'), none: Buffer.from('hello') },
    ],
  ];
  for (const [fields, headers] of cases) {
    const listener = { listener_filters: [proxyProtocol(fields)], filter_chains: [{ filters: [tcpProxy('app')] }] };
    await using envoy = await start('envoy', listener, clusterOf('app', app.port));
    await using outrigger = await start('outrigger', listener, clusterOf('app', app.port));
    for (const [name, header] of Object.entries(headers)) {
      const answers = await Promise.all([envoy, outrigger].map(({ port }) => answer(port, header)));
      expect.soft(answers[1], `${JSON.stringify(fields)}, ${name}`).toBe(answers[0]);
    }
  }
}, 60_000);

/** All that comes back until the payload does, or the end. */
async function answer(port: number, header: Buffer): Promise<string> {
  const client = await TestClient.connect(port);
  client.write(Buffer.concat([header, Buffer.from('payload')]));
  await client.until((one) => one.text.endsWith('payload') || one.ended || one.closed);
  client.destroy();
  return client.text;
}

test.each([
  ['envoy', 'outrigger', 'V1'],
  ['envoy', 'outrigger', 'V2'],
  ['outrigger', 'envoy', 'V1'],
  ['outrigger', 'envoy', 'V2'],
] as const)(
  '%s tells %s in %s who the client is, over TCP and HTTP',
  async (first, second, version) => {
    if (findEnvoy() === undefined) return;
    await using app = await startApp(echo());
    const manager = httpManager('app', { use_remote_address: true });
    const inner = { listener_filters: [proxyProtocol()], filter_chains: [{ filters: [manager] }] };
    await using behind = await start(second, inner, clusterOf('app', app.port));
    for (const filter of [tcpProxy('behind'), httpManager('behind')]) {
      const outer = { listener_filters: [proxyProtocol()], filter_chains: [{ filters: [filter] }] };
      await using before = await start(first, outer, clusterOf('behind', behind.port, announcing({ version })));
      const client = await TestClient.connect(before.port);
      client.write('PROXY TCP6 2001:db8::7 2001:db8::8 7 8\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      await client.untilClosed();
      expect(client.text).toContain('"x-forwarded-for":"2001:db8::7"');
    }
  },
  60_000,
);

test('HTTP inspectors agree on what is HTTP, and which', async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const names = ['http/1.1', 'http/1.0', 'h2c', 'none'];
  const servers = await Promise.all(
    names.map((name) => listen((socket) => socket.once('data', () => socket.end(name)))),
  );
  const chains = names.map((name) => ({
    filter_chain_match: name === 'none' ? {} : { application_protocols: [name] },
    filters: [tcpProxy(name.replace('/', '-'))],
  }));
  const listener = { listener_filters: [tlsInspector(), httpInspector()], filter_chains: chains };
  const clusters = names.map((name, index) => clusterOf(name.replace('/', '-'), servers[index]?.port ?? 0));
  await using envoy = await start('envoy', listener, ...clusters);
  await using outrigger = await start('outrigger', listener, ...clusters);
  const lines = [
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\n',
    'GET / HTTP/1.0\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'M-SEARCH * HTTP/1.1\r\n',
    'OPTIONS * HTTP/1.1\r\n',
    'CONNECT a:1 HTTP/1.1\r\n',
    'GET http://a/ HTTP/1.1\r\n',
    'GET / HTTP/1.11\r\n',
    'GET / HTTP/11\r\n',
    'GET / http/1.1\r\n',
    '\r\nGET / HTTP/1.1\r\n',
    ' GET / HTTP/1.1\r\n',
    '*1\r\n$4\r\nPING\r\n',
    'EHLO a\r\n\r\n',
    '\0\0\0\x08\x04\xd2\x16\x2f\n',
  ];
  for (const line of lines) {
    const answers = await Promise.all(
      [envoy, outrigger].map(async ({ port }) => {
        const client = await TestClient.connect(port);
        client.write(line);
        await client.untilClosed(1000).catch(() => undefined);
        client.destroy();
        return client.ended || client.closed ? client.text : 'waits';
      }),
    );
    expect.soft(answers[1], JSON.stringify(line)).toBe(answers[0]);
  }
  for (const server of servers) await server[Symbol.asyncDispose]();
}, 60_000);

test.each(['send-proxy', 'send-proxy-v2', 'send-proxy-v2-ssl'])(
  'HAProxy with %s is understood',
  async (option) => {
    const lacking = missing('haproxy', 'haproxy');
    if (lacking !== undefined) return;
    await using app = await startApp(echo());
    const listener = {
      listener_filters: [proxyProtocol()],
      filter_chains: [{ filters: [httpManager('app', { use_remote_address: true })] }],
    };
    await using outrigger = await start('outrigger', listener, clusterOf('app', app.port));
    const port = await unusedPort();
    const text = haproxyConfig(
      `  bind 127.0.0.1:${port} accept-proxy`,
      `  server a 127.0.0.1:${outrigger.port} ${option}`,
    );
    await using _ = await Program.start('haproxy', ['-db', '-f', '$dir/haproxy.cfg'], port, { 'haproxy.cfg': text });
    const client = await TestClient.connect(port);
    client.write('PROXY TCP4 192.0.2.9 192.0.2.10 9 10\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    expect(client.text).toContain('"x-forwarded-for":"192.0.2.9"');
  },
  60_000,
);

test.each(['V1', 'V2'])(
  'HAProxy with accept-proxy understands %s',
  async (version) => {
    if (missing('haproxy', 'haproxy') !== undefined) return;
    await using app = await startApp(echo());
    const port = await unusedPort();
    const text = haproxyConfig(
      `  bind 127.0.0.1:${port} accept-proxy\n  option forwardfor`,
      `  server a 127.0.0.1:${app.port}`,
    );
    await using _ = await Program.start('haproxy', ['-db', '-f', '$dir/haproxy.cfg'], port, {
      'haproxy.cfg': text.replace('mode tcp', 'mode http'),
    });
    await using outrigger = await start(
      'outrigger',
      { listener_filters: [proxyProtocol()], filter_chains: [{ filters: [tcpProxy('haproxy')] }] },
      clusterOf('haproxy', port, announcing({ version, added_tlvs: [{ type: 5, value: 'aWQ=' }] })),
    );
    const client = await TestClient.connect(outrigger.port);
    client.write('PROXY TCP4 192.0.2.9 192.0.2.10 9 10\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    expect(client.text).toContain('"x-forwarded-for":"192.0.2.9"');
  },
  60_000,
);

const haproxyConfig = (front: string, server: string) => `defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
${front}
  default_backend b
backend b
${server}
`;

test.each(['V1', 'V2'])(
  'nginx understands %s',
  async (version) => {
    if (missing('nginx', 'nginx-light') !== undefined) return;
    const port = await unusedPort();
    const text = `daemon off; master_process off; pid $dir/nginx.pid; error_log $dir/error.log;
events {}
http { access_log off; server { listen 127.0.0.1:${port} proxy_protocol;
  location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr"; } } }`;
    await using _ = await Program.start('nginx', ['-c', '$dir/nginx.conf', '-p', '$dir'], port, { 'nginx.conf': text });
    await using outrigger = await start(
      'outrigger',
      { listener_filters: [proxyProtocol()], filter_chains: [{ filters: [httpManager('nginx')] }] },
      clusterOf('nginx', port, announcing({ version })),
    );
    const client = await TestClient.connect(outrigger.port);
    client.write('PROXY TCP4 192.0.2.9 192.0.2.10 9 10\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await client.untilClosed();
    expect(client.text).toContain('192.0.2.9:9 192.0.2.10');
  },
  60_000,
);

test('curl says by itself who the client is', async () => {
  if (missing('curl', 'curl') !== undefined) return;
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(String(request.headers['x-forwarded-for']));
    response.end('ok');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  await using outrigger = await start(
    'outrigger',
    {
      listener_filters: [proxyProtocol()],
      filter_chains: [{ filters: [httpManager('app', { use_remote_address: true })] }],
    },
    clusterOf('app', (server.address() as AddressInfo).port),
  );
  const url = `http://127.0.0.1:${outrigger.port}/`;
  expect(await output('curl', ['-sS', '--haproxy-protocol', url])).toBe('ok');
  await expect(output('curl', ['-sS', '--max-time', '5', url])).rejects.toThrow(/curl/);
  expect(seen).toEqual(['127.0.0.1']);
  server.closeAllConnections();
  await new Promise<void>((done) => server.close(() => done()));
}, 60_000);

test('Outrigger without a header before it says who its client is', async () => {
  await using app = await startApp(echo());
  const manager = httpManager('app', { use_remote_address: true });
  await using behind = await start(
    'outrigger',
    { listener_filters: [proxyProtocol()], filter_chains: [{ filters: [manager] }] },
    clusterOf('app', app.port),
  );
  await using before = await start(
    'outrigger',
    { filter_chains: [{ filters: [tcpProxy('behind')] }] },
    clusterOf('behind', behind.port, announcing({ version: 'V2' })),
  );
  expect(echoed(await ask(before.port)).headers['x-forwarded-for']).toBe('127.0.0.1');
}, 60_000);
