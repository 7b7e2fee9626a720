import { closeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { bindSocket } from '../../src/kernel/bound-socket.ts';
import { libc } from '../../src/kernel/libc.ts';
import { originalDestination } from '../../src/kernel/original-destination.ts';
import { ipBytes } from '../../src/network/ip.ts';

const PLAIN = { port: 0, reusePort: false, ipv6Only: true, transparent: false, freebind: false };

test.each(['127.0.0.1', '::1'])('a socket bound to %s can be listened on', async (host) => {
  if (libc() === undefined) return;
  const server = createServer((socket) => socket.end('hello'));
  server.listen({ fd: bindSocket({ ...PLAIN, host: ipBytes(host) }) });
  await new Promise((done) => server.once('listening', done));
  const { address, port } = server.address() as { address: string; port: number };
  expect(address).toBe(host);
  const text = await new Promise((done) => connect(port, host).once('data', (bytes) => done(bytes.toString())));
  expect(text).toBe('hello');
  server.close();
});

test('a port that is taken is refused with the reason, and its descriptor is not left open', async (context) => {
  if (libc() === undefined) return context.skip('needs Linux and node:ffi');
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  const bind = () => bindSocket({ ...PLAIN, host: ipBytes('127.0.0.1'), port });
  expect(bind).toThrow(expect.objectContaining({ code: 'EADDRINUSE', syscall: 'bind' }));
  server.close();
});

test('an address that is not there yet can be bound where that is asked for', (context) => {
  if (libc() === undefined) return context.skip('needs Linux and node:ffi');
  const host = ipBytes('192.0.2.1');
  expect(() => bindSocket({ ...PLAIN, host })).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }));
  closeSync(bindSocket({ ...PLAIN, host, freebind: true }));
});

test('what is no connection has no original destination', () => {
  expect(originalDestination(-1, { address: '127.0.0.1', port: 1 })).toBeUndefined();
});
