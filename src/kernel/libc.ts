/** A value for a C parameter of pointer type: memory of ours, an address, or NULL as `0n`. */
export type Pointer = NodeJS.ArrayBufferView<ArrayBuffer> | ArrayBuffer | bigint;

/**
 * The functions of libc that the proxy calls itself, where Node has no API of its own. They are C's: descriptors in,
 * -1 for an error, the reason from `errno()` directly after. All are called without blocking.
 */
export interface Libc {
  accept4(listening: number, address: Pointer, addressLength: Pointer, flags: number): number;
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Pointer, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Pointer, length: Pointer): number;
  setsockopt(fd: number, level: number, option: number, value: Pointer, length: number): number;
  /** Both take the address of a `struct msghdr`, and give the bytes that went or came. */
  sendmsg(fd: number, message: Pointer, flags: number): bigint;
  recvmsg(fd: number, message: Pointer, flags: number): bigint;
  /** `time` is a timespec: two 64-bit numbers, seconds and nanoseconds. */
  clock_gettime(clock: number, time: Pointer): number;
  /** Bytes sent or received. */
  send(fd: number, bytes: Pointer, length: bigint, flags: number): bigint;
  recv(fd: number, bytes: Pointer, length: bigint, flags: number): bigint;
  /** Maps a descriptor's memory into the process's: the address, or 2^64 − 1 for an error. */
  mmap(address: Pointer, length: bigint, protection: number, flags: number, fd: number, offset: bigint): bigint;
  getpagesize(): number;
  epoll_create1(flags: number): number;
  /** `event` is a packed `struct epoll_event`: 32 bits of events, 64 bits of the caller's own. */
  epoll_ctl(epoll: number, operation: number, fd: number, event: Pointer): number;
  epoll_wait(epoll: number, events: Pointer, most: number, timeoutMs: number): number;
  /** Only for requests whose argument is a pointer. */
  ioctl(fd: number, request: bigint, argument: Pointer): number;
  dup(fd: number): number;
  close(fd: number): number;
  /** Any system call by number, for those without a function in libc, such as bpf(2). */
  syscall(number: bigint, a: bigint, b: bigint, c: bigint, d: bigint, e: bigint): bigint;
  /** The error number of the last call that failed in this thread. Ask before anything else runs. */
  errno(): number;
  /** Memory that was mapped, as it is: not a copy. It must stay mapped. */
  memoryAt(address: bigint, length: number): ArrayBuffer;
  /** The address of a buffer's first byte, for structures that hold pointers. The buffer must stay referenced. */
  addressOf(buffer: NodeJS.ArrayBufferView<ArrayBuffer> | ArrayBuffer): bigint;
}

const SIGNATURES = {
  accept4: { arguments: ['i32', 'pointer', 'pointer', 'i32'], return: 'i32' },
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  bind: { arguments: ['i32', 'pointer', 'u32'], return: 'i32' },
  getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
  setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
  sendmsg: { arguments: ['i32', 'pointer', 'i32'], return: 'i64' },
  recvmsg: { arguments: ['i32', 'pointer', 'i32'], return: 'i64' },
  clock_gettime: { arguments: ['i32', 'pointer'], return: 'i32' },
  send: { arguments: ['i32', 'pointer', 'u64', 'i32'], return: 'i64' },
  recv: { arguments: ['i32', 'pointer', 'u64', 'i32'], return: 'i64' },
  mmap: { arguments: ['pointer', 'u64', 'i32', 'i32', 'i32', 'i64'], return: 'pointer' },
  getpagesize: { arguments: [], return: 'i32' },
  epoll_create1: { arguments: ['i32'], return: 'i32' },
  epoll_ctl: { arguments: ['i32', 'i32', 'i32', 'pointer'], return: 'i32' },
  epoll_wait: { arguments: ['i32', 'pointer', 'i32', 'i32'], return: 'i32' },
  ioctl: { arguments: ['i32', 'u64', 'pointer'], return: 'i32' },
  dup: { arguments: ['i32'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  syscall: { arguments: ['i64', 'i64', 'i64', 'i64', 'i64', 'i64'], return: 'i64' },
  __errno_location: { arguments: [], return: 'pointer' },
} as const;

let found: Libc | undefined;
let looked = false;

/** libc, through Node's own foreign function interface; undefined where there is none (not Linux, or not permitted). */
export function libc(): Libc | undefined {
  if (!looked) {
    looked = true;
    found = find();
  }
  return found;
}

function find(): Libc | undefined {
  if (process.platform !== 'linux') return undefined;
  const ffi = process.getBuiltinModule('node:ffi');
  if (ffi === undefined) return undefined;
  try {
    const { __errno_location, ...functions } = ffi.dlopen(null, SIGNATURES).functions;
    const errno = (): number => ffi.getInt32(__errno_location() as bigint, 0);
    const memoryAt = (address: bigint, length: number): ArrayBuffer => ffi.toArrayBuffer(address, length, false);
    return { ...functions, errno, memoryAt, addressOf: ffi.getRawPointer };
  } catch {
    // A libc without one of them, or a Node that may not load libraries (its permission model).
    return undefined;
  }
}
