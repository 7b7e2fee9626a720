import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { acceptWaiting } from '../../src/kernel/accept-queue.ts';

/** A server that takes what waits beside the first connection, and `count` clients that connect before it runs. */
async function crowd(count: number, limit: number): Promise<{ taken: number; sockets: Socket[]; clients: Socket[] }> {
  const sockets: Socket[] = [];
  const server = net.createServer({ pauseOnConnect: true });
  const first = new Promise<number>((resolve) => {
    server.on('connection', (socket) => {
      sockets.push(socket);
      resolve(acceptWaiting(server, limit, (waiting) => sockets.push(waiting)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients = Array.from({ length: count }, () => net.connect(port, '127.0.0.1'));
  onTestFinished(() => {
    for (const socket of [...clients, ...sockets]) socket.destroy();
    server.close();
  });
  return { taken: await first, sockets, clients };
}

test.skipIf(process.platform !== 'linux')('connections that wait are taken in the turn of the first one', async () => {
  const { taken, sockets, clients } = await crowd(30, 64);
  expect(taken).toBe(29);
  expect(new Set(sockets.map((socket) => socket.remotePort)).size).toBe(30);
  for (const socket of sockets) {
    expect(socket.isPaused()).toBe(true);
    socket.pipe(socket);
  }
  for (const client of clients) client.end('hello');
  const answers = clients.map(async (client) => {
    let text = '';
    for await (const chunk of client) text += String(chunk);
    return text;
  });
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['hello']));
});

test.skipIf(process.platform !== 'linux')('no more than the limit are taken at once', async () => {
  expect((await crowd(30, 10)).taken).toBe(10);
});

test('a server that does not listen has no queue', () => {
  expect(acceptWaiting(net.createServer(), 10, () => {})).toBe(0);
});
