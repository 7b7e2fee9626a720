import type { Flushable } from './flush-queue.ts';

/**
 * What is written once per turn of the event loop, when every socket that had something to say was read: the frames of
 * many streams then leave in one write. One per thread.
 */
class TurnQueue {
  /** The first `count` places are in use. */
  private waiting: (Flushable | undefined)[] = [];
  private count = 0;
  private running: (Flushable | undefined)[] = [];

  /** `flushable.flush` is called at the end of this turn; it is the caller's to add itself once only. */
  add(flushable: Flushable): void {
    if (this.count === 0) setImmediate(this.run);
    this.waiting[this.count++] = flushable;
  }

  private readonly run = (): void => {
    const { waiting, count } = this;
    this.waiting = this.running;
    this.running = waiting;
    this.count = 0;
    let done = 0;
    try {
      while (done < count) {
        const flushable = waiting[done] as Flushable;
        waiting[done++] = undefined;
        flushable.flush();
      }
    } finally {
      // One threw: the others leave all the same.
      for (; done < count; done++) {
        this.add(waiting[done] as Flushable);
        waiting[done] = undefined;
      }
    }
  };
}

export const turnQueue = new TurnQueue();
