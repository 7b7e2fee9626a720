const PREFIX_BYTES = 5;

/** Counts gRPC messages in a body that comes in any chunks (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export class MessageCounter {
  /** Messages that have begun. */
  count = 0;
  /** Bytes of the prefix that came: a flag and four bytes of length. */
  private prefixBytes = 0;
  private length = 0;

  /** Messages that began in this chunk. */
  add(chunk: Uint8Array): number {
    const before = this.count;
    let at = 0;
    while (at < chunk.length) {
      if (this.prefixBytes === PREFIX_BYTES) {
        const step = Math.min(this.length, chunk.length - at);
        at += step;
        this.length -= step;
        if (this.length === 0) this.prefixBytes = 0;
        continue;
      }
      const byte = chunk[at++] as number;
      if (this.prefixBytes === 0) {
        this.count++;
        this.length = 0;
      } else this.length = this.length * 256 + byte;
      this.prefixBytes++;
      if (this.prefixBytes === PREFIX_BYTES && this.length === 0) this.prefixBytes = 0;
    }
    return this.count - before;
  }
}
