import { closeSync } from 'node:fs';
import { MapElements } from './bpf.ts';
import { mapMemory, pageBytes } from './memory-map.ts';
import { NoticeRing } from './notice-ring.ts';
import { NOTICE_RING_BYTES, SESSIONS_PER_SET } from './splice-maps.ts';
import type { TcpFacts } from './tcp-facts.ts';
import { DIRECTION, type VerdictMaps } from './verdict-program.ts';

const WORDS = DIRECTION.size / 4;
const word = (offset: number): number => offset / 4;

/** Puts a socket into the map of sockets. @returns undefined, or the name of the error. */
export type InsertSocket = (slot: number, fd: number) => string | undefined;

/** The proxy's side of one set of maps: which slot is whose, and the counters that it shares with the program. */
export class SpliceSet {
  readonly ring: NoticeRing;
  private readonly slots: MapElements;
  private readonly insert: InsertSocket;
  private readonly words: Uint32Array<ArrayBuffer>;
  private readonly free: number[] = [];
  private readonly cookies: Buffer;
  private readonly maps: VerdictMaps;

  /** @throws when the memory of the maps cannot be reached */
  constructor(maps: VerdictMaps) {
    this.maps = maps;
    const sockets = new MapElements('splice_sockets', maps.sockets, 4, 4);
    this.insert = (slot, fd) => {
      sockets.key.writeUInt32LE(slot, 0);
      sockets.value.writeUInt32LE(fd, 0);
      return sockets.update();
    };
    this.slots = new MapElements('splice_slots', maps.slots, 8, 4);
    const page = pageBytes();
    const bytes = Math.ceil((2 * SESSIONS_PER_SET * DIRECTION.size) / page) * page;
    this.words = new Uint32Array(mapMemory(maps.directions, bytes, 0, true));
    this.ring = new NoticeRing(maps.notices, NOTICE_RING_BYTES);
    for (let slot = 2 * (SESSIONS_PER_SET - 1); slot >= 0; slot -= 2) this.free.push(slot);
    this.cookies = Buffer.alloc(2 * SESSIONS_PER_SET * 8);
  }

  /** Ends the program. The memory that is shared with it stays until the process ends. */
  close(): void {
    const { slots, sockets, directions, notices } = this.maps;
    for (const fd of [slots, sockets, directions, notices]) closeSync(fd);
  }

  get isFull(): boolean {
    return this.free.length === 0;
  }

  /**
   * The first of two neighbouring slots. Until they get limits, the program leaves everything to the proxy.
   */
  acquire(): number {
    const slot = this.free.pop() as number;
    this.words.fill(0, slot * WORDS, (slot + 2) * WORDS);
    return slot;
  }

  /** Gives both slots back, when both sockets are closed. */
  release(slot: number): void {
    this.forget(slot);
    this.forget(slot + 1);
    this.free.push(slot);
  }

  /** Puts a socket into its slot; the program sees its packets from then on. @returns undefined, or an error's name */
  put(slot: number, fd: number, facts: TcpFacts): string | undefined {
    const cookie = facts.cookie(fd);
    if (cookie === undefined) return 'ENOTSOCK';
    cookie.copy(this.slots.key);
    cookie.copy(this.cookies, slot * 8);
    this.slots.value.writeUInt32LE(slot, 0);
    const problem = this.slots.update() ?? this.insert(slot, fd);
    if (problem !== undefined) this.forget(slot);
    return problem;
  }

  private forget(slot: number): void {
    const at = slot * 8;
    if (this.cookies.readBigUInt64LE(at) === 0n) return;
    this.cookies.copy(this.slots.key, 0, at, at + 8);
    this.cookies.fill(0, at, at + 8);
    this.slots.remove();
  }

  redirectedBytes(slot: number): number {
    const at = slot * WORDS + word(DIRECTION.redirectedBytes);
    for (;;) {
      const high = Atomics.load(this.words, at + 1);
      const low = Atomics.load(this.words, at);
      if (high === Atomics.load(this.words, at + 1)) return high * 2 ** 32 + low;
    }
  }

  /** CLOCK_MONOTONIC in milliseconds when bytes last came, 0 for never. */
  lastBytesMs(slot: number): number {
    const at = slot * WORDS + word(DIRECTION.lastBytesNs);
    for (;;) {
      const high = Atomics.load(this.words, at + 1);
      const low = Atomics.load(this.words, at);
      if (high === Atomics.load(this.words, at + 1)) return (high * 2 ** 32 + low) / 1e6;
    }
  }

  redirectedPackets(slot: number): number {
    return this.get(slot, DIRECTION.redirectedPackets);
  }

  passedBytes(slot: number): number {
    return this.get(slot, DIRECTION.passedBytes);
  }

  setTakenBytes(slot: number, bytes: number): void {
    this.set(slot, DIRECTION.takenBytes, bytes);
  }

  /** How far the program may go, as its counters count, and from where on it gives notice. */
  setLimits(slot: number, bytes: number, packets: number, lowBytes: number, lowPackets: number): void {
    this.set(slot, DIRECTION.lowBytes, lowBytes);
    this.set(slot, DIRECTION.lowPackets, lowPackets);
    this.set(slot, DIRECTION.limitBytes, bytes);
    this.set(slot, DIRECTION.limitPackets, packets);
  }

  /** False: the program gives a notice at the next occasion. True: none is wanted. */
  setNoticed(slot: number, noticed: boolean): void {
    this.set(slot, DIRECTION.noticed, noticed ? 1 : 0);
  }

  private get(slot: number, offset: number): number {
    return Atomics.load(this.words, slot * WORDS + word(offset));
  }

  private set(slot: number, offset: number, value: number): void {
    Atomics.store(this.words, slot * WORDS + word(offset), value);
  }
}
