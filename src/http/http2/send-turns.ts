import type { Http2Stream } from './http2-stream.ts';

/** Entries behind which the used-up part of the queue is cut off. */
const MAX_USED = 256;

/** The streams of a connection that wait to send: each sends a frame, then the next one has its turn. */
export class SendTurns {
  private readonly queue: Http2Stream[] = [];
  /** Those before it have had their turn. */
  private from = 0;

  get isEmpty(): boolean {
    return this.from === this.queue.length;
  }

  /** The stream has bytes that wait. Nothing happens while its own window is closed. */
  add(stream: Http2Stream): void {
    if (stream.scheduled || stream.sendWindow <= 0) return;
    stream.scheduled = true;
    this.queue.push(stream);
  }

  /** The next stream sends one frame. */
  next(): void {
    const stream = this.queue[this.from++] as Http2Stream;
    // Before its turn: what it sends may bring it more to send.
    stream.scheduled = false;
    if (stream.open && stream.pump()) this.add(stream);
    if (this.isEmpty || this.from > MAX_USED) {
      this.queue.splice(0, this.from);
      this.from = 0;
    }
  }
}
