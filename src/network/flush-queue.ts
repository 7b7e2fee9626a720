import { setInEvent } from './clock.ts';

/** Something that holds bytes back until the end of the event, so that a head leaves with the first bytes of its body. */
export interface Flushable {
  flush(): void;
}

/**
 * What must be written at the end of the current event. Outside an event, a flush runs in a microtask.
 * One per thread.
 */
class FlushQueue {
  private depth = 0;
  /** The first `count` places are in use. Giving the array a new length would cost more than a write's bookkeeping. */
  private readonly waiting: (Flushable | undefined)[] = [];
  private count = 0;
  private scheduled = false;

  /** An event begins. */
  enter(): void {
    if (this.depth++ === 0) setInEvent(true);
  }

  /** The event is over: writes what was held back. */
  leave(): void {
    this.depth--;
    if (this.depth > 0) return;
    try {
      if (this.count > 0) this.run();
    } finally {
      setInEvent(false);
    }
  }

  add(flushable: Flushable): void {
    this.waiting[this.count++] = flushable;
    if (this.depth === 0) this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(this.runScheduled);
  }

  private readonly runScheduled = (): void => {
    this.scheduled = false;
    if (this.depth === 0) this.run();
  };

  private run(): void {
    const { waiting } = this;
    let done = 0;
    try {
      // A flush may add others: the count is read again each time.
      while (done < this.count) {
        const flushable = waiting[done] as Flushable;
        waiting[done++] = undefined;
        flushable.flush();
      }
      this.count = 0;
    } finally {
      // One threw: the others leave all the same, a moment later.
      if (this.count > 0) {
        waiting.copyWithin(0, done, this.count);
        waiting.fill(undefined, this.count - done, this.count);
        this.count -= done;
        this.schedule();
      }
    }
  }
}

export const flushQueue = new FlushQueue();
