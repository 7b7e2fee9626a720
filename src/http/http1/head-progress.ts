const LF = 10;
const CR = 13;

/**
 * Tells when the part of a head (or trailer section) that has come is worth parsing again: when its empty line may
 * have come, when it is too large, or when it has doubled. The parser begins at the first byte each time, so a head
 * that comes byte by byte still costs linear time.
 */
export class HeadProgress {
  private readonly maxBytes: number;
  private scanned = 0;
  private parsed = 0;
  private lines = 0;
  private lineBytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** A new head begins. */
  begin(): void {
    this.scanned = 0;
    this.parsed = 0;
    this.lines = 0;
    this.lineBytes = 0;
  }

  /** Whether `buffer[start, end)`, all of the head so far, should be parsed now. True for the first part. */
  ready(buffer: Buffer, start: number, end: number): boolean {
    const length = end - start;
    let ready = length >= this.parsed * 2 || length > this.maxBytes;
    for (let i = start + this.scanned; i < end; i++) {
      const byte = buffer[i];
      if (byte === LF) {
        // The first line can be wrong by itself, an empty one ends the head.
        if (this.lines === 0 || this.lineBytes === 0) ready = true;
        this.lines++;
        this.lineBytes = 0;
      } else if (byte !== CR) {
        this.lineBytes++;
      }
    }
    this.scanned = length;
    if (ready) this.parsed = length;
    return ready;
  }
}
