import { NO_ENTRY, type TableEntry } from './static-table.ts';

const FIRST_CAPACITY = 16;

/** The dynamic table of a decoder (RFC 7541 §2.3.2): a ring of entries that grows with what is in it. */
export class DecoderTable {
  /** Entries in the table. */
  count = 0;
  /** Sum of the entries' sizes (RFC 7541 §4.1). */
  bytes = 0;
  maxBytes: number;
  /** A power of two long; places not in use hold `NO_ENTRY`. */
  private ring: TableEntry[] = [];
  /** Where the next entry goes. */
  private next = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** The entry that was inserted `age` entries before the newest one, `NO_ENTRY` when there is none. */
  get(age: number): TableEntry {
    if (age >= this.count) return NO_ENTRY;
    return this.ring[(this.next - 1 - age) & (this.ring.length - 1)] as TableEntry;
  }

  /** Inserts an entry after evicting what it needs the room of; one larger than the table empties it (RFC 7541 §4.4). */
  insert(entry: TableEntry): void {
    this.evict(this.maxBytes - entry.bytes);
    if (entry.bytes > this.maxBytes) return;
    if (this.count === this.ring.length) this.grow();
    this.ring[this.next] = entry;
    this.next = (this.next + 1) & (this.ring.length - 1);
    this.count++;
    this.bytes += entry.bytes;
  }

  /** Changes the maximum size, as a dynamic table size update does (RFC 7541 §4.3). */
  resize(maxBytes: number): void {
    this.maxBytes = maxBytes;
    this.evict(maxBytes);
  }

  private evict(maxBytes: number): void {
    while (this.bytes > maxBytes && this.count > 0) {
      const oldest = (this.next - this.count) & (this.ring.length - 1);
      this.bytes -= (this.ring[oldest] as TableEntry).bytes;
      this.ring[oldest] = NO_ENTRY;
      this.count--;
    }
  }

  private grow(): void {
    const ring: TableEntry[] = [];
    for (let age = this.count - 1; age >= 0; age--) ring.push(this.get(age));
    const capacity = Math.max(FIRST_CAPACITY, this.ring.length * 2);
    while (ring.length < capacity) ring.push(NO_ENTRY);
    this.next = this.count;
    this.ring = ring;
  }
}
