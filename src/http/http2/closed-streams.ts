/** Closed streams that are remembered: more than a round trip's worth of them. */
const REMEMBERED = 1024;

/** The streams of a connection that were closed last, and how: late frames of them mean different things (RFC 9113 §5.1). */
export class ClosedStreams {
  private readonly ids = new Int32Array(REMEMBERED);
  private readonly byUs = new Uint8Array(REMEMBERED);

  add(streamId: number, resetByUs: boolean): void {
    const slot = (streamId >>> 1) % REMEMBERED;
    this.ids[slot] = streamId;
    this.byUs[slot] = resetByUs ? 1 : 0;
  }

  /** It was open once, and not long ago. */
  has(streamId: number): boolean {
    return this.ids[(streamId >>> 1) % REMEMBERED] === streamId;
  }

  /**
   * Late frames of it are ignored: we reset it, and the peer sent them before it knew; or it ended so long ago that
   * nobody remembers how.
   */
  ignores(streamId: number): boolean {
    const slot = (streamId >>> 1) % REMEMBERED;
    const id = this.ids[slot] as number;
    return id === streamId ? this.byUs[slot] === 1 : id > streamId;
  }
}
