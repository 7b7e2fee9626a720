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
    this.depth++;
  }

  /** The event is over: writes what was held back. */
  leave(): void {
    this.depth--;
    if (this.depth === 0 && this.waiting.length > 0) this.run();
  }

  add(flushable: Flushable): void {
    this.waiting.push(flushable);
    if (this.depth === 0 && !this.scheduled) {
      this.scheduled = true;
      queueMicrotask(this.runScheduled);
    }
  }

  private readonly runScheduled = (): void => {
    this.scheduled = false;
    if (this.depth === 0) this.run();
  };

  private run(): void {
    // A flush may add others: the length is read again each time.
    for (let i = 0; i < this.waiting.length; i++) (this.waiting[i] as Flushable).flush();
    this.waiting.length = 0;
  }
}

export const flushQueue = new FlushQueue();
