import { closeSync, writeSync } from 'node:fs';
import { type Libc, libc } from './libc.ts';

/** linux/if_packet.h, linux/if_ether.h, bits/socket.h */
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCKADDR_LL_LENGTH = 20;

/** Sends frames out of an interface as they are (packet(7)). Needs NET_RAW. */
export class PacketSocket implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @returns the reason where it cannot be had */
  static open(interfaceIndex: number): PacketSocket | string {
    const c = libc();
    if (c === undefined) return 'this Node cannot call libc';
    // Protocol 0: it receives nothing.
    const fd = c.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) return reason('socket', c);
    const address = new DataView(new ArrayBuffer(SOCKADDR_LL_LENGTH));
    address.setUint16(0, AF_PACKET, true);
    address.setInt32(4, interfaceIndex, true);
    if (c.bind(fd, address, SOCKADDR_LL_LENGTH) < 0) {
      const why = reason('bind', c);
      closeSync(fd);
      return why;
    }
    return new PacketSocket(fd);
  }

  send(frame: Uint8Array): void {
    writeSync(this.#fd, frame);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function reason(call: string, c: Libc): string {
  const errno = c.errno();
  return errno === 1 ? 'the capability NET_RAW is missing' : `${call} of a packet socket failed with errno ${errno}`;
}
