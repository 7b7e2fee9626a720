import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type Libc, libc } from './libc.ts';

/** What one send carries, and one receive gives. Whoever receives owns the descriptors, and closes them. */
export interface DescriptorMessage {
  readonly payload: Buffer;
  readonly descriptors: readonly number[];
}

/** The process at the other end, as the kernel knows it (SO_PEERCRED); it cannot lie about it. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface ReceiveLimits {
  readonly timeoutMs: number;
  readonly maxPayloadBytes: number;
  readonly maxDescriptors: number;
}

/** The most that the kernel takes in one message (SCM_MAX_FD). */
export const MAX_DESCRIPTORS = 253;

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CTRUNC = 0x8;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const EINTR = 4;
const EAGAIN = 11;

/** A message is its payload's length and its number of descriptors, as 32 bits each, and the payload. */
const HEAD_BYTES = 8;
/** One read or write. */
const SCRATCH_BYTES = 64 * 1024;
/** `struct cmsghdr` without its data: length, level, type. */
const CONTROL_HEAD_BYTES = 16;
/** Descriptors come with the first byte of their message, so the kernel is asked again in steps like these. */
const FIRST_RETRY_MS = 1;
const MAX_RETRY_MS = 16;

/**
 * Messages with open descriptors over a connected Unix stream socket (SCM_RIGHTS). The socket belongs to the channel
 * from then on: nothing else may read it or write to it.
 */
export class DescriptorChannel {
  private readonly libc: Libc;
  private readonly socket: Socket;
  private readonly frame = new CallFrame();

  /** @param socket - paused before a byte was read of it (`pauseOnConnect`, or `pause()` before it connects) */
  constructor(socket: Socket) {
    const c = libc();
    if (c === undefined)
      throw new Error('descriptors cannot be passed: libc is not reachable (needs Linux and node:ffi)');
    this.libc = c;
    this.socket = socket;
    socket.on('error', () => {});
  }

  /** Who is at the other end. @throws when the channel is closed */
  peer(): PeerCredentials {
    const value = new ArrayBuffer(12);
    if (this.libc.getsockopt(this.fd(), SOL_SOCKET, SO_PEERCRED, value, Uint32Array.of(12)) < 0) throw this.failure();
    const [pid = 0, uid = 0, gid = 0] = new Int32Array(value);
    return { pid, uid, gid };
  }

  /**
   * Sends copies of descriptors; the own ones stay open. One message at a time.
   *
   * @throws Error when the peer went away, or takes nothing within the time
   */
  async send(payload: Uint8Array, descriptors: readonly number[], timeoutMs: number): Promise<void> {
    if (descriptors.length > MAX_DESCRIPTORS) {
      throw new Error(`${descriptors.length} descriptors are more than the ${MAX_DESCRIPTORS} of one message`);
    }
    const message = Buffer.alloc(HEAD_BYTES + payload.length);
    message.writeUInt32LE(payload.length, 0);
    message.writeUInt32LE(descriptors.length, 4);
    message.set(payload, HEAD_BYTES);
    const patience = new Patience(timeoutMs, 'the peer takes no more');
    for (let sent = 0; sent < message.length; ) {
      const part = message.subarray(sent, sent + SCRATCH_BYTES);
      const address = this.frame.toSend(part, sent === 0 ? descriptors : [], this.libc);
      const count = Number(this.libc.sendmsg(this.fd(), address, MSG_DONTWAIT | MSG_NOSIGNAL));
      if (count >= 0) sent += count;
      else await this.retry(patience);
    }
  }

  /**
   * The next message; undefined when the peer has ended its side between two messages. One receive at a time.
   *
   * @throws Error for silence, for a message beyond the limits, or one that ends early; the channel is of no use then,
   * and what had come with the message is closed
   */
  async receive({ timeoutMs, maxPayloadBytes, maxDescriptors }: ReceiveLimits): Promise<DescriptorMessage | undefined> {
    const patience = new Patience(timeoutMs, 'the peer says nothing');
    const descriptors: number[] = [];
    try {
      const head = await this.read(HEAD_BYTES, descriptors, patience);
      if (head === undefined) return undefined;
      const bytes = head.readUInt32LE(0);
      const count = head.readUInt32LE(4);
      if (bytes > maxPayloadBytes) throw new Error(`a message of ${bytes} bytes, where ${maxPayloadBytes} are allowed`);
      if (count > maxDescriptors) throw new Error(`${count} descriptors, where ${maxDescriptors} are allowed`);
      const payload = bytes === 0 ? Buffer.alloc(0) : await this.read(bytes, descriptors, patience);
      if (payload === undefined) throw new Error('the peer ended within a message');
      if (descriptors.length !== count) {
        throw new Error(`${descriptors.length} descriptors came, where the message speaks of ${count}`);
      }
      return { payload, descriptors };
    } catch (error) {
      closeAll(descriptors);
      throw error;
    }
  }

  /** Never more bytes than asked for: descriptors of the next message come with its first byte. */
  private async read(bytes: number, descriptors: number[], patience: Patience): Promise<Buffer | undefined> {
    // Grows with what comes, not with what the peer promises.
    const parts: Buffer[] = [];
    for (let have = 0; have < bytes; ) {
      const address = this.frame.toReceive(Math.min(bytes - have, SCRATCH_BYTES), this.libc);
      const count = Number(this.libc.recvmsg(this.fd(), address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
      if (count < 0) {
        await this.retry(patience);
        continue;
      }
      const isWhole = this.frame.takeDescriptors(descriptors);
      if (!isWhole || descriptors.length > MAX_DESCRIPTORS)
        throw new Error(`more than ${MAX_DESCRIPTORS} descriptors, or no room for them in this process`);
      if (count === 0) {
        if (have === 0) return undefined;
        throw new Error('the peer ended within a message');
      }
      parts.push(Buffer.from(this.frame.data.subarray(0, count)));
      have += count;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** After a call that failed: waits where that may help. @throws where it does not */
  private retry(patience: Patience): Promise<void> {
    const errno = this.libc.errno();
    if (errno === EAGAIN || errno === EINTR) return patience.wait();
    throw systemError(errno);
  }

  private failure(): Error {
    return systemError(this.libc.errno());
  }

  private fd(): number {
    const handle = (this.socket as unknown as { _handle?: { fd?: number } | null })._handle;
    if (this.socket.destroyed || typeof handle?.fd !== 'number' || handle.fd < 0)
      throw new Error('the channel is closed');
    return handle.fd;
  }

  /** Ends both directions; whoever waits learns of it. */
  close(): void {
    this.socket.destroy();
  }
}

/** Closes descriptors that came and are of no use. */
export function closeAll(descriptors: Iterable<number>): void {
  for (const fd of descriptors) closeSync(fd);
}

/** `struct msghdr` with one piece of data and room for descriptors, as 64-bit Linux lays it out. */
class CallFrame {
  readonly data = new Uint8Array(new ArrayBuffer(SCRATCH_BYTES));
  private readonly header = new DataView(new ArrayBuffer(56));
  private readonly vector = new DataView(new ArrayBuffer(16));
  private readonly control = new DataView(new ArrayBuffer(CONTROL_HEAD_BYTES + MAX_DESCRIPTORS * 4 + 4));

  toSend(part: Uint8Array, descriptors: readonly number[], c: Libc): bigint {
    this.data.set(part);
    const bytes = CONTROL_HEAD_BYTES + descriptors.length * 4;
    this.control.setBigUint64(0, BigInt(bytes), true);
    this.control.setInt32(8, SOL_SOCKET, true);
    this.control.setInt32(12, SCM_RIGHTS, true);
    for (const [index, fd] of descriptors.entries()) this.control.setInt32(CONTROL_HEAD_BYTES + index * 4, fd, true);
    return this.fill(part.length, descriptors.length === 0 ? 0 : alignUp(bytes), c);
  }

  toReceive(bytes: number, c: Libc): bigint {
    return this.fill(bytes, this.control.byteLength, c);
  }

  private fill(dataBytes: number, controlBytes: number, c: Libc): bigint {
    const { header, vector } = this;
    vector.setBigUint64(0, c.addressOf(this.data), true);
    vector.setBigUint64(8, BigInt(dataBytes), true);
    header.setBigUint64(16, c.addressOf(vector), true);
    header.setBigUint64(24, 1n, true);
    header.setBigUint64(32, controlBytes === 0 ? 0n : c.addressOf(this.control), true);
    header.setBigUint64(40, BigInt(controlBytes), true);
    header.setInt32(48, 0, true);
    return c.addressOf(header);
  }

  /** Adds what came with the last receive. False when the kernel had to leave some out. */
  takeDescriptors(descriptors: number[]): boolean {
    const end = Number(this.header.getBigUint64(40, true));
    for (let at = 0; at + CONTROL_HEAD_BYTES <= end; ) {
      const bytes = Number(this.control.getBigUint64(at, true));
      if (bytes < CONTROL_HEAD_BYTES) break;
      const isRights =
        this.control.getInt32(at + 8, true) === SOL_SOCKET && this.control.getInt32(at + 12, true) === SCM_RIGHTS;
      for (let fd = at + CONTROL_HEAD_BYTES; isRights && fd + 4 <= Math.min(at + bytes, end); fd += 4) {
        descriptors.push(this.control.getInt32(fd, true));
      }
      at += alignUp(bytes);
    }
    return (this.header.getInt32(48, true) & MSG_CTRUNC) === 0;
  }
}

/** Waits between tries, longer each time, until time is up. */
class Patience {
  private readonly deadlineMs: number;
  private readonly complaint: string;
  private nextMs = FIRST_RETRY_MS;

  constructor(timeoutMs: number, complaint: string) {
    this.deadlineMs = performance.now() + timeoutMs;
    this.complaint = `${complaint} (waited ${timeoutMs} ms)`;
  }

  wait(): Promise<void> {
    if (performance.now() >= this.deadlineMs) throw new Error(this.complaint);
    const waitMs = this.nextMs;
    this.nextMs = Math.min(waitMs * 2, MAX_RETRY_MS);
    return new Promise((done) => setTimeout(done, waitMs));
  }
}

function alignUp(bytes: number): number {
  return (bytes + 7) & ~7;
}

function systemError(errno: number): Error {
  const name = process.getBuiltinModule('node:util').getSystemErrorName(-errno);
  return Object.assign(new Error(`${name} on the Unix socket`), { code: name });
}
