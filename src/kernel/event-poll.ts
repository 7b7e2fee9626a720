import { getSystemErrorName } from 'node:util';
import { type Libc, libc } from './libc.ts';

const EPOLL_CLOEXEC = 0o2000000;
const ADD = 1;
/** `struct epoll_event` is packed on x86-64 alone. */
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA = process.arch === 'x64' ? 4 : 8;
const BATCH = 64;

export const EPOLL = { IN: 0x001, ERR: 0x008, HUP: 0x010, RDHUP: 0x2000, ET: 0x80000000 } as const;

/** A set of descriptors and the events that are waited for (epoll(7)); a closed descriptor leaves it by itself. */
export class EventPoll {
  readonly fd: number;
  private readonly c: Libc;
  private readonly event = Buffer.alloc(EVENT_BYTES);
  private readonly events = Buffer.alloc(EVENT_BYTES * BATCH);

  /** @throws where there is no epoll */
  constructor() {
    const c = libc();
    if (c === undefined) throw new Error('libc cannot be reached');
    this.c = c;
    this.fd = c.epoll_create1(EPOLL_CLOEXEC);
    if (this.fd < 0) throw new Error(`epoll_create1: ${getSystemErrorName(-c.errno())}`);
  }

  /** Waits for events of a descriptor; `high` and `low` come with each. False: the kernel refuses. */
  add(fd: number, events: number, high: number, low: number): boolean {
    this.event.writeUInt32LE(events >>> 0, 0);
    this.event.writeUInt32LE(low, DATA);
    this.event.writeUInt32LE(high, DATA + 4);
    return this.c.epoll_ctl(this.fd, ADD, fd, this.event) === 0;
  }

  /** Hands over all events that are there, without waiting. */
  drain(onEvent: (events: number, high: number, low: number) => void): void {
    for (;;) {
      const count = this.c.epoll_wait(this.fd, this.events, BATCH, 0);
      for (let i = 0; i < count; i++) {
        const at = i * EVENT_BYTES;
        onEvent(
          this.events.readUInt32LE(at),
          this.events.readUInt32LE(at + DATA + 4),
          this.events.readUInt32LE(at + DATA),
        );
      }
      if (count < BATCH) return;
    }
  }

  close(): void {
    this.c.close(this.fd);
  }

  /** Another descriptor of the same set. */
  duplicate(): number {
    return this.c.dup(this.fd);
  }
}
