import { TimerEntry, timers } from '../../network/timer.ts';
import type { Http2Stream } from './http2-stream.ts';

/** Spare streams beyond which more are left to the garbage collector. */
const MAX_SPARE = 128;
/** So many stay, however quiet a connection is. */
const MIN_SPARE = 4;
/** Spares that nobody needed for so long are let go. */
const TRIM_AFTER_MS = 5000;

/** The stream objects of a connection that wait for their next exchange: as many as it lately had at a time. */
export class SpareStreams<T extends Http2Stream> extends TimerEntry {
  private readonly spares: T[] = [];
  /** The fewest that there were since the last look: these were of no use. */
  private unused = 0;

  take(): T | undefined {
    const stream = this.spares.pop();
    if (this.spares.length < this.unused) this.unused = this.spares.length;
    return stream;
  }

  give(stream: T): void {
    const { spares } = this;
    if (spares.length >= MAX_SPARE) return;
    spares.push(stream);
    if (spares.length > MIN_SPARE && !this.started) {
      this.unused = spares.length;
      timers.start(this, TRIM_AFTER_MS);
    }
  }

  override onTimeout(): void {
    const { spares } = this;
    spares.splice(0, Math.min(this.unused, spares.length - MIN_SPARE));
    this.unused = spares.length;
    if (spares.length > MIN_SPARE) timers.start(this, TRIM_AFTER_MS);
  }

  /** The connection is over. */
  stop(): void {
    timers.cancel(this);
    this.spares.length = 0;
  }
}
