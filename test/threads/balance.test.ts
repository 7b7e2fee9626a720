import { expect, onTestFinished, test } from 'vitest';
import { ThreadedProxy } from '../../src/threads/threaded-proxy.ts';
import { httpConfig, startTestProxy } from '../support/proxy.ts';
import { TestClient } from '../support/sockets.ts';
import { startApp } from '../support/story.ts';

async function start(port: number, listener: string, concurrency: number) {
  const proxy = await startTestProxy(httpConfig(port, { listener }), { concurrency });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const perThread = async (): Promise<number[]> => {
    if (!(proxy.proxy instanceof ThreadedProxy)) throw new Error('one thread');
    return proxy.proxy.connectionsPerThread();
  };
  return { ...proxy, perThread };
}

/** Opens so many connections, a hundred at a time. */
async function openMany(port: number, count: number): Promise<TestClient[]> {
  const clients: TestClient[] = [];
  onTestFinished(() => {
    for (const { socket } of clients) socket.destroy();
  });
  while (clients.length < count) {
    const some = Math.min(100, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: some }, () => TestClient.connect(port)))));
  }
  return clients;
}

const EXACT = 'connection_balance_config: { exact_balance: {} }';

test.each([
  [2, 7],
  [3, 50],
])(
  'with exact_balance, %i threads have the same number of %i connections, give or take one',
  async (threads, count) => {
    await using app = await startApp((_request, response) => response.end('ok'));
    const proxy = await start(app.port, EXACT, threads);
    const clients = await openMany(proxy.port, count);
    await expect.poll(async () => (await proxy.perThread()).reduce((sum, one) => sum + one)).toBe(count);
    const each = await proxy.perThread();
    expect(Math.max(...each) - Math.min(...each)).toBeLessThanOrEqual(1);
    // Those that were moved serve as well.
    for (const client of clients) client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await Promise.all(clients.map((client) => client.untilText('ok')));
    // Who leaves is missed where he was.
    for (const client of clients.slice(0, Math.floor(count / 2))) client.socket.destroy();
    await expect.poll(async () => (await proxy.perThread()).reduce((sum, one) => sum + one)).toBe(Math.ceil(count / 2));
    await openMany(proxy.port, Math.floor(count / 2));
    await expect.poll(async () => (await proxy.perThread()).reduce((sum, one) => sum + one)).toBe(count);
    const after = await proxy.perThread();
    expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1);
  },
);

test('the kernel’s own balance over two threads is within a tenth from a thousand connections on', async () => {
  await using app = await startApp((_request, response) => response.end('ok'));
  const proxy = await start(app.port, '', 2);
  const count = 2048;
  await openMany(proxy.port, count);
  await expect.poll(async () => (await proxy.perThread()).reduce((sum, one) => sum + one)).toBe(count);
  // A fair coin leaves this bound once in 150,000 runs.
  expect(Math.max(...(await proxy.perThread()))).toBeLessThan((count / 2) * 1.1);
});
