import { getSystemErrorName } from 'node:util';
import { libc } from './libc.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const FAILED = 0xffffffffffffffffn;

/**
 * The memory behind a descriptor, shared with the kernel, from `offset` (a multiple of the page size) on. It stays
 * mapped until the process ends: a view of it could be used at any time.
 *
 * @throws when the kernel refuses
 */
export function mapMemory(fd: number, length: number, offset: number, writable: boolean): ArrayBuffer {
  const c = libc();
  if (c === undefined) throw new Error('mapping memory: libc cannot be reached');
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const address = c.mmap(0n, BigInt(length), protection, MAP_SHARED, fd, BigInt(offset));
  if (BigInt.asUintN(64, address) === FAILED) throw new Error(`mapping memory: ${getSystemErrorName(-c.errno())}`);
  return c.memoryAt(address, length);
}

/** Size of a page of memory, bytes. */
export function pageBytes(): number {
  return libc()?.getpagesize() ?? 4096;
}
