import { POLICY, type Policy, policyOf } from './indexing-policy.ts';
import { scratch } from './scratch.ts';
import { FIELD_OVERHEAD, STATIC_COUNT, STATIC_TABLE } from './static-table.ts';

const FIRST_CAPACITY = 16;
/** An entry may have this part of the table, so that no single one pushes out many. */
const MAX_SHARE = 1 / 4;
/** Of a larger table too, so that looking at a value costs little. */
const MAX_VALUE_BYTES = 4096;
/** Names that are remembered beside those in the table; when there are more, those without an entry are forgotten. */
const MAX_NAMES = 256;
/** A longer name is never remembered: many of them would take much memory. */
const MAX_NAME_CHARS = 128;
/** A power of two. */
const NEAR_SLOTS = 64;
/** Entries of a name that a value is compared with, the newest first. */
const MAX_COMPARED = 64;
/** Values of a name that are remembered, to see that one comes again. */
const RECENT_VALUES = 4;
/** Insertions in vain after which values that are indexed at first sight have to come twice. */
const MAX_WASTED = 3;
/** V8 copies a shorter part of a string, and makes a longer one a view into the whole. */
const MIN_VIEW_CHARS = 13;

/** A field of the static or of the dynamic table, as the encoder finds it. */
export class EncoderEntry {
  readonly slot: NameSlot | undefined;
  readonly value: string;
  /** 0 for a field of the dynamic table. */
  readonly staticIndex: number;
  /** Number of the insertion, from 1 on; 0 for a field of the static table. */
  readonly serial: number;
  readonly bytes: number;
  /** It was referred to since it was inserted. */
  isUsed = false;

  constructor(slot: NameSlot | undefined, value: string, staticIndex: number, serial: number, bytes: number) {
    this.slot = slot;
    this.value = value;
    this.staticIndex = staticIndex;
    this.serial = serial;
    this.bytes = bytes;
  }
}

interface StaticName {
  /** The first index of the name. */
  readonly index: number;
  /** Its fields that have a value. */
  readonly entries: readonly EncoderEntry[];
}

const STATIC_NAMES: ReadonlyMap<string, StaticName> = staticNames();
const NOT_STATIC: StaticName = { index: 0, entries: [] };

function staticNames(): Map<string, StaticName> {
  const names = new Map<string, { index: number; entries: EncoderEntry[] }>();
  for (const [index, { name, value, bytes }] of STATIC_TABLE.entries()) {
    if (index === 0) continue;
    const known = names.get(name) ?? { index, entries: [] };
    names.set(name, known);
    if (value !== '') known.entries.push(new EncoderEntry(undefined, value, index, 0, bytes));
  }
  return names;
}

/** What one encoder knows of a name. */
export class NameSlot {
  readonly name: string;
  readonly policy: Policy;
  /** Index of the name in the static table, 0 when it is not there. */
  readonly staticIndex: number;
  readonly staticEntries: readonly EncoderEntry[];
  /** The entry that was found last: mostly the one that comes next. */
  last: EncoderEntry | undefined;
  /** The name's newest entry in the dynamic table. */
  newest: EncoderEntry | undefined;
  /** The name's entries in the dynamic table, the oldest first. A Map would have V8 intern every value it is asked for. */
  readonly entries: EncoderEntry[] = [];
  /** Entries that were evicted before anybody referred to them, less those that were of use. */
  wasted = 0;
  /** Hashes of values that came and were not indexed, in a ring. */
  private readonly recent: number[] = [];
  private nextRecent = 0;

  constructor(name: string) {
    const known = STATIC_NAMES.get(name) ?? NOT_STATIC;
    this.name = name;
    this.policy = policyOf(name);
    this.staticIndex = known.index;
    this.staticEntries = known.entries;
  }

  get isNew(): boolean {
    return this.recent.length === 0;
  }

  /** The entry with this value, in either table. */
  find(value: string): EncoderEntry | undefined {
    for (let i = 0; i < this.staticEntries.length; i++) {
      const entry = this.staticEntries[i] as EncoderEntry;
      if (entry.value === value) return entry;
    }
    const { entries } = this;
    const oldest = Math.max(0, entries.length - MAX_COMPARED);
    for (let i = entries.length - 1; i >= oldest; i--) {
      const entry = entries[i] as EncoderEntry;
      if (entry.value === value) return entry;
    }
    return undefined;
  }

  /** Remembers that the value came. True: it is one of the last few that did. */
  remember(value: string): boolean {
    const hash = hashOf(value);
    for (let i = 0; i < this.recent.length; i++) if (this.recent[i] === hash) return true;
    this.recent[this.nextRecent] = hash;
    this.nextRecent = (this.nextRecent + 1) % RECENT_VALUES;
    return false;
  }
}

/** Two values with the same hash cost one needless insertion, no more. */
function hashOf(value: string): number {
  const length = scratch.latin1Write(value, 0);
  let hash = length;
  for (let i = 0; i < length; i++) hash = (Math.imul(hash, 31) + (scratch[i] as number)) | 0;
  return hash;
}

/** A value that was cut out of the text of a head would keep all of that alive. */
function ownCopy(value: string): string {
  return value.length < MIN_VIEW_CHARS ? value : scratch.latin1Slice(0, scratch.latin1Write(value, 0));
}

/** The dynamic table of an encoder (RFC 7541 §2.3.2), with what it remembers of names to decide what enters it. */
export class EncoderTable {
  /** Sum of the entries' sizes (RFC 7541 §4.1). */
  bytes = 0;
  maxBytes: number;
  count = 0;
  /** How many entries were ever inserted: the serial of the newest. */
  private inserted = 0;
  /** A power of two long. The entry with serial n lies at n modulo that. */
  private ring: (EncoderEntry | undefined)[] = [];
  private readonly slots = new Map<string, NameSlot>();
  /** The slots that were asked for last, by a cheap hash of their names. */
  private readonly nearSlots: (NameSlot | undefined)[] = new Array(NEAR_SLOTS).fill(undefined);
  private sweepAt = MAX_NAMES;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  slotOf(name: string): NameSlot {
    const { length } = name;
    if (length === 0) return this.addSlot(name);
    const place = (length + 7 * name.charCodeAt(length - 1) + 31 * name.charCodeAt(length >> 1)) & (NEAR_SLOTS - 1);
    const near = this.nearSlots[place];
    if (near !== undefined && near.name === name) return near;
    const slot = this.slots.get(name) ?? this.addSlot(name);
    if (length <= MAX_NAME_CHARS) this.nearSlots[place] = slot;
    return slot;
  }

  /** The index of an entry that is in the table. */
  indexOf(entry: EncoderEntry): number {
    return entry.serial === 0 ? entry.staticIndex : STATIC_COUNT + 1 + this.inserted - entry.serial;
  }

  /** An index of the name, 0 when none of the tables has it. */
  nameIndexOf(slot: NameSlot): number {
    if (slot.staticIndex !== 0) return slot.staticIndex;
    if (slot.newest === undefined) return 0;
    slot.newest.isUsed = true;
    return this.indexOf(slot.newest);
  }

  /** Whether a value that is not in the table should enter it. */
  admits(slot: NameSlot, value: string): boolean {
    if (slot.name.length + value.length + FIELD_OVERHEAD > this.maxBytes * MAX_SHARE) return false;
    if (value.length > MAX_VALUE_BYTES) return false;
    if (slot.policy === POLICY.FIRST_SIGHT && slot.wasted < MAX_WASTED) return true;
    // A name that comes again is worth an entry, whatever its value: the next literals refer to it.
    const namesOnly = slot.staticIndex === 0 && slot.newest === undefined && !slot.isNew;
    if (slot.policy === POLICY.LITERAL && !slot.isNew) return namesOnly;
    return slot.remember(value) || namesOnly;
  }

  /** Inserts a field that `admits` let in. */
  insert(slot: NameSlot, received: string): void {
    const value = ownCopy(received);
    const bytes = slot.name.length + value.length + FIELD_OVERHEAD;
    this.evict(this.maxBytes - bytes);
    if (this.count === this.ring.length) this.grow();
    const entry = new EncoderEntry(slot, value, 0, ++this.inserted, bytes);
    this.ring[entry.serial & (this.ring.length - 1)] = entry;
    this.count++;
    this.bytes += bytes;
    slot.entries.push(entry);
    slot.newest = entry;
    slot.last = entry;
  }

  resize(maxBytes: number): void {
    this.maxBytes = maxBytes;
    this.evict(maxBytes);
  }

  private evict(maxBytes: number): void {
    while (this.bytes > maxBytes) {
      const place = (this.inserted - this.count + 1) & (this.ring.length - 1);
      const entry = this.ring[place] as EncoderEntry;
      const slot = entry.slot as NameSlot;
      this.ring[place] = undefined;
      this.count--;
      this.bytes -= entry.bytes;
      slot.entries.shift();
      if (slot.last === entry) slot.last = undefined;
      if (slot.newest === entry) slot.newest = undefined;
      if (!entry.isUsed) slot.wasted++;
      else if (slot.wasted > 0) slot.wasted--;
      // What was of use may come back at once.
      if (entry.isUsed) slot.remember(entry.value);
    }
  }

  private grow(): void {
    const ring: (EncoderEntry | undefined)[] = new Array(Math.max(FIRST_CAPACITY, this.ring.length * 2)).fill(
      undefined,
    );
    for (const entry of this.ring) if (entry !== undefined) ring[entry.serial & (ring.length - 1)] = entry;
    this.ring = ring;
  }

  private addSlot(name: string): NameSlot {
    if (name.length > MAX_NAME_CHARS) return new NameSlot(name);
    if (this.slots.size >= this.sweepAt) {
      for (const [known, slot] of this.slots) if (slot.newest === undefined) this.slots.delete(known);
      this.nearSlots.fill(undefined);
      this.sweepAt = Math.max(MAX_NAMES, this.slots.size * 2);
    }
    const slot = new NameSlot(name);
    this.slots.set(name, slot);
    return slot;
  }
}
