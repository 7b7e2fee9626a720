import { expect, test } from 'vitest';
import { libc } from '../../src/kernel/libc.ts';

const SOL_SOCKET = 1;
const SO_TYPE = 3;
const EBADF = 9;

test('tells why a call failed', (context) => {
  const c = libc();
  if (c === undefined) return context.skip('needs Linux and node:ffi');
  const value = new Uint8Array(4);
  expect(c.getsockopt(-1, SOL_SOCKET, SO_TYPE, value, new Uint8Array([4, 0, 0, 0]))).toBe(-1);
  expect(c.errno()).toBe(EBADF);
});

test('makes system calls by number, with addresses of buffers in them', (context) => {
  const c = libc();
  if (c === undefined) return context.skip('needs Linux and node:ffi');
  // uname(2) is 63 on x86-64 and 160 on arm64; it begins with the name of the kernel.
  const names = new Uint8Array(6 * 65);
  const uname = process.arch === 'x64' ? 63n : 160n;
  expect(c.syscall(uname, c.addressOf(names), 0n, 0n, 0n, 0n)).toBe(0n);
  expect(Buffer.from(names).toString('latin1', 0, 5)).toBe('Linux');
});
