import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { flushAll } from '../../src/observe/access-log/index.ts';
import { TCP4_ENDS, TCP6_ENDS, tlv, v2 } from '../network/proxy-protocol/headers.ts';
import {
  bootstrap,
  clusterOf,
  fileLog,
  httpManager,
  listenerOf,
  proxyProtocol,
  tcpProxy,
} from '../support/listener-config.ts';
import { startTestProxy, type TestProxy } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { ask, echo, echoed, eventually, sleep, startApp } from '../support/story.ts';
import { certificate, TestPki, transportSocket } from '../support/tls.ts';

const V1 = 'PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n';
const FORMAT = [
  '%DOWNSTREAM_REMOTE_ADDRESS%',
  '%DOWNSTREAM_LOCAL_ADDRESS%',
  '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
  '%DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:id)%',
  '%DYNAMIC_METADATA(other:vpce)%',
  '%CONNECTION_TERMINATION_DETAILS%',
].join('|');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-proxy-protocol-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const logOf = (file: string) => fileLog(join(folder, file), FORMAT);

/** The lines of a log, once there are so many. */
async function lines(file: string, count: number): Promise<string[]> {
  let found: string[] = [];
  await expect
    .poll(async () => {
      await flushAll();
      found = readFileSync(join(folder, file), 'utf8').split('\n').filter(Boolean);
      return found.length;
    })
    .toBe(count);
  return found;
}

interface Parts {
  readonly filter?: object;
  readonly chains?: readonly object[];
  readonly listener?: object;
}

/** A listener with the filter; its TCP proxy leads to a port of this host unless other chains are given. */
function start(port: number, { filter = {}, chains, listener = {} }: Parts = {}): Promise<TestProxy> {
  const fields = {
    access_log: [logOf('listener.log')],
    listener_filters: [proxyProtocol(filter)],
    filter_chains: chains ?? [{ filters: [tcpProxy('app', { access_log: [logOf('tcp.log')] })] }],
    ...listener,
  };
  return startTestProxy(bootstrap([listenerOf(fields)], [clusterOf('app', port)]));
}

/** Says back what it gets. */
const echoing = () => listen((socket) => void socket.pipe(socket));

test.each([
  ['version 1', Buffer.from(V1)],
  ['version 2', v2(1, 0x11, TCP4_ENDS)],
])(
  'a connection is that of the client which a header of %s names, and nothing behind it is lost',
  async (_, header) => {
    await using app = await echoing();
    await using proxy = await start(app.port);
    // In one segment, and cut at every place.
    for (let cut = 0; cut <= header.length; cut++) {
      const client = await TestClient.connect(proxy.port);
      const whole = Buffer.concat([header, Buffer.from('first')]);
      client.write(whole.subarray(0, cut));
      if (cut > 0) await sleep(1);
      client.write(whole.subarray(cut));
      await client.untilText('first');
      client.socket.end();
      await client.untilClosed();
      expect(client.text).toBe('first');
    }
    const all = await lines('tcp.log', header.length + 1);
    expect(new Set(all)).toEqual(new Set(['1.2.3.4:1111|5.6.7.8:2222|127.0.0.1|-|-|-']));
    const version = header.length === V1.length ? 'v1' : 'v2';
    expect(proxy.stat(`proxy_proto.versions.${version}.found`)).toBe(header.length + 1);
  },
);

test('a header byte by byte is read like any other', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port);
  for (const header of [Buffer.from(V1), v2(1, 0x21, Buffer.concat([TCP6_ENDS, tlv(5, 'abc')]))]) {
    const client = await TestClient.connect(proxy.port);
    for (const byte of Buffer.concat([header, Buffer.from('x')])) {
      client.write(Buffer.from([byte]));
      await sleep(1);
    }
    await client.untilText('x');
    expect(client.text).toBe('x');
    client.destroy();
  }
});

test('items become metadata, as text', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port, {
    filter: {
      rules: [
        { tlv_type: 5, on_tlv_present: { key: 'id' } },
        { tlv_type: 234, on_tlv_present: { metadata_namespace: 'other', key: 'vpce' } },
      ],
    },
  });
  const body = Buffer.concat([TCP4_ENDS, tlv(5, 'first'), tlv(5, 'second'), tlv(234, 'a\xff\xc3\xa4\xe2\x82')]);
  const client = await TestClient.connect(proxy.port);
  client.write(Buffer.concat([v2(1, 0x11, body), Buffer.from('x')]));
  await client.untilText('x');
  client.socket.end();
  expect(await lines('tcp.log', 1)).toEqual(['1.2.3.4:1111|5.6.7.8:2222|127.0.0.1|first|a!ä!!|-']);
});

test('LOCAL and UNKNOWN leave the connection what it is', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port);
  for (const header of [v2(0, 0, Buffer.from('skipped')), Buffer.from('PROXY UNKNOWN\r\n')]) {
    const client = await TestClient.connect(proxy.port);
    client.write(Buffer.concat([header, Buffer.from('x')]));
    await client.untilText('x');
    client.socket.end();
  }
  for (const line of await lines('tcp.log', 2))
    expect(line).toMatch(/^127\.0\.0\.1:\d+\|127\.0\.0\.1:\d+\|127\.0\.0\.1\|/);
});

test('what is no header ends the connection, is counted, and the log of the listener says why', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port);
  const cases: [string | Buffer, string, string][] = [
    ['GET / HTTP/1.1\r\n\r\n', 'not_found_disallowed', 'no PROXY protocol header'],
    ['PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n', 'versions.v1.error', 'a port'],
    [v2(1, 0x11, TCP4_ENDS, 3), 'versions.v2.error', 'shorter than its addresses'],
    [v2(3, 0x11, TCP4_ENDS), 'versions.v2.error', 'a command'],
  ];
  for (const [index, [bytes, stat, reason]] of cases.entries()) {
    const before = proxy.stat(`proxy_proto.${stat}`);
    const client = await TestClient.connect(proxy.port);
    client.write(bytes);
    await client.untilClosed();
    expect(proxy.stat(`proxy_proto.${stat}`), stat).toBe(before + 1);
    expect((await lines('listener.log', index + 1)).at(-1)).toContain(`proxy_protocol_error: ${reason}`);
  }
  expect(proxy.stat('downstream_cx_proxy_proto_error')).toBe(cases.length);
  expect(app.sockets).toHaveLength(0);
  expect(proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active')).toBe(0);
});

test('half a header and FIN, and half a header and a reset, end the connection', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port);
  const half = v2(1, 0x11, TCP4_ENDS).subarray(0, 20);
  const ended = await TestClient.connect(proxy.port);
  ended.write(half);
  ended.socket.end();
  await ended.untilClosed();
  const reset = await TestClient.connect(proxy.port);
  reset.write(half);
  await eventually('the header is waited for', () => proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active') === 1);
  reset.socket.resetAndDestroy();
  await eventually('nobody is waited for', () => proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active') === 0);
  expect(proxy.stat('listener.127.0.0.1_0.downstream_listener_filter_remote_close')).toBe(1);
  expect(proxy.stat('listener.127.0.0.1_0.downstream_listener_filter_error')).toBe(1);
});

test('64 KiB of items arrive whole, and what follows them too', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port);
  const body = Buffer.concat([TCP4_ENDS, tlv(0xe0, Buffer.alloc(65535 - 12 - 3, 7))]);
  const payload = Buffer.alloc(100_000, 'p');
  const client = await TestClient.connect(proxy.port);
  client.write(Buffer.concat([v2(1, 0x11, body), payload]));
  await client.until((one) => one.received.length >= payload.length);
  expect(client.received.equals(payload)).toBe(true);
  client.destroy();
});

test('a header that does not come in time ends the connection', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port, { listener: { listener_filters_timeout: '0.05s' } });
  const clients = await Promise.all(Array.from({ length: 200 }, () => TestClient.connect(proxy.port)));
  for (const [index, client] of clients.entries()) if (index % 2 === 0) client.write('PROXY TCP4 1.');
  await Promise.all(clients.map((client) => client.untilClosed()));
  expect(proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_timeout')).toBe(200);
  expect(proxy.stat('listener.127.0.0.1_0.downstream_pre_cx_active')).toBe(0);
  expect(app.sockets).toHaveLength(0);
});

test('connections without a header pass where that is allowed', async () => {
  await using app = await echoing();
  await using proxy = await start(app.port, { filter: { allow_requests_without_proxy_protocol: true } });
  for (const text of ['hello', 'P', 'PROXIMITY', '\r\n\r\nhello']) {
    const client = await TestClient.connect(proxy.port);
    if (text === 'P') {
      // It may yet become a header.
      client.write('P');
      await sleep(10);
      client.write('!');
      await client.untilText('P!');
    } else {
      client.write(text);
      await client.untilText(text);
    }
    client.destroy();
  }
  expect(proxy.stat('proxy_proto.not_found_allowed')).toBe(4);
  const client = await TestClient.connect(proxy.port);
  client.write(`${V1}hello`);
  await client.untilText('hello');
  expect(client.text).toBe('hello');
  client.destroy();
  expect(proxy.stat('proxy_proto.versions.v1.found')).toBe(1);
});

test('a version that is not allowed is refused, and where headers may be missing taken for something else', async () => {
  await using app = await echoing();
  await using strict = await start(app.port, { filter: { disallowed_versions: ['V1'], stat_prefix: 'edge' } });
  const refused = await TestClient.connect(strict.port);
  refused.write(V1);
  await refused.untilClosed();
  expect(strict.stat('proxy_proto.edge.versions.v1.disallowed')).toBe(1);
  expect(strict.stat('proxy_proto.edge.versions.v1.found')).toBe(1);
  expect(strict.stat('downstream_cx_proxy_proto_error')).toBe(0);

  await using lenient = await start(app.port, {
    filter: { disallowed_versions: ['V1'], allow_requests_without_proxy_protocol: true },
  });
  const passed = await TestClient.connect(lenient.port);
  passed.write(V1);
  await passed.untilText(V1);
  passed.destroy();
});

test('chains are chosen by the client that the header names, and by the peer of the socket', async () => {
  await using app = await echoing();
  const range = (address: string, length: number) => [{ address_prefix: address, prefix_len: length }];
  await using proxy = await start(app.port, {
    chains: [
      {
        filter_chain_match: { source_prefix_ranges: range('1.2.3.0', 24), destination_port: 2222 },
        filters: [tcpProxy('app', { stat_prefix: 'named', access_log: [logOf('named.log')] })],
      },
      {
        filter_chain_match: { direct_source_prefix_ranges: range('127.0.0.0', 8) },
        filters: [tcpProxy('app', { stat_prefix: 'direct', access_log: [logOf('direct.log')] })],
      },
    ],
  });
  const from = async (header: string): Promise<void> => {
    const client = await TestClient.connect(proxy.port);
    client.write(`${header}x`);
    await client.untilText('x');
    client.socket.end();
  };
  await from(V1);
  await from(V1.replace('1.2.3.4', '9.9.9.9').replace('2222', '80'));
  expect(await lines('named.log', 1)).toEqual(['1.2.3.4:1111|5.6.7.8:2222|127.0.0.1|-|-|-']);
  expect(await lines('direct.log', 1)).toEqual(['9.9.9.9:1111|5.6.7.8:80|127.0.0.1|-|-|-']);
});

test('an app behind HTTP hears of the client, not of the proxy before us', async () => {
  await using app = await startApp(echo());
  await using proxy = await start(app.port, {
    chains: [{ filters: [httpManager('app', { use_remote_address: true })] }],
  });
  const client = await TestClient.connect(proxy.port);
  client.write(`${V1}GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  await client.untilClosed();
  expect(client.text).toContain('"x-forwarded-for":"1.2.3.4"');
});

test('the header comes before TLS', async () => {
  const pki = new TestPki();
  await using app = await echoing();
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(pki.server)] },
  });
  await using proxy = await start(app.port, {
    chains: [
      {
        filters: [tcpProxy('app', { access_log: [logOf('tcp.log')] })],
        transport_socket: JSON.parse(socket.replace(/^transport_socket: /, '')),
      },
    ],
  });
  const below = connect(proxy.port, '127.0.0.1');
  below.write(V1);
  const client = TestClient.over(connectTls({ socket: below, rejectUnauthorized: false }));
  client.write('secret');
  await client.untilText('secret');
  client.socket.end();
  expect(await lines('tcp.log', 1)).toEqual(['1.2.3.4:1111|5.6.7.8:2222|127.0.0.1|-|-|-']);
});

test('for ports where it is disabled, the filter does not look', async () => {
  await using app = await echoing();
  const port = await freePort();
  const filter = proxyProtocol();
  const disabled = (match: object) => ({ listener_filters: [{ ...filter, filter_disabled: match }] });
  const range = { destination_port_range: { start: port, end: port + 1 } };
  const listener = (match: object) =>
    bootstrap(
      [
        {
          name: 'tcp',
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [{ filters: [tcpProxy('app')] }],
          ...disabled(match),
        },
      ],
      [clusterOf('app', app.port)],
    );
  const never = { destination_port_range: { start: 1, end: 2 } };
  for (const [match, isDisabled] of [
    [range, true],
    [never, false],
    [{ not_match: range }, false],
    [{ any_match: true }, true],
    [{ or_match: { rules: [never, range] } }, true],
    [{ and_match: { rules: [never, range] } }, false],
  ] as const) {
    await using proxy = await startTestProxy(listener(match));
    const client = await TestClient.connect(proxy.port);
    client.write('hello, is this no header');
    await (isDisabled ? client.untilText('hello') : client.untilClosed());
    expect(client.text !== '', JSON.stringify(match)).toBe(isDisabled);
    client.destroy();
  }
});

async function freePort(): Promise<number> {
  await using server = await listen(() => {});
  return (server.server.address() as AddressInfo).port;
}

test('the listener of a request with a header serves HTTP clients of curl, too', async () => {
  await using app = await startApp(echo());
  await using proxy = await start(app.port, {
    filter: { allow_requests_without_proxy_protocol: true },
    chains: [{ filters: [httpManager('app')] }],
  });
  expect(echoed(await ask(proxy.port)).method).toBe('GET');
});
