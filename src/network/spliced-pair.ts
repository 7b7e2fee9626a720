import type { SpliceSet } from '../kernel/splice-set.ts';
import type { TcpFacts } from '../kernel/tcp-facts.ts';
import type { HandleConnection } from './handle-connection.ts';
import { SplicedDirection } from './spliced-direction.ts';

type Side = readonly [connection: HandleConnection, fd: number];

/** CLOCK_MONOTONIC, which the kernel's times count by, when `performance.now()` was 0. */
let clockOffsetMs: number | undefined;

/** Both directions of a session that the kernel forwards. */
export class SplicedPair {
  readonly fromDownstream: SplicedDirection;
  readonly fromUpstream: SplicedDirection;
  /** The kernel has both sockets, and is told of hang-ups. */
  active = false;
  private readonly set: SpliceSet;
  private readonly slot: number;
  private readonly onEnd: () => void;
  private ended = false;

  /** @param onEnd called once by `end` */
  constructor(set: SpliceSet, slot: number, facts: TcpFacts, down: Side, up: Side, onEnd: () => void) {
    this.set = set;
    this.slot = slot;
    this.onEnd = onEnd;
    this.fromDownstream = new SplicedDirection(set, slot, facts, down, up);
    this.fromUpstream = new SplicedDirection(set, slot + 1, facts, up, down);
  }

  /** The kernel takes over; what waits in the sockets goes first. */
  start(): void {
    this.fromDownstream.start();
    this.fromUpstream.start();
  }

  /** When the kernel last forwarded something, as milliseconds of `performance.now()`. */
  get lastActivityMs(): number {
    clockOffsetMs ??= Number(process.hrtime.bigint()) / 1e6 - performance.now();
    return Math.max(this.set.lastBytesMs(this.slot), this.set.lastBytesMs(this.slot + 1)) - clockOffsetMs;
  }

  /** Both sockets are closed. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.fromDownstream.stop();
    this.fromUpstream.stop();
    this.onEnd();
  }
}
