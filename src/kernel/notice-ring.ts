import { mapMemory, pageBytes } from './memory-map.ts';
import { NOTICE_BYTES } from './verdict-program.ts';

/** Each record begins with its length and flags, and its place (`struct bpf_ringbuf_hdr`). */
const HEAD_BYTES = 8;
const BUSY = 0x80000000;
const DISCARDED = 0x40000000;
const RECORD_BYTES = HEAD_BYTES + NOTICE_BYTES;

/** The reader's side of a ring buffer of notices (BPF_MAP_TYPE_RINGBUF): no system call per notice. */
export class NoticeRing {
  readonly fd: number;
  private readonly sizeMask: number;
  /** Where reading has come to, which the program must know: a u64 in a page of its own. */
  private readonly consumer: BigUint64Array<ArrayBuffer>;
  private readonly producer: BigUint64Array<ArrayBuffer>;
  private readonly data: Uint32Array<ArrayBuffer>;

  /** @param bytes the map's `max_entries`, a power of two. @throws when the memory cannot be mapped */
  constructor(fd: number, bytes: number) {
    const page = pageBytes();
    this.fd = fd;
    this.sizeMask = bytes - 1;
    this.consumer = new BigUint64Array(mapMemory(fd, page, 0, true), 0, 1);
    const rest = mapMemory(fd, page + bytes, page, false);
    this.producer = new BigUint64Array(rest, 0, 1);
    this.data = new Uint32Array(rest, page);
  }

  /** Hands over the slots of all notices that wait. A slot may come more than once. */
  drain(onNotice: (slot: number) => void): void {
    let position = Atomics.load(this.consumer, 0);
    while (position < Atomics.load(this.producer, 0)) {
      const at = (Number(position & 0xffffffffn) & this.sizeMask) >>> 2;
      const head = Atomics.load(this.data, at);
      // The program is about to write it, and wakes us then.
      if ((head & BUSY) !== 0) return;
      const slot = this.data[at + HEAD_BYTES / 4] as number;
      position += BigInt(RECORD_BYTES);
      Atomics.store(this.consumer, 0, position);
      if ((head & DISCARDED) === 0) onNotice(slot);
    }
  }
}
