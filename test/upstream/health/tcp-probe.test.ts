import { expect, test } from 'vitest';
import { tcpServer } from '../../support/health-servers.ts';
import { unusedPort } from '../../support/proxy-process.ts';
import { checkedProxy, hex } from './checks.ts';

const TALK = { tcp_health_check: { send: hex('PING'), receive: [hex('PO'), hex('G')] } };

test('a connection is enough, and ends at once', async () => {
  let connections = 0;
  await using server = await tcpServer(() => connections++);
  await using proxy = await checkedProxy(server.port, { tcp_health_check: {} });
  await proxy.until('success', (count) => count > 3);
  expect(connections).toBeGreaterThanOrEqual(3);
  expect(proxy.check('failure')).toBe(0);
  await proxy[Symbol.asyncDispose]();
  while (server.sockets.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('a refused one is a network failure', async () => {
  await using proxy = await checkedProxy(await unusedPort(), { tcp_health_check: {} });
  expect(await proxy.flags()).toEqual(['/failed_active_hc']);
  expect(proxy.check('network_failure')).toBeGreaterThan(0);
});

test('an answer may come in pieces, and the connection serves the next check', async () => {
  let connections = 0;
  let asked = '';
  await using server = await tcpServer((socket) => {
    connections++;
    socket.on('data', (chunk: Buffer) => {
      asked += chunk.toString();
      socket.write('+PO');
      setTimeout(() => socket.write('NG\r\n'), 2);
    });
  });
  await using proxy = await checkedProxy(server.port, TALK);
  await proxy.until('success', (count) => count > 5);
  expect(connections).toBe(1);
  expect(asked.startsWith('PINGPINGPING')).toBe(true);
  expect(proxy.check('failure')).toBe(0);
});

test('each check has a connection of its own where that is configured', async () => {
  let connections = 0;
  await using server = await tcpServer((socket) => {
    connections++;
    socket.on('data', () => socket.write('PONG'));
  });
  await using proxy = await checkedProxy(server.port, { ...TALK, reuse_connection: false });
  await proxy.until('success', (count) => count > 5);
  expect(connections).toBeGreaterThan(5);
  expect(proxy.check('failure')).toBe(0);
});

test('a wrong answer fails when the time is over', async () => {
  await using server = await tcpServer((socket) => {
    socket.on('data', () => socket.write('NO'));
  });
  await using proxy = await checkedProxy(server.port, { ...TALK, timeout: '0.2s' });
  expect(await proxy.flags()).toEqual(['/failed_active_hc/active_hc_timeout']);
});

test('a server that ends the connection fails at once, also between two checks', async () => {
  await using server = await tcpServer((socket) => {
    socket.on('data', () => socket.write('PONG'));
  });
  const slow = { interval: '600s', no_traffic_interval: '600s', unhealthy_threshold: 1 };
  await using proxy = await checkedProxy(server.port, { ...TALK, ...slow });
  expect(await proxy.flags()).toEqual(['healthy']);
  for (const socket of server.sockets) socket.end();
  await proxy.until('network_failure', (count) => count === 1);
  expect(await proxy.flags()).toEqual(['/failed_active_hc']);
});

test('a server that floods the check is not listened to for ever', async () => {
  await using server = await tcpServer((socket) => {
    const flood = (): void => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65536)));
    };
    socket.on('drain', flood);
    socket.on('data', flood);
  });
  await using proxy = await checkedProxy(server.port, TALK);
  expect(await proxy.flags()).toEqual(['/failed_active_hc']);
});
