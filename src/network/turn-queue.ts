import type { Flushable } from './flush-queue.ts';

/**
 * What is written once per turn of the event loop, when every socket that had something to say was read: the frames of
 * many streams then leave in one write. One per thread.
 */
class TurnQueue {
  private waiting: Flushable[] = [];
  private running: Flushable[] = [];

  /** `flushable.flush` is called at the end of this turn; it is the caller's to add itself once only. */
  add(flushable: Flushable): void {
    if (this.waiting.length === 0) setImmediate(this.run);
    this.waiting.push(flushable);
  }

  private readonly run = (): void => {
    const { waiting } = this;
    this.waiting = this.running;
    this.running = waiting;
    let done = 0;
    try {
      while (done < waiting.length) (waiting[done++] as Flushable).flush();
    } finally {
      // One threw: the others leave all the same.
      const left = waiting.slice(done);
      waiting.length = 0;
      for (const flushable of left) this.add(flushable);
    }
  };
}

export const turnQueue = new TurnQueue();
