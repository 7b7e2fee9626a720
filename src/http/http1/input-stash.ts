/** Bytes that were read but cannot be used yet: half a head, a pipelined request, a body that is paused. */
export class InputStash {
  private buffer: Buffer | undefined;
  private begin = 0;
  private end = 0;

  get length(): number {
    return this.end - this.begin;
  }

  /** Keeps a copy of `source[start, stop)` behind what is kept already. */
  append(source: Buffer, start: number, stop: number): void {
    const added = stop - start;
    if (added === 0) return;
    const needed = this.length + added;
    if (this.buffer === undefined || this.begin + needed > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed * 2, 1024));
      this.buffer?.copy(grown, 0, this.begin, this.end);
      this.end = this.length;
      this.begin = 0;
      this.buffer = grown;
    }
    source.copy(this.buffer, this.end, start, stop);
    this.end += added;
  }

  /** Takes everything out; the bytes lie in `buffer[start, end)` of the result. */
  take(): { buffer: Buffer; start: number; end: number } | undefined {
    if (this.buffer === undefined) return undefined;
    const taken = { buffer: this.buffer, start: this.begin, end: this.end };
    this.buffer = undefined;
    this.begin = 0;
    this.end = 0;
    return taken;
  }
}
