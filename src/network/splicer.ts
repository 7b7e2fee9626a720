import type { Logger } from '../filter/env.ts';
import { EPOLL, EventPoll } from '../kernel/event-poll.ts';
import { SESSIONS_PER_SET } from '../kernel/splice-maps.ts';
import { SpliceSet } from '../kernel/splice-set.ts';
import { TcpFacts } from '../kernel/tcp-facts.ts';
import type { VerdictMaps } from '../kernel/verdict-program.ts';
import type { Connection } from './connection.ts';
import { DescriptorWatch } from './descriptor-watch.ts';
import { flushQueue } from './flush-queue.ts';
import { HandleConnection } from './handle-connection.ts';
import type { SplicedDirection } from './spliced-direction.ts';
import { SplicedPair } from './spliced-pair.ts';

/** At most 20,480 sessions of a thread at a time; further ones are served in user space. */
const MAX_SETS = 10;
/** In place of a slot: the ring buffer of a set. */
const RING = 0xffffffff;

/** Where sets of maps come from: this process makes them, or a node agent does. @throws why there is none */
export type MakeMaps = () => VerdictMaps | undefined;

/** Hands TCP sessions over to the kernel, and hears of what happens to them there. One per thread. */
export class Splicer {
  readonly facts = new TcpFacts();
  private readonly makeMaps: MakeMaps;
  private readonly log: Logger;
  private readonly poll = new EventPoll();
  private readonly sets: SpliceSet[] = [];
  /** By set and slot. */
  private readonly directions: (SplicedDirection | undefined)[][] = [];
  private readonly watch: DescriptorWatch;
  private refused = false;

  /** @throws what is missing: libc, epoll, or the right to make maps */
  constructor(makeMaps: MakeMaps, log: Logger) {
    this.makeMaps = makeMaps;
    this.log = log;
    this.addSet();
    this.watch = new DescriptorWatch(
      () => this.poll.duplicate(),
      () => this.onReadable(),
    );
  }

  /**
   * Hands two connections over, from which nobody reads. Undefined when the kernel cannot have them: TLS, a pipe, bytes
   * that were read before, a FIN that is there already, or no room. A pair that is not `active` must be served in user
   * space too; it only waits for its end.
   */
  begin(downstream: Connection, upstream: Connection): SplicedPair | undefined {
    if (!(downstream instanceof HandleConnection && upstream instanceof HandleConnection)) return undefined;
    const { facts } = this;
    const downFd = downstream.untouchedDescriptor;
    const upFd = upstream.untouchedDescriptor;
    if (downFd < 0 || upFd < 0 || facts.isHalfRead(downFd) || facts.isHalfRead(upFd)) return undefined;
    const index = this.roomiestSet();
    const set = this.sets[index];
    if (set === undefined) return undefined;
    const slot = set.acquire();
    const pair = new SplicedPair(set, slot, facts, [downstream, downFd], [upstream, upFd], () => this.end(index, slot));
    if (set.put(slot + 1, upFd, facts) !== undefined) {
      set.release(slot);
      return undefined;
    }
    // From here on the kernel has one socket, which passes all to the proxy: taken out again, it would lose what it holds.
    const events = EPOLL.RDHUP | EPOLL.ET;
    if (!this.poll.add(downFd, events, index, slot) || !this.poll.add(upFd, events, index, slot + 1)) return pair;
    // With its place and its limits ready, the client's first packet goes the whole way in the kernel.
    pair.fromDownstream.allow();
    if (set.put(slot, downFd, facts) !== undefined) return pair;
    pair.fromUpstream.allow();
    const directions = this.directions[index] as (SplicedDirection | undefined)[];
    directions[slot] = pair.fromDownstream;
    directions[slot + 1] = pair.fromUpstream;
    pair.active = true;
    return pair;
  }

  /** Lets go of maps and program. The sessions must have ended. */
  close(): void {
    this.watch.close();
    this.poll.close();
    for (const set of this.sets) set.close();
    this.sets.length = 0;
  }

  private end(index: number, slot: number): void {
    const directions = this.directions[index] as (SplicedDirection | undefined)[];
    directions[slot] = undefined;
    directions[slot + 1] = undefined;
    (this.sets[index] as SpliceSet).release(slot);
  }

  private roomiestSet(): number {
    const index = this.sets.findIndex((set) => !set.isFull);
    if (index >= 0 || this.refused || this.sets.length === MAX_SETS) return index;
    try {
      this.addSet();
    } catch (error) {
      this.refused = true;
      this.log.warn('no further sessions are spliced in the kernel', { error: String(error) });
    }
    return this.sets.findIndex((set) => !set.isFull);
  }

  private addSet(): void {
    const maps = this.makeMaps();
    if (maps === undefined) return;
    const set = new SpliceSet(maps);
    if (!this.poll.add(set.ring.fd, EPOLL.IN | EPOLL.ET, this.sets.length, RING)) throw new Error('epoll refuses');
    this.sets.push(set);
    this.directions.push(new Array(2 * SESSIONS_PER_SET).fill(undefined));
  }

  private onReadable(): void {
    flushQueue.enter();
    try {
      this.poll.drain((events, index, slot) => {
        const directions = this.directions[index];
        if (slot === RING) this.sets[index]?.ring.drain((noticed) => directions?.[noticed]?.look());
        else directions?.[slot]?.onEvents(events);
      });
    } finally {
      flushQueue.leave();
    }
  }
}
