import { getSystemErrorName } from 'node:util';
import { EPOLL } from '../kernel/event-poll.ts';
import type { SpliceSet } from '../kernel/splice-set.ts';
import type { TcpFacts } from '../kernel/tcp-facts.ts';
import type { HandleConnection } from './handle-connection.ts';
import { TimerEntry, timers } from './timer.ts';

/**
 * So many bytes may wait in the kernel beside the socket's own buffer. It begins small and grows while the sink keeps
 * up: then little waits, and a notice for every half of it is what bulk costs the proxy.
 */
const FIRST_ROOM_BYTES = 512 * 1024;
const MAX_ROOM_BYTES = 4 * 1024 * 1024;
/** So many packets: small ones are mostly overhead, about 1 KiB each. */
const ROOM_PACKETS = 1024;
const LOW_PACKETS = ROOM_PACKETS / 2;
/** How soon a sink that was not done is looked at again; twice as late each time. */
const FIRST_LOOK_MS = 1;
const MAX_LOOK_MS = 64;
/** A sink that was not done when it was to be looked at again so late is slow. */
const SLOW_LOOK_MS = 16;

/**
 * One direction of a spliced session: the proxy's part of the agreement with the verdict program.
 *
 * The program sends packets on until its limits, then leaves them to the proxy, which reads and writes them on as it
 * does without a splice. That happens when the sink is slow, so its back-pressure reaches the source. Two rules keep the
 * bytes in order. The program sends on only while the proxy has written all that it was left (`taken`). The proxy reads
 * and writes, and passes on a FIN, only when all that the program sent on has gone into the sink's send queue (`gone`).
 */
export class SplicedDirection extends TimerEntry {
  private readonly set: SpliceSet;
  private readonly slot: number;
  private readonly facts: TcpFacts;
  private readonly source: HandleConnection;
  private readonly sourceFd: number;
  private readonly sink: HandleConnection;
  private readonly sinkFd: number;
  /** What `facts.sent` said of the sink before anything was sent. */
  private readonly sinkBase: number;
  /** Bytes that the proxy has read and written on. */
  private taken = 0;
  /** Bytes that it has read, and that wait in user space for the sink. */
  private waiting = 0;
  /** The proxy reads. */
  private serving = false;
  /** `redirectedBytes` when it began to. */
  private servedFrom = 0;
  /** No further packet will come. */
  private ended = false;
  private stopped = false;
  /** At `markBytes` redirected ones there had been `markPackets`; of those before `gonePackets` none waits any more. */
  private markBytes = 0;
  private markPackets = 0;
  private gonePackets = 0;
  private lookMs = FIRST_LOOK_MS;
  private roomBytes = FIRST_ROOM_BYTES;
  /** Of the redirected bytes, how many `takeRedirected` has told of. */
  private told = 0;

  constructor(
    set: SpliceSet,
    slot: number,
    facts: TcpFacts,
    [source, sourceFd]: readonly [HandleConnection, number],
    [sink, sinkFd]: readonly [HandleConnection, number],
  ) {
    super();
    this.set = set;
    this.slot = slot;
    this.facts = facts;
    this.source = source;
    this.sourceFd = sourceFd;
    this.sink = sink;
    this.sinkFd = sinkFd;
    this.sinkBase = facts.sentExactly(sinkFd);
  }

  /** The program may send on, as soon as it has both sockets. */
  allow(): void {
    this.setLimits(0, 0);
  }

  /** The proxy listens: what waited in the socket goes through the program, what it leaves is served. */
  start(): void {
    this.peek();
  }

  stop(): void {
    this.stopped = true;
    timers.cancel(this);
  }

  /** The proxy has read `length` bytes and the sink took them. True: the kernel goes on alone. */
  onTaken(length: number): boolean {
    this.taken += length;
    return this.settle();
  }

  /** The proxy has read `length` bytes, which the sink did not take yet. */
  onWaiting(length: number): void {
    this.waiting += length;
  }

  /** The sink took what had waited. True: the proxy reads on. */
  onDrained(): boolean {
    this.taken += this.waiting;
    this.waiting = 0;
    return this.serving && !this.settle();
  }

  /** Bytes that the kernel has sent on since this was last asked. */
  takeRedirected(): number {
    const redirected = this.set.redirectedBytes(this.slot);
    const fresh = redirected - this.told;
    this.told = redirected;
    return fresh;
  }

  /** Hang-up or error of the source. */
  onEvents(events: number): void {
    if (this.isOver) return;
    if ((events & EPOLL.ERR) !== 0) this.fail(this.facts.pendingError(this.sourceFd));
    else if (!this.ended) this.peek();
  }

  override onTimeout(): void {
    this.look();
  }

  /** After a notice, and while something is waited for: gives the program room, or serves. */
  look(): void {
    const { set, slot } = this;
    set.setNoticed(slot, false);
    if (this.isOver || this.serving) return;
    const redirected = set.redirectedBytes(slot);
    const packets = set.redirectedPackets(slot);
    const gone = this.facts.sent(this.sinkFd) - this.sinkBase - this.taken;
    if (Number.isNaN(gone)) return;
    const waitingBytes = redirected - gone;
    if (waitingBytes <= this.roomBytes / 2) this.roomBytes = Math.min(2 * this.roomBytes, MAX_ROOM_BYTES);
    else if (this.lookMs >= SLOW_LOOK_MS) this.roomBytes = FIRST_ROOM_BYTES;
    this.countPackets(gone, redirected, packets);
    this.setLimits(gone, this.gonePackets);
    const isBehind = set.passedBytes(slot) !== this.taken >>> 0;
    if (isBehind || this.ended) {
      if (gone >= redirected && (!isBehind || this.hasBytes())) this.serve(redirected);
      else this.lookLater();
    } else if (waitingBytes > this.roomBytes / 2 || packets - this.gonePackets > ROOM_PACKETS - LOW_PACKETS) {
      // Still little room: further notices would come with every packet.
      set.setNoticed(slot, true);
      this.lookLater();
    } else {
      this.lookMs = FIRST_LOOK_MS;
    }
  }

  private get isOver(): boolean {
    return this.stopped || this.source.closed || this.sink.closed;
  }

  private lookLater(): void {
    timers.start(this, this.lookMs);
    this.lookMs = Math.min(2 * this.lookMs, MAX_LOOK_MS);
  }

  private countPackets(gone: number, redirected: number, packets: number): void {
    if (gone >= redirected) this.gonePackets = packets;
    else if (gone >= this.markBytes) this.gonePackets = Math.max(this.gonePackets, this.markPackets);
    else return;
    this.markBytes = redirected;
    this.markPackets = packets;
  }

  private setLimits(gone: number, gonePackets: number): void {
    this.set.setLimits(this.slot, gone + this.roomBytes, gonePackets + ROOM_PACKETS, this.roomBytes / 2, LOW_PACKETS);
  }

  /** All before is on its way: the proxy reads what the program left to it, or the FIN. */
  private serve(redirected: number): void {
    timers.cancel(this);
    this.lookMs = FIRST_LOOK_MS;
    this.serving = true;
    this.servedFrom = redirected;
    this.source.resume();
  }

  /** After a write: goes on reading (false), or lets the kernel go on (true). */
  private settle(): boolean {
    const { set, slot } = this;
    set.setTakenBytes(slot, this.taken);
    if (this.waiting > 0) return false;
    // Passed bytes first: once there are such, the program sends nothing on until they are taken.
    if (set.passedBytes(slot) === this.taken >>> 0) {
      if (this.ended) return false;
    } else if (set.redirectedBytes(slot) === this.servedFrom && this.hasBytes()) {
      return false;
    }
    this.serving = false;
    this.source.pause();
    this.peek();
    return !this.serving;
  }

  /**
   * Whether passed bytes can be read at once. Behind packets that wait for the source as a sink, the kernel holds them
   * back; with a FIN behind them it would tell of the end before it has handed them out.
   */
  private hasBytes(): boolean {
    const found = this.facts.peek(this.sourceFd);
    if (typeof found === 'number') this.fail(found);
    return found === 'bytes';
  }

  /** Takes the source's lock: what came before has been decided on. Then looks whether there is something to do. */
  private peek(): void {
    const found = this.facts.peek(this.sourceFd);
    if (typeof found === 'number') {
      this.fail(found);
      return;
    }
    if (found === 'end') this.ended = true;
    // Bytes may wait before the FIN, so a hang-up is looked at again when they are taken.
    this.look();
  }

  private fail(errno: number): void {
    const code = errno === 0 ? 'ECONNRESET' : getSystemErrorName(-errno);
    this.source.destroy(Object.assign(new Error(`splice ${code}`), { code, errno: -errno, syscall: 'splice' }));
  }
}
