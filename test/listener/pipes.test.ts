import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { quickStartConfig } from '../../src/cli/quick-start.ts';
import { flushAll } from '../../src/observe/access-log/index.ts';
import {
  addressOf,
  announcing,
  bootstrap,
  clusterOf,
  fileLog,
  httpManager,
  listenerOf,
  proxyProtocol,
  tcpProxy,
} from '../support/listener-config.ts';
import { startTestProxy, type TestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, echo, echoed } from '../support/story.ts';

const FORMAT = [
  '%DOWNSTREAM_REMOTE_ADDRESS%',
  '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  '%DOWNSTREAM_REMOTE_PORT%',
  '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
  '%DOWNSTREAM_LOCAL_ADDRESS%',
  '%DOWNSTREAM_LOCAL_PORT%',
  '%UPSTREAM_HOST%',
  '%UPSTREAM_LOCAL_ADDRESS%',
  '%UPSTREAM_REMOTE_ADDRESS%',
].join('|');

let folder = '';
let inside = '';
let outside = '';
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-pipes-'));
  inside = join(folder, 'app.sock');
  outside = join(folder, 'sidecar.sock');
});

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((done) => server.close(() => done()));
  rmSync(folder, { recursive: true, force: true });
});

async function serve(server: Server, path: string): Promise<void> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(path.replace(/^@/, '\0'), done));
}

const echoing = () => createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket).on('error', () => {}));

function start(filter: object, listen: object, clusters: readonly object[], fields: object = {}): Promise<TestProxy> {
  return startTestProxy(
    bootstrap([listenerOf({ filter_chains: [{ filters: [filter] }], ...fields }, listen)], clusters),
  );
}

function clientAt(path: string): Promise<TestClient> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: path.replace(/^@/, '\0'), allowHalfOpen: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(TestClient.over(socket));
    });
  });
}

async function logged(): Promise<string> {
  let text = '';
  await expect
    .poll(async () => {
      await flushAll();
      text = readFileSync(join(folder, 'log'), 'utf8').trim();
      return text;
    })
    .not.toBe('');
  return text;
}

const log = () => ({ access_log: [fileLog(join(folder, 'log'), FORMAT)] });

test('bytes go from Unix socket to Unix socket, half-closed ones too, and the log has the addresses of Envoy', async () => {
  await serve(echoing(), inside);
  await using proxy = await start(tcpProxy('app', log()), addressOf(outside), [clusterOf('app', inside)]);
  const client = await clientAt(outside);
  const long = Buffer.alloc(3_000_000, '0123456789');
  client.write(long);
  client.socket.end();
  await client.until((one) => one.ended);
  expect(client.received.equals(long)).toBe(true);
  expect(await logged()).toBe(`${outside}|${outside}||${outside}|${outside}||${inside}|-|${inside}`);
  expect(proxy.stat(`listener.${outside}.downstream_cx_total`)).toBe(1);
});

test.each(['HTTP/1.1', 'HTTP/2'])('%s is served over Unix sockets on both sides', async (protocol) => {
  await serve(createHttpServer({ keepAlive: true }, echo()), inside);
  await using proxy = await start(httpManager('app', { use_remote_address: true, ...log() }), addressOf(outside), [
    clusterOf('app', inside),
  ]);
  if (protocol === 'HTTP/1.1') {
    for (let i = 0; i < 3; i++) {
      const { headers } = echoed(await ask(0, { socketPath: outside }));
      // A Unix socket has no address that could be forwarded.
      expect(headers['x-forwarded-for']).toBeUndefined();
    }
    expect(proxy.stat('cluster.app.upstream_cx_total')).toBe(1);
  } else {
    const session = connectHttp2('http://a', { createConnection: () => connect(outside) });
    const stream = session.request({ ':path': '/over-http2' });
    stream.setEncoding('utf8');
    let body = '';
    for await (const chunk of stream) body += chunk;
    expect(body).toContain('/over-http2');
    session.close();
  }
  expect((await logged()).split('\n')[0]).toBe(`${outside}|${outside}||${outside}|${outside}||${inside}|-|${inside}`);
});

test('a TCP client reaches an app on an abstract Unix socket, and the other way round', async () => {
  const name = `@outrigger-test-${process.pid}`;
  await serve(echoing(), name);
  await using inbound = await start(tcpProxy('app', log()), addressOf(0), [clusterOf('app', name)]);
  await using _ = await start(tcpProxy('app'), addressOf(`${name}-out`), [clusterOf('app', inbound.port)]);
  const client = await clientAt(`${name}-out`);
  client.write('hello');
  await client.untilText('hello');
  client.socket.end();
  await client.untilClosed();
  expect(await logged()).toMatch(new RegExp(`\\|${name}\\|-\\|${name}$`));
});

test('the socket has its mode, and is gone with the proxy', async () => {
  const address = { pipe: { path: outside, mode: 0o620 } };
  {
    await using _ = await start(tcpProxy('app'), address, [clusterOf('app', inside)]);
    expect(lstatSync(outside).mode & 0o777).toBe(0o620);
  }
  expect(existsSync(outside)).toBe(false);
});

test('a socket of a process that died is replaced, one that is served is not', async () => {
  // Killed, a process leaves its socket behind.
  const script = `require('net').createServer().listen(${JSON.stringify(outside)}, () => process.kill(process.pid, 'SIGKILL'))`;
  expect(() => execFileSync(process.execPath, ['-e', script], { stdio: 'ignore' })).toThrow();
  expect(lstatSync(outside).isSocket()).toBe(true);
  await serve(echoing(), inside);
  await using _ = await start(tcpProxy('app'), addressOf(outside), [clusterOf('app', inside)]);
  const client = await clientAt(outside);
  await expect(start(tcpProxy('app'), addressOf(outside), [clusterOf('app', inside)])).rejects.toThrow(
    `${outside} is in use by another process`,
  );
  client.write('still served');
  await client.untilText('still served');
  client.destroy();
});

test('an app that is not there is told as Envoy tells it', async () => {
  await using _ = await start(httpManager('app'), addressOf(outside), [clusterOf('app', inside)]);
  const answer = await ask(0, { socketPath: outside });
  expect(answer.status).toBe(503);
  expect(answer.body).toContain('remote connection failure');
});

test('network filters and logs know who is at the other end', async () => {
  await serve(echoing(), inside);
  const rbac = (uid: number) => ({
    name: 'rbac',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC',
      stat_prefix: 'peer',
      rules: {
        policies: {
          me: {
            permissions: [{ any: true }],
            principals: [
              {
                metadata: {
                  filter: 'outrigger.v1',
                  path: [{ key: 'peer_uid' }],
                  value: { double_match: { exact: uid } },
                },
              },
            ],
          },
        },
      },
    },
  });
  const chain = (uid: number) => ({
    filter_chains: [
      {
        filters: [
          rbac(uid),
          tcpProxy('app', {
            access_log: [fileLog(join(folder, 'log'), '%DYNAMIC_METADATA(outrigger.v1:peer_pid)%')],
          }),
        ],
      },
    ],
  });
  const uid = process.getuid?.() ?? 0;
  {
    await using _ = await start(tcpProxy('app'), addressOf(outside), [clusterOf('app', inside)], chain(uid));
    const client = await clientAt(outside);
    client.write('hello');
    await client.untilText('hello');
    client.destroy();
    expect(await logged()).toBe(String(process.pid));
  }
  await using _ = await start(tcpProxy('app'), addressOf(outside), [clusterOf('app', inside)], chain(uid + 1));
  const refused = await clientAt(outside);
  refused.write('x');
  await refused.untilClosed();
  expect(refused.text).toBe('');
});

test('a PROXY protocol header over a Unix socket is read and written', async () => {
  const seen: string[] = [];
  await serve(
    createServer((socket) => socket.once('data', (bytes) => seen.push(bytes.toString('latin1')))),
    inside,
  );
  await using _ = await start(
    tcpProxy('app'),
    addressOf(outside),
    [clusterOf('app', inside, announcing({ version: 'V1' }))],
    { listener_filters: [proxyProtocol({ allow_requests_without_proxy_protocol: true })] },
  );
  for (const text of ['PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n', 'hello']) {
    const client = await clientAt(outside);
    client.write(text);
    await expect.poll(() => seen.length).toBe(text === 'hello' ? 2 : 1);
    client.destroy();
  }
  expect(seen).toEqual(['PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n', expect.stringMatching(/^PROXY UNKNOWN\r\n/)]);
});

test('the quick start takes Unix sockets on both sides', async () => {
  await serve(createHttpServer(echo()), inside);
  const text = quickStartConfig({ app: `unix:${inside}`, listen: `unix:${outside}`, protocol: 'http', filters: [] });
  const { admin, access_log, ...rest } = JSON.parse(text);
  expect([admin, access_log]).toEqual(['127.0.0.1:15000', 'stdout']);
  await using _ = await startTestProxy(JSON.stringify(rest));
  expect(echoed(await ask(0, { socketPath: outside, path: '/quick' })).path).toBe('/quick');
});
