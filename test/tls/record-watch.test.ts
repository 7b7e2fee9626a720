import { expect, test } from 'vitest';
import { RecordWatch } from '../../src/tls/record-watch.ts';
import { httpConfig, startTestProxy, type TestProxy } from '../support/proxy.ts';
import { certificate, inChain, TestPki, transportSocket } from '../support/tls.ts';
import { RecordClient } from '../support/tls-relay.ts';

const pki = new TestPki();
const ROUTES = '- match: { prefix: / }\n  direct_response: { status: 200, body: { inline_string: served } }';

function start(): Promise<TestProxy> {
  const socket = transportSocket('DownstreamTlsContext', {
    common_tls_context: { tls_certificates: [certificate(pki.server)] },
  });
  return startTestProxy(inChain(httpConfig(1, { routes: ROUTES }), socket));
}

const updates = (client: RecordClient, count: number): Buffer[] =>
  Array.from({ length: count }, () => client.keyUpdate(true));

test('a client that sends nothing but key updates is let go, others stay', async () => {
  await using proxy = await start();
  await using quiet = await RecordClient.connect(proxy.port);
  await using flood = await RecordClient.connect(proxy.port);
  flood.write(...updates(flood, 4000));
  await expect.poll(() => flood.isClosed, { timeout: 20_000 }).toBe(true);
  expect(proxy.stat('listener.127.0.0.1_0.ssl.connection_error')).toBe(1);
  expect(quiet.isClosed).toBe(false);
  quiet.write(quiet.keyUpdate(false), quiet.data('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
  await expect.poll(() => proxy.stat('http.test.downstream_rq_2xx'), { timeout: 5000 }).toBe(1);
});

test('an error in a record after the handshake is counted', async () => {
  await using proxy = await start();
  await using client = await RecordClient.connect(proxy.port);
  client.write(client.data('GET / HTTP/1.1\r\nhost: a\r\n\r\n').fill(0, 30));
  await expect.poll(() => client.isClosed, { timeout: 10_000 }).toBe(true);
  expect(proxy.stat('listener.127.0.0.1_0.ssl.connection_error')).toBe(1);
  expect(proxy.stat('http.test.downstream_rq_total')).toBe(0);
});

class Wire {
  encryptedBytes = 5000;
  bytesRead = 0;
  isEnded = false;

  onRecordFlood(): void {
    this.isEnded = true;
  }

  receive(records: number, overheadBytes: number, dataBytes: number): void {
    this.encryptedBytes += records * (overheadBytes + dataBytes);
    this.bytesRead += records * dataBytes;
  }
}

function watched(): { watch: RecordWatch; wire: Wire } {
  const watch = new RecordWatch();
  const wire = new Wire();
  watch.add(wire);
  return { watch, wire };
}

test.each<[string, (wire: Wire) => void, boolean]>([
  ['records of one byte', (wire) => wire.receive(100_000, 22, 1), false],
  ['32 key updates between two bytes', (wire) => wire.receive(10_000, 32 * 27 + 22, 1), false],
  ['a few key updates', (wire) => wire.receive(100, 27, 0), false],
  ['a record that is not whole yet', (wire) => wire.receive(1, 16_384, 0), false],
  ['a hundred key updates between two bytes', (wire) => wire.receive(1000, 100 * 27 + 22, 1), true],
  ['nothing but key updates', (wire) => wire.receive(4000, 27, 0), true],
])('%s', (_, receive, isEnd) => {
  const { watch, wire } = watched();
  receive(wire);
  watch.check();
  expect(wire.isEnded).toBe(isEnd);
});

test('data of a minute ago does not make up for records of now, nor is one looked at that has gone', () => {
  const { watch, wire } = watched();
  wire.receive(1, 22, 1_000_000);
  watch.check();
  wire.receive(4000, 27, 0);
  watch.check();
  expect(wire.isEnded).toBe(true);
  const gone = watched();
  gone.wire.receive(4000, 27, 0);
  gone.watch.remove(gone.wire);
  gone.watch.check();
  expect(gone.wire.isEnded).toBe(false);
});
