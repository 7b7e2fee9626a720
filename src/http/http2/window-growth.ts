/** Bytes of a first guess: what a LAN has under way at most. */
export const FIRST_STREAM_WINDOW_BYTES = 256 * 1024;
export const FIRST_CONNECTION_WINDOW_BYTES = 1024 * 1024;

/**
 * Finds out by PINGs whether the receive windows hold the sender back, and doubles them then: what arrives during a
 * round trip is at most a window, so a round trip in which most of a window arrived was limited by it.
 */
export class WindowGrowth {
  streamWindowBytes: number;
  connectionWindowBytes: number;
  private readonly maxStreamWindowBytes: number;
  private readonly maxConnectionWindowBytes: number;
  private sampling = false;
  private bytesInSample = 0;
  private bytesUntilSample = 0;

  constructor(maxStreamWindowBytes: number, maxConnectionWindowBytes: number) {
    this.maxStreamWindowBytes = maxStreamWindowBytes;
    this.maxConnectionWindowBytes = maxConnectionWindowBytes;
    this.streamWindowBytes = Math.min(FIRST_STREAM_WINDOW_BYTES, maxStreamWindowBytes);
    this.connectionWindowBytes = Math.min(FIRST_CONNECTION_WINDOW_BYTES, maxConnectionWindowBytes);
    this.bytesUntilSample = this.streamWindowBytes / 4;
  }

  /** Body bytes came. True: send a PING now, and call `onRoundTrip` with its answer. */
  onBytes(bytes: number): boolean {
    if (this.sampling) {
      this.bytesInSample += bytes;
      return false;
    }
    this.bytesUntilSample -= bytes;
    if (this.bytesUntilSample > 0 || this.isLargest) return false;
    this.sampling = true;
    this.bytesInSample = bytes;
    return true;
  }

  /** The answer is there. True when the windows have grown. */
  onRoundTrip(): boolean {
    // An answer to a question that nobody asked.
    if (!this.sampling) return false;
    this.sampling = false;
    if (this.bytesInSample < (this.streamWindowBytes * 2) / 3) {
      // Something else is the limit: look again much later.
      this.bytesUntilSample = this.streamWindowBytes * 16;
      return false;
    }
    this.streamWindowBytes = Math.min(this.streamWindowBytes * 2, this.maxStreamWindowBytes);
    this.connectionWindowBytes = Math.min(this.connectionWindowBytes * 2, this.maxConnectionWindowBytes);
    this.bytesUntilSample = this.streamWindowBytes / 4;
    return true;
  }

  /** The connection's window is used up by streams that nobody reads. False when it cannot grow. */
  growConnection(): boolean {
    if (this.connectionWindowBytes === this.maxConnectionWindowBytes) return false;
    this.connectionWindowBytes = Math.min(this.connectionWindowBytes * 2, this.maxConnectionWindowBytes);
    return true;
  }

  private get isLargest(): boolean {
    return (
      this.streamWindowBytes === this.maxStreamWindowBytes &&
      this.connectionWindowBytes === this.maxConnectionWindowBytes
    );
  }
}
