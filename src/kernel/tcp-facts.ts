import { type Libc, libc } from './libc.ts';

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_COOKIE = 57;
const FIONREAD = 0x541bn;
const TIOCOUTQ = 0x5411n;
/** Of `struct tcp_info`: `tcpi_bytes_acked` and `tcpi_bytes_received`, u64. */
const BYTES_ACKED = 120;
const BYTES_RECEIVED = 128;
const INFO_BYTES = 136;
const MSG_PEEK_DONTWAIT = 0x2 | 0x40;
const EAGAIN = 11;

/** What a look at a socket's next byte says: bytes wait, none yet, the peer's FIN, or the number of an error. */
export type PeekResult = 'bytes' | 'nothing' | 'end' | number;

/** What the kernel knows of TCP sockets, by descriptor. One set of buffers serves all calls. */
export class TcpFacts {
  private readonly c: Libc;
  private readonly info = Buffer.alloc(INFO_BYTES);
  private readonly infoLength = new Uint32Array(1);
  private readonly number = new Int32Array(1);
  private readonly cookieBytes = Buffer.alloc(8);
  private readonly byte = Buffer.alloc(1);

  /** @throws where libc cannot be reached */
  constructor() {
    const c = libc();
    if (c === undefined) throw new Error('libc cannot be reached');
    this.c = c;
  }

  /**
   * How many bytes have gone into the socket's send queue since the connection began, give or take a constant of the
   * connection. What is acknowledged meanwhile may be missing, so it is never too many; NaN for a socket that is gone.
   */
  sent(fd: number): number {
    const acknowledged = this.infoField(fd, BYTES_ACKED);
    return acknowledged + this.ioctlNumber(fd, TIOCOUTQ);
  }

  /** The same, exactly. For a socket that nobody writes to at the moment. */
  sentExactly(fd: number): number {
    for (;;) {
      const before = this.sent(fd);
      const after = this.sent(fd);
      if (before === after || Number.isNaN(after)) return after;
    }
  }

  /**
   * Whether what waits to be read begins within a packet of which a part has been read. The kernel would hand the whole
   * packet to a program, the part that was read included.
   */
  isHalfRead(fd: number): boolean {
    const waiting = this.ioctlNumber(fd, FIONREAD);
    const received = this.infoField(fd, BYTES_RECEIVED);
    // A packet that comes between the two calls makes it look read: the answer is then too careful.
    return Number.isNaN(waiting + received) || (waiting > 0 && received > waiting);
  }

  /** What identifies the socket to programs (SO_COOKIE), as eight bytes that the next call overwrites. */
  cookie(fd: number): Buffer | undefined {
    this.infoLength[0] = 8;
    return this.c.getsockopt(fd, SOL_SOCKET, SO_COOKIE, this.cookieBytes, this.infoLength) < 0
      ? undefined
      : this.cookieBytes;
  }

  /** The number of the error that the socket has met and nobody has heard of, 0 for none. */
  pendingError(fd: number): number {
    this.infoLength[0] = 4;
    this.number[0] = 0;
    this.c.getsockopt(fd, SOL_SOCKET, SO_ERROR, this.number, this.infoLength);
    return this.number[0] as number;
  }

  /**
   * Looks at the next byte. It takes the socket's lock, so every packet that came before has been through the program
   * when this returns; what waited from before the program was there goes through it now.
   */
  peek(fd: number): PeekResult {
    const count = this.c.recv(fd, this.byte, 1n, MSG_PEEK_DONTWAIT);
    if (count > 0n) return 'bytes';
    if (count === 0n) return 'end';
    const errno = this.c.errno();
    return errno === EAGAIN ? 'nothing' : errno;
  }

  private infoField(fd: number, offset: number): number {
    this.infoLength[0] = INFO_BYTES;
    const failed = this.c.getsockopt(fd, IPPROTO_TCP, TCP_INFO, this.info, this.infoLength) < 0;
    if (failed || (this.infoLength[0] as number) < INFO_BYTES) return Number.NaN;
    return this.info.readUInt32LE(offset) + this.info.readUInt32LE(offset + 4) * 2 ** 32;
  }

  private ioctlNumber(fd: number, request: bigint): number {
    return this.c.ioctl(fd, request, this.number) < 0 ? Number.NaN : (this.number[0] as number);
  }
}
