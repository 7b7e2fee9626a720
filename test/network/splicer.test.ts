import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { startTestProxy, tcpConfig } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { spliceProblem } from '../support/splice.ts';
import { eventually } from '../support/story.ts';
import { certificate, inChain, TestPki, tlsClient, tlsServer, transportSocket } from '../support/tls.ts';

const problem = spliceProblem();
const splice = { mode: 'on' } as const;

beforeEach((context) => {
  if (problem !== undefined) context.skip(`needs bpf(2): ${problem}`);
});

const READER = `import { defineNetworkFilter } from 'outrigger';
export default defineNetworkFilter({
  name: 'reader',
  semantics: { side: 'either', state: 'none', body: 'read' },
  create: () => ({ onData() {} }),
});`;

test('a session whose bytes a network filter reads stays in user space', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-splice-filter-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'reader.ts'), READER);
  await using app = await listen((socket) => socket.pipe(socket));
  const type = 'type.googleapis.com/outrigger.v1.NetworkFilterModule';
  const filter = `    - filters:
      - name: reader
        typed_config: { "@type": ${type}, module: ./reader.ts }\n`;
  const text = tcpConfig(app.port).replace('    - filters:\n', filter);
  await using proxy = await startTestProxy(text, { dir, splice });
  await echo(await TestClient.connect(proxy.port));
  expect(proxy.stat('tcp.test.downstream_cx_total')).toBe(1);
  expect(proxy.stat('tcp.test.spliced_cx_total')).toBe(0);
});

test('a session with TLS on either side stays in user space', async () => {
  const pki = new TestPki();
  await using app = await listen((socket) => socket.pipe(socket));
  const context = { common_tls_context: { tls_certificates: [certificate(pki.server)] } };
  const listener = inChain(tcpConfig(app.port), transportSocket('DownstreamTlsContext', context));
  await using receiver = await startTestProxy(listener, { splice });
  await echo(await tlsClient(receiver.port));
  await using secureApp = await tlsServer(pki.server, (socket) => void socket.pipe(socket));
  const cluster = transportSocket('UpstreamTlsContext', {});
  await using sender = await startTestProxy(tcpConfig(secureApp.port, '', cluster), { splice });
  await echo(await TestClient.connect(sender.port));
  for (const proxy of [receiver, sender]) {
    expect(proxy.stat('tcp.test.downstream_cx_total')).toBe(1);
    expect(proxy.stat('tcp.test.spliced_cx_total')).toBe(0);
  }
});

test('a FIN behind bytes that wait for the same peer goes its way, and the bytes theirs', async () => {
  const size = 20_000_000;
  let asked = '';
  let sawEnd = false;
  await using app = await listen((socket) => {
    socket.on('data', (chunk) => {
      asked += chunk.toString();
    });
    socket.on('end', () => {
      sawEnd = true;
      socket.end();
    });
    socket.write(Buffer.alloc(size, 1));
  });
  await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
  const client = await TestClient.connect(proxy.port);
  let received = 0;
  client.socket.removeAllListeners('data').pause();
  await eventually('the app can write no more', () => stuck(app.sockets[0]?.writableLength));
  client.socket.end('last words');
  await eventually('the app has the end', () => sawEnd);
  expect(asked).toBe('last words');
  client.socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  client.socket.resume();
  await client.until((one) => one.ended, 20_000);
  expect(received).toBe(size);
  expect(client.error).toBeUndefined();
  expect(proxy.stat('tcp.test.spliced_cx_total')).toBe(1);
});

test('when neither side reads and both have ended, all arrives once they do', async () => {
  const size = 20_000_000;
  await using app = await listen((socket) => {
    socket.pause();
    socket.end(Buffer.alloc(size, 2));
  });
  await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
  const client = await TestClient.connect(proxy.port);
  client.socket.removeAllListeners('data').pause();
  client.socket.end(Buffer.alloc(size, 1));
  await eventually('both are stuck', () => stuck(app.sockets[0]?.writableLength, client.socket.writableLength));
  let [atClient, atApp] = [0, 0];
  app.sockets[0]?.on('data', (chunk) => {
    atApp += chunk.length;
  });
  app.sockets[0]?.resume();
  client.socket.on('data', (chunk: Buffer) => {
    atClient += chunk.length;
  });
  client.socket.resume();
  await client.until((one) => one.ended, 20_000);
  await eventually('the app has everything', () => atApp === size, 20_000);
  expect(atClient).toBe(size);
  await eventually('the session is over', () => proxy.stat('tcp.test.spliced_cx_active') === 0);
  expect(proxy.stat('tcp.test.downstream_cx_rx_bytes_total')).toBe(size);
  expect(proxy.stat('tcp.test.downstream_cx_tx_bytes_total')).toBe(size);
});

let lastLengths = '';

/** Whether something waits in user space and has not changed since the last look. */
function stuck(...lengths: readonly (number | undefined)[]): boolean {
  const before = lastLengths;
  lastLengths = lengths.join();
  return before === lastLengths && lengths.every((length) => length !== undefined && length > 0);
}

async function echo(client: TestClient): Promise<void> {
  client.write('hello');
  await client.untilText('hello');
  client.destroy();
}
