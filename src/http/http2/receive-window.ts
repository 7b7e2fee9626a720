import type { FrameOutput } from './frame-output.ts';
import { DEFAULT_WINDOW_BYTES } from './protocol.ts';

/** What the peer may send on the whole connection (RFC 9113 §6.9). */
export class ReceiveWindow {
  private readonly output: FrameOutput;
  /** Bytes that the peer may send now. */
  private left = DEFAULT_WINDOW_BYTES;
  private size = DEFAULT_WINDOW_BYTES;
  /** Bytes that were used up, and that the peer has not been told of. */
  private uncredited = 0;

  constructor(output: FrameOutput) {
    this.output = output;
  }

  /** Bytes came. False: more than the peer might send. */
  take(bytes: number): boolean {
    this.left -= bytes;
    return this.left >= 0;
  }

  /** Bytes were used up: the peer may send as many more, and hears so when they are worth a frame. */
  credit(bytes: number): void {
    this.uncredited += bytes;
    if (this.uncredited * 2 < this.size) return;
    this.output.windowUpdate(0, this.uncredited);
    this.left += this.uncredited;
    this.uncredited = 0;
  }

  growTo(size: number): void {
    const increment = size - this.size;
    if (increment <= 0) return;
    this.size = size;
    this.left += increment;
    this.output.windowUpdate(0, increment);
  }
}
