/** Time that one filter took in the sampled streams. Hooks that wait for a promise count until they settle or not at all, as the runner decides. */
export class FilterTimer {
  readonly chain: string;
  readonly filter: string;
  /** Streams sampled. */
  count = 0;
  totalMs = 0;

  constructor(chain: string, filter: string) {
    this.chain = chain;
    this.filter = filter;
  }

  /** Adds what a filter's hooks took in one stream; `elapsedMs` is a difference of `performance.now()`. */
  add(elapsedMs: number): void {
    this.count++;
    this.totalMs += elapsedMs;
  }
}

/** Mean time of a filter per stream, for the admin page. */
export interface FilterTime {
  readonly chain: string;
  readonly filter: string;
  readonly samples: number;
  readonly meanNs: number;
}

/**
 * Decides which streams are timed (one in `every`) and keeps the timers of all filter chains in one thread. Off
 * (`every` 0) it costs one comparison per stream.
 */
export class Probe {
  readonly every: number;
  readonly #timers = new Map<string, FilterTimer>();
  #countdown: number;

  constructor(every: number) {
    this.every = every;
    this.#countdown = every;
  }

  /** Whether the next stream is timed. Ask once per stream. */
  sample(): boolean {
    if (this.every === 0 || --this.#countdown > 0) return false;
    this.#countdown = this.every;
    return true;
  }

  /** The timer of a filter; the same after a reload, so that figures go on. `chain` names listener or route table. */
  timer(chain: string, filter: string): FilterTimer {
    const key = `${chain}\n${filter}`;
    let timer = this.#timers.get(key);
    if (timer === undefined) {
      timer = new FilterTimer(chain, filter);
      this.#timers.set(key, timer);
    }
    return timer;
  }

  /** Forgets filters that a new configuration no longer has. */
  retain(isUsed: (timer: FilterTimer) => boolean): void {
    for (const [key, timer] of this.#timers) if (!isUsed(timer)) this.#timers.delete(key);
  }

  /** Means of all filters, in the order of their creation, which is the order of the chains. */
  times(): FilterTime[] {
    return [...this.#timers.values()].map(({ chain, filter, count, totalMs }) => ({
      chain,
      filter,
      samples: count,
      meanNs: count === 0 ? 0 : Math.round((totalMs * 1e6) / count),
    }));
  }
}

/** One list from those of several threads: samples added up, means weighted by them. */
export function mergeTimes(lists: readonly (readonly FilterTime[])[]): FilterTime[] {
  const merged = new Map<string, FilterTime>();
  for (const time of lists.flat()) {
    const key = `${time.chain}\n${time.filter}`;
    const before = merged.get(key);
    const samples = (before?.samples ?? 0) + time.samples;
    const totalNs = (before?.meanNs ?? 0) * (before?.samples ?? 0) + time.meanNs * time.samples;
    merged.set(key, { ...time, samples, meanNs: samples === 0 ? 0 : Math.round(totalNs / samples) });
  }
  return [...merged.values()];
}
