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
  private readonly waiting: Flushable[] = [];
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
      if (this.waiting.length > 0) this.run();
    } finally {
      setInEvent(false);
    }
  }

  add(flushable: Flushable): void {
    this.waiting.push(flushable);
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
      // A flush may add others: the length is read again each time.
      while (done < waiting.length) (waiting[done++] as Flushable).flush();
      waiting.length = 0;
    } finally {
      // One threw: the others leave all the same, a moment later.
      if (waiting.length > 0) {
        waiting.splice(0, done);
        this.schedule();
      }
    }
  }
}

export const flushQueue = new FlushQueue();
