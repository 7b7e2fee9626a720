const EMPTY = Buffer.alloc(0);

/** Collects a whole body, up to a limit. */
export class BodyCollector {
  readonly maxBytes: number;
  private readonly chunks: Buffer[] = [];
  private size = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Keeps a copy; false when the body has become larger than the limit. */
  add(buffer: Buffer, start: number, end: number): boolean {
    this.size += end - start;
    if (this.size > this.maxBytes) return false;
    this.chunks.push(Buffer.from(buffer.subarray(start, end)));
    return true;
  }

  /** Keeps a copy whatever the limit. */
  keep(buffer: Buffer, start: number, end: number): void {
    this.size += end - start;
    this.chunks.push(Buffer.from(buffer.subarray(start, end)));
  }

  /** What was collected so far, in one piece. */
  peek(): Buffer {
    if (this.chunks.length > 1) this.chunks.splice(0, this.chunks.length, Buffer.concat(this.chunks, this.size));
    return this.chunks[0] ?? EMPTY;
  }
}
