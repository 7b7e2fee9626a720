import { closeSync } from 'node:fs';
import { connect, createServer, Socket, type SocketConstructorOpts } from 'node:net';
import { expect, test } from 'vitest';
import { bindSocket, socketFrom } from '../../src/kernel/bound-socket.ts';
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
  const host = ipBytes('198.51.100.77');
  expect(() => bindSocket({ ...PLAIN, host })).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }));
  closeSync(bindSocket({ ...PLAIN, host, freebind: true }));
});

test('what is no connection has no original destination', () => {
  expect(originalDestination(-1, { address: '127.0.0.1', port: 1 })).toBeUndefined();
});

test('a connection from an address of ours takes a port only when it connects', async (context) => {
  const fds = Array.from({ length: 2 }, () => socketFrom(ipBytes('127.0.0.6')));
  if (fds[0] === undefined) return context.skip('needs Linux and node:ffi');
  const peers: unknown[] = [];
  const server = createServer((socket) => {
    peers.push(socket.remoteAddress);
    socket.end();
  }).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  for (const fd of fds) {
    const options: SocketConstructorOpts & { manualStart: boolean } = { fd: fd as number, manualStart: true };
    const socket = new Socket(options);
    // No port is taken before there is a connection.
    expect(socket.localPort ?? 0).toBe(0);
    socket.connect({ host: '127.0.0.1', port }).resume();
    await new Promise((done) => socket.once('close', done));
  }
  expect(peers).toEqual(['127.0.0.6', '127.0.0.6']);
  server.close();
});

test('an address that is not ours cannot be bound', (context) => {
  if (libc() === undefined) return context.skip('needs Linux and node:ffi');
  expect(() => socketFrom(ipBytes('198.51.100.77'))).toThrow(
    expect.objectContaining({ code: 'EADDRNOTAVAIL', syscall: 'bind' }),
  );
});
