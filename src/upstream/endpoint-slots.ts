import { Hash64, hash64 } from '../matching/hash64.ts';
import { toWireText } from '../matching/wire-text.ts';

/** 32-bit cells of one endpoint. Those from `FIRST_DOUBLE` on are pairs that hold a double. */
export const CELL = {
  KEY_HIGH: 0,
  KEY_LOW: 1,
  /** Endpoint objects, in any thread, that use the slot; 0 is a free one. */
  USERS: 2,
  /** `HEALTH_FLAG`s that all threads share, and `CHECKED`. */
  FLAGS: 3,
  /** The thread that checks the endpoint's health, plus 1; 0 is none. */
  CHECKER: 4,
  CONSECUTIVE_5XX: 5,
  CONSECUTIVE_GATEWAY_FAILURE: 6,
  CONSECUTIVE_LOCAL_ORIGIN_FAILURE: 7,
  EXTERNAL_TOTAL: 8,
  EXTERNAL_SUCCESS: 9,
  LOCAL_TOTAL: 10,
  LOCAL_SUCCESS: 11,
  EJECTIONS: 12,
  /** Multiples of the base time that an ejection lasts. */
  BACK_OFF: 13,
  /** Milliseconds of `processClockMs`. */
  EJECTED_AT_MS: 14,
  UNEJECTED_AT_MS: 15,
  JITTER_MS: 16,
  /** Percent plus 1, so that 0 is unknown. */
  SUCCESS_RATE: 18,
  LOCAL_SUCCESS_RATE: 20,
} as const;

/** 32-bit cells that a cluster has once. */
export const HEAD = {
  LOCK: 0,
  /** Grows with each change of an endpoint's health. */
  VERSION: 1,
  /** When success rates were last looked at, in `processClockMs`, and whether they ever were. */
  SWEPT_AT_MS: 2,
  WAS_SWEPT: 3,
  /** Percents plus 1, so that 0 is unknown. */
  AVERAGE: 4,
  THRESHOLD: 6,
  LOCAL_AVERAGE: 8,
  LOCAL_THRESHOLD: 10,
} as const;

const HEAD_CELLS = 12;
const SLOT_CELLS = 22;
/** Longest sleep of a thread that waits for another one to have changed what all share. */
const LOCK_WAIT_MS = 5;

/** Where what is known of one endpoint lies: `cells[at + CELL.…]`. */
export interface Slot {
  readonly cells: Int32Array;
  readonly doubles: Float64Array;
  readonly at: number;
  /** Whether other threads read and write it too. */
  readonly shared: boolean;
}

/** Bytes for the slots of so many endpoints. Twice as many find place, since a reload has the old and the new ones for a while. */
export function slotBytes(endpoints: number): number {
  return (HEAD_CELLS + Math.max(16, 2 * endpoints) * SLOT_CELLS) * Int32Array.BYTES_PER_ELEMENT;
}

/** A slot of its own for one thread, or for an endpoint that found no place among the shared ones. */
function privateSlot(): Slot {
  const buffer = new ArrayBuffer(SLOT_CELLS * Int32Array.BYTES_PER_ELEMENT);
  return { cells: new Int32Array(buffer), doubles: new Float64Array(buffer), at: 0, shared: false };
}

export interface SharedSlots {
  /** `slotBytes` long or longer, zeroed when first made. */
  readonly block: SharedArrayBuffer;
  /** As long; what this thread holds of the block, which is taken back when it crashes. */
  readonly ledger: Int32Array;
  /** Of this thread, from 0. */
  readonly threadId: number;
  /** Tells the endpoints of one configuration of the cluster from those of another one. */
  readonly generation: string;
}

/**
 * What is found out about the endpoints of one cluster: their health and their failures. The threads of a process know
 * it alike, in shared memory where an endpoint's slot is found by its address. One thread alone has memory of its own.
 */
export class EndpointSlots {
  readonly head: Slot;
  private readonly share: SharedSlots | undefined;
  private readonly capacity: number;
  private readonly hash = new Hash64();

  constructor(share?: SharedSlots) {
    this.share = share;
    const buffer = share?.block ?? new ArrayBuffer(HEAD_CELLS * Int32Array.BYTES_PER_ELEMENT);
    this.head = {
      cells: new Int32Array(buffer),
      doubles: new Float64Array(buffer, 0, Math.floor(buffer.byteLength / 8)),
      at: 0,
      shared: share !== undefined,
    };
    this.capacity = Math.floor((this.head.cells.length - HEAD_CELLS) / SLOT_CELLS);
  }

  /** Whether other threads have a part in what is found out. */
  get shared(): boolean {
    return this.share !== undefined;
  }

  /** Differs from what it was when another thread has changed an endpoint's health. Only for shared slots. */
  get version(): number {
    return Atomics.load(this.head.cells, HEAD.VERSION);
  }

  /** Tells the other threads that an endpoint's health has changed. */
  announce(): void {
    if (this.share !== undefined) Atomics.add(this.head.cells, HEAD.VERSION, 1);
  }

  /** The slot of an endpoint, zeroed when no other thread uses it. `release` gives it back. */
  claim(address: string): Slot {
    if (this.share === undefined) return privateSlot();
    const { cells, doubles } = this.head;
    hash64(toWireText(`${this.share.generation} ${address}`), this.hash);
    const at = this.locked(() => this.place());
    return at < 0 ? privateSlot() : { cells, doubles, at, shared: true };
  }

  private place(): number {
    const { cells } = this.head;
    const { high, low } = this.hash;
    let free = -1;
    for (let i = 0; i < this.capacity; i++) {
      const at = HEAD_CELLS + i * SLOT_CELLS;
      if (cells[at + CELL.USERS] === 0) {
        if (free < 0) free = at;
      } else if (cells[at + CELL.KEY_HIGH] === high && cells[at + CELL.KEY_LOW] === low) {
        this.add(at + CELL.USERS, 1);
        return at;
      }
    }
    if (free < 0) return -1;
    cells.fill(0, free, free + SLOT_CELLS);
    cells[free + CELL.KEY_HIGH] = high;
    cells[free + CELL.KEY_LOW] = low;
    this.add(free + CELL.USERS, 1);
    return free;
  }

  release(slot: Slot): void {
    if (slot.shared) this.locked(() => this.add(slot.at + CELL.USERS, -1));
  }

  /** Makes this thread the one that checks the endpoint's health, unless another one is. */
  becomeChecker(slot: Slot): boolean {
    const { share } = this;
    if (share === undefined || !slot.shared) return true;
    const index = slot.at + CELL.CHECKER;
    if (Atomics.compareExchange(slot.cells, index, 0, share.threadId + 1) !== 0) return false;
    share.ledger[index] = share.threadId + 1;
    return true;
  }

  /** Leaves the checks to whichever thread comes next. Only for the one that checks. */
  leaveChecks(slot: Slot): void {
    if (this.share === undefined || !slot.shared) return;
    const index = slot.at + CELL.CHECKER;
    this.share.ledger[index] = 0;
    Atomics.store(slot.cells, index, 0);
  }

  /** Runs what changes several cells together, while no other thread does. */
  locked<T>(work: () => T): T {
    const { share } = this;
    if (share === undefined) return work();
    const { cells } = this.head;
    // Who crashes with the lock gives it back by its ledger.
    while (Atomics.compareExchange(cells, HEAD.LOCK, 0, 1) !== 0) Atomics.wait(cells, HEAD.LOCK, 1, LOCK_WAIT_MS);
    share.ledger[HEAD.LOCK] = 1;
    try {
      return work();
    } finally {
      share.ledger[HEAD.LOCK] = 0;
      Atomics.store(cells, HEAD.LOCK, 0);
      Atomics.notify(cells, HEAD.LOCK, 1);
    }
  }

  private add(index: number, change: number): void {
    Atomics.add(this.head.cells, index, change);
    const ledger = this.share?.ledger;
    if (ledger !== undefined) ledger[index] = (ledger[index] as number) + change;
  }
}

/** Milliseconds of a clock that is the same in all threads, as an Int32 that wraps around: differences of it count. */
export function processClockMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n) | 0;
}
