const EMPTY = Buffer.alloc(0);

/**
 * Bytes that were read but cannot be used yet: half a head, a pipelined request, a body that is paused. They are used
 * where they lie, so that many small pieces cost what their sum does.
 */
export class InputStash {
  /** The bytes are `buffer[begin, end)`. */
  buffer: Buffer = EMPTY;
  begin = 0;
  end = 0;

  get length(): number {
    return this.end - this.begin;
  }

  /** Keeps a copy of `source[start, stop)` behind what is kept already. */
  append(source: Buffer, start: number, stop: number): void {
    const added = stop - start;
    if (added <= 0) return;
    if (this.end + added > this.buffer.length) this.makeRoom(this.length + added);
    source.copy(this.buffer, this.end, start, stop);
    this.end += added;
  }

  /** The bytes before `offset` of the buffer are used up. */
  advance(offset: number): void {
    if (offset >= this.end) this.clear();
    else this.begin = offset;
  }

  clear(): void {
    this.buffer = EMPTY;
    this.begin = 0;
    this.end = 0;
  }

  /** Moves what is kept to the front, of a larger buffer unless half of this one would do. */
  private makeRoom(needed: number): void {
    const target = needed * 2 <= this.buffer.length ? this.buffer : Buffer.allocUnsafeSlow(Math.max(needed * 2, 1024));
    this.buffer.copy(target, 0, this.begin, this.end);
    this.end = this.length;
    this.begin = 0;
    this.buffer = target;
  }
}
