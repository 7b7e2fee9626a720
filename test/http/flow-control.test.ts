import { expect, test } from 'vitest';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { eventually } from '../support/story.ts';

const SIZE = 24 * 1024 * 1024;

test('a client that takes a response slowly pauses the upstream, which is counted', async () => {
  await using app = await listen((socket) => {
    socket.on('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${SIZE}\r\n\r\n`);
      socket.write(Buffer.alloc(SIZE));
    });
  });
  await using proxy = await startTestProxy(httpConfig(app.port));
  const stat = (what: string) => proxy.stat(`cluster.app.upstream_flow_control_${what}_reading_total`);
  const client = await TestClient.connect(proxy.port);
  client.socket.pause();
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await eventually('paused', () => stat('paused') > 0);
  expect(stat('resumed')).toBeLessThan(stat('paused'));
  let received = 0;
  client.socket.removeAllListeners('data').on('data', (chunk) => {
    received += chunk.length;
  });
  client.socket.resume();
  await eventually('all has come', () => received > SIZE, 10_000);
  // A pause behind the last bytes ends with the exchange.
  expect(stat('paused') - stat('resumed')).toBeLessThanOrEqual(1);
  expect(proxy.stat('http.test.downstream_flow_control_paused_reading_total')).toBe(0);
  client.destroy();
});

test('an upstream that takes a request slowly pauses the client, which is counted', async () => {
  let received = 0;
  await using app = await listen((socket) => {
    socket.pause();
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received > SIZE) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await using proxy = await startTestProxy(httpConfig(app.port));
  const paused = () => [
    proxy.stat('http.test.downstream_flow_control_paused_reading_total'),
    proxy.stat('cluster.app.upstream_flow_control_backed_up_total'),
  ];
  const resumed = () => [
    proxy.stat('http.test.downstream_flow_control_resumed_reading_total'),
    proxy.stat('cluster.app.upstream_flow_control_drained_total'),
  ];
  const client = await TestClient.connect(proxy.port);
  client.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${SIZE}\r\n\r\n`);
  client.write(Buffer.alloc(SIZE));
  await eventually('paused', () => paused().every((count) => count > 0));
  expect(resumed()).not.toEqual(paused());
  app.sockets[0]?.resume();
  await client.untilText('200 OK', 10_000);
  expect(resumed()).toEqual(paused());
  expect(new Set(paused()).size).toBe(1);
  expect(proxy.stat('cluster.app.upstream_flow_control_paused_reading_total')).toBe(0);
  client.destroy();
});
