import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeFileSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { closeAll, DescriptorChannel, MAX_DESCRIPTORS } from '../../src/kernel/descriptor-passing.ts';
import { libc } from '../../src/kernel/libc.ts';

const LIMITS = { timeoutMs: 10_000, maxPayloadBytes: 1 << 20, maxDescriptors: MAX_DESCRIPTORS };

let folder: string;
let server: Server;
let left: DescriptorChannel;
let right: DescriptorChannel;
/** Of `left`, to write to it past its channel. */
let leftSocket: Socket;
let rightSocket: Socket;

beforeEach(async (context) => {
  if (libc() === undefined) return context.skip('needs Linux and node:ffi');
  folder = mkdtempSync(join(tmpdir(), 'outrigger-descriptors-'));
  const path = join(folder, 'socket');
  server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  await new Promise<void>((done) => server.listen(path, done));
  const accepted = new Promise<Socket>((done) => server.once('connection', done));
  leftSocket = net.connect({ path, allowHalfOpen: true }).pause();
  await new Promise<void>((done) => leftSocket.once('connect', () => done()));
  rightSocket = await accepted;
  left = new DescriptorChannel(leftSocket);
  right = new DescriptorChannel(rightSocket);
});

afterEach(() => {
  left?.close();
  right?.close();
  server?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

test('a descriptor that came is the same open file, and closes with exec', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, 'from the other side');
  const fd = openSync(file, 'r');
  await left.send(Buffer.from('take it'), [fd], 1000);
  closeSync(fd);
  const message = await right.receive(LIMITS);
  expect(message?.payload.toString()).toBe('take it');
  const [received = -1] = message?.descriptors ?? [];
  const text = Buffer.alloc(19);
  readSync(received, text, 0, 19, 0);
  expect(text.toString()).toBe('from the other side');
  expect(flagsOf(received) & 0o2000000).toBe(0o2000000);
  closeAll([received]);
});

test('messages keep their bounds and their own descriptors', async () => {
  const fds = [openSync('/dev/null', 'r'), openSync('/dev/zero', 'r')];
  await left.send(Buffer.from('one'), fds.slice(0, 1), 1000);
  await left.send(Buffer.from(''), [], 1000);
  await left.send(Buffer.from('three'), fds, 1000);
  const messages = [await right.receive(LIMITS), await right.receive(LIMITS), await right.receive(LIMITS)];
  expect(messages.map((message) => [message?.payload.toString(), message?.descriptors.length])).toEqual([
    ['one', 1],
    ['', 0],
    ['three', 2],
  ]);
  const zero = messages[2]?.descriptors[1] ?? -1;
  expect(fstatSync(zero).rdev).toBe(fstatSync(fds[1] as number).rdev);
  closeAll([...fds, ...messages.flatMap((message) => message?.descriptors ?? [])]);
});

test('a payload beyond the socket’s buffer arrives whole while the receiver takes its time', async () => {
  const payload = Buffer.alloc(900_000, 'abcdefghi');
  const fds = Array.from({ length: MAX_DESCRIPTORS }, () => openSync('/dev/null', 'r'));
  const sending = left.send(payload, fds, 10_000);
  const message = await right.receive(LIMITS);
  await sending;
  expect(message?.payload.equals(payload)).toBe(true);
  expect(message?.descriptors).toHaveLength(MAX_DESCRIPTORS);
  closeAll([...fds, ...(message?.descriptors ?? [])]);
});

test('a closed descriptor is not sent', async () => {
  await expect(left.send(Buffer.from('x'), [1_000_000], 1000)).rejects.toThrow('EBADF');
});

test('more than the kernel takes in one message is refused before it is sent', async () => {
  await expect(left.send(Buffer.from('x'), new Array(MAX_DESCRIPTORS + 1).fill(0), 1000)).rejects.toThrow('253');
});

test('the other side’s end shows between messages as an end, within one as an error', async () => {
  leftSocket.end(Buffer.from([5, 0, 0, 0, 0, 0, 0, 0, 1]));
  await expect(right.receive(LIMITS)).rejects.toThrow('ended within a message');
  rightSocket.end();
  await expect(left.receive(LIMITS)).resolves.toBeUndefined();
});

test('silence ends a receive after its time', async () => {
  await expect(right.receive({ ...LIMITS, timeoutMs: 5 })).rejects.toThrow('says nothing');
});

test('a receiver that takes nothing ends a send after its time', async () => {
  await expect(left.send(Buffer.alloc(4 << 20), [], 50)).rejects.toThrow('takes no more');
});

test('closing the channel ends a receive that waits', async () => {
  const receiving = right.receive(LIMITS);
  right.close();
  await expect(receiving).rejects.toThrow('closed');
});

test('a length beyond the limit is refused before its bytes are read', async () => {
  await left.send(Buffer.alloc(2000), [], 1000);
  await expect(right.receive({ ...LIMITS, maxPayloadBytes: 1999 })).rejects.toThrow('2000 bytes');
});

test('descriptors that a message should not have are closed', async () => {
  const fd = openSync('/dev/null', 'r');
  const before = openDescriptors();
  await left.send(Buffer.from('x'), [fd, fd, fd], 1000);
  await expect(right.receive({ ...LIMITS, maxDescriptors: 2 })).rejects.toThrow('3 descriptors');
  expect(openDescriptors()).toBe(before);
  closeSync(fd);
});

test('a message that promises more descriptors than come is refused, and those that came are closed', async () => {
  // The channel writes heads itself: this one speaks of two descriptors, inside of a message with one.
  const fd = openSync('/dev/null', 'r');
  const before = openDescriptors();
  leftSocket.write(Buffer.from([1, 0, 0, 0, 2, 0, 0, 0, 65]));
  await expect(right.receive(LIMITS)).rejects.toThrow('0 descriptors came');
  await left.send(Buffer.from([9]), [fd], 1000);
  // Nothing of the bad message is left: the next one is read as if it were the first.
  closeAll((await right.receive(LIMITS))?.descriptors ?? []);
  expect(openDescriptors()).toBe(before);
  closeSync(fd);
});

test('the peer is known by what the kernel says', () => {
  expect(right.peer()).toEqual({ pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
});

test('a thousand messages leave no descriptor behind', async () => {
  const fd = openSync('/dev/null', 'r');
  const before = openDescriptors();
  for (let i = 0; i < 1000; i++) {
    await left.send(Buffer.from('x'), [fd], 1000);
    closeAll((await right.receive(LIMITS))?.descriptors ?? []);
  }
  expect(openDescriptors()).toBe(before);
  closeSync(fd);
});

/** Listing them opens one, each time. */
function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function flagsOf(fd: number): number {
  const buffer = Buffer.alloc(4096);
  const info = openSync(`/proc/self/fdinfo/${fd}`, 'r');
  const length = readSync(info, buffer);
  closeSync(info);
  return Number.parseInt(/flags:\s*(\d+)/.exec(buffer.toString('latin1', 0, length))?.[1] ?? '0', 8);
}
