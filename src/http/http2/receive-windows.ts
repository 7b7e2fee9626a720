import type { FrameOutput } from './frame-output.ts';
import type { Http2Options } from './options.ts';
import { DEFAULT_WINDOW_BYTES, SETTING } from './protocol.ts';
import { WindowGrowth } from './window-growth.ts';

/** Payload of the PINGs that measure a round trip. */
const PING = Buffer.from('outgrow\0', 'latin1');

/**
 * What the peer may send (RFC 9113 §6.9): on the whole connection, and on each stream, of which only the size is kept
 * here. Both grow with what arrives during a round trip.
 */
export class ReceiveWindows {
  /** The size of a stream's window, as our SETTINGS said it last. */
  streamBytes: number;
  private readonly output: FrameOutput;
  private readonly growth: WindowGrowth;
  /** Of the connection: bytes that the peer may send now, and that it may have under way. */
  private left = DEFAULT_WINDOW_BYTES;
  private size = DEFAULT_WINDOW_BYTES;
  /** Bytes that were used up, and that the peer has not been told of. */
  private uncredited = 0;

  constructor(output: FrameOutput, options: Http2Options) {
    this.output = output;
    this.growth = new WindowGrowth(options.maxStreamWindowBytes, options.maxConnectionWindowBytes);
    this.streamBytes = this.growth.streamWindowBytes;
  }

  /** Opens the connection's window to its first size, which SETTINGS cannot do. */
  open(): void {
    this.growConnection();
  }

  /** A DATA frame came. False: more than the peer might send. */
  take(bytes: number): boolean {
    this.left -= bytes;
    if (this.left < 0) return false;
    if (bytes > 0 && this.growth.onBytes(bytes)) this.output.ping(false, PING, 0);
    // What streams that wait hold back must not keep the others from coming, for they may be what those wait for.
    if (this.left * 4 < this.size && this.growth.growConnection()) this.growConnection();
    return true;
  }

  /** Bytes were used up: the peer may send as many more, and hears so when they are worth a frame. */
  credit(bytes: number): void {
    this.uncredited += bytes;
    if (this.uncredited * 2 < this.size) return;
    this.output.windowUpdate(0, this.uncredited);
    this.left += this.uncredited;
    this.uncredited = 0;
  }

  /** Whether the answer to a PING, `buffer[start, start + 8)`, is the one that ends a round trip. */
  isAnswer(buffer: Buffer, start: number): boolean {
    return PING.compare(buffer, start, start + 8) === 0;
  }

  /** A round trip is over. Returns by how much the windows of streams have grown. */
  onRoundTrip(): number {
    if (!this.growth.onRoundTrip()) return 0;
    this.growConnection();
    const change = this.growth.streamWindowBytes - this.streamBytes;
    if (change === 0) return 0;
    this.streamBytes += change;
    this.output.settings([[SETTING.INITIAL_WINDOW_SIZE, this.streamBytes]]);
    return change;
  }

  private growConnection(): void {
    const increment = this.growth.connectionWindowBytes - this.size;
    if (increment <= 0) return;
    this.size += increment;
    this.left += increment;
    this.output.windowUpdate(0, increment);
  }
}
