import type { Gap, Meter } from './meter.ts';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What the beginning and the end of events and rows are told by. */
export interface EventClock {
  /** CPU time of this thread in milliseconds; undefined where the system does not tell it. */
  readonly cpuMs: (() => number) | undefined;
  /** How often the event loop went round. */
  readonly turns: () => number;
  /** What reading the wall's clock takes, as two readings one after the other show it, milliseconds. */
  readMs: number;
  /** The same of `cpuMs`, which is a system call. */
  readCpuMs: number;
}

/**
 * Events are timed in rows: the first ones find the probe's own code in no cache, and do not count. Rows are short. Being
 * timed takes time, in which more comes in: where many streams share a connection, events would get twice as large within
 * twenty. And the CPU's clock is read at the ends of a row alone: a system call at the ends of each event makes what
 * comes after it slower, and the system calls of the proxy faster.
 */
const ROW_EVENTS = 6;
const SKIPPED_EVENTS = 2;
/** One row in so many is timed as a whole only: what its events take is what events take whose parts nobody times. */
const PLAIN_ROW = 2;
/**
 * So many first events are forgotten, of which some are timed. V8 compiles what it has seen run: code that it made of untimed
 * events alone is thrown away when it meets a timed one, and what it made of timed ones alone has no room left for the
 * proxy's own methods, since it puts those together that are called most often: less than one call in seven is too few.
 */
const WARM_UP_EVENTS = 4000;
const WARM_UP_EVERY = 8;
/**
 * When a thread was off the processor for longer than it waited in polls, somebody else had it: switching to them and back
 * takes more than this, whatever they did.
 */
const DISTURBED_MS = 0.002;
/**
 * What takes so long between two events is no read: it is a garbage collection, a compilation, a page of the admin server.
 * One of them in a few thousand events would be most of what is told of reading.
 */
const LONGEST_GAP_MS = 1;

/** Sums of events that were timed as a whole only, and of the CPU time that led to them. */
export class PlainSums {
  events = 0;
  eventMs = 0;
  gaps = 0;
  gapMs = 0;
}

/** Rows whose events are taken apart, those that are timed as a whole only, or each in turn. */
type RowKinds = 'both' | 'timed' | 'plain';

/** An event of a row, and what led to it. Times are of the wall's clock. */
class RowEvent {
  /** End of the event before; NaN where nobody looked. */
  armMs = 0;
  startMs = 0;
  endMs = 0;
  /** Whether the event counts. */
  counts = false;
  /** In rows that are taken apart. */
  route = '';
  bytes = 0;
}

/**
 * Chooses the events that are timed. An event is what the event loop calls the proxy for: bytes that came, a write that
 * is done, a timer. Rows lie at random distances, or a rhythm of the traffic could meet the same kind each time.
 */
export class EventSampler {
  private readonly meter: Meter;
  private readonly clock: EventClock;
  private readonly every: number;
  private readonly onGap: (route: string, gap: Gap) => void;
  private readonly onWarm: () => void;
  private readonly kinds: RowKinds;
  /** Held here, since the global is a getter of Node's. */
  private readonly wall = performance;
  private depth = 0;
  /** Untimed events before the next timed one, plus one. */
  private countdown = 1;
  /** Timed events to come in this row. */
  private left = ROW_EVENTS;
  private rows = 0;
  private isPlain = false;
  private seed = 0x9e3779b9;
  private warmUp = WARM_UP_EVENTS;
  /** Events that were chosen from. */
  events = 0;
  plain = new PlainSums();
  /** Of `events`, those in rows. */
  rowEvents = 0;
  /** Events of rows that do not count, since somebody else had the processor, or something else ran between. */
  disturbed = 0;
  private isRunning = false;
  private isArmed = false;
  private armMs = 0;
  private rowTurn = 0;
  private rowStartMs = 0;
  private rowStartCpuMs = 0;
  private readonly row = Array.from({ length: ROW_EVENTS }, () => new RowEvent());
  private readonly gap: Gap = { ms: 0, polled: false, bytes: 0 };
  stopped = false;

  /**
   * @param every - one event in so many is timed
   * @param onGap - what led to an event that counts
   * @param onWarm - what was timed before is to be forgotten
   * @param kinds - one of the two alone is for calibration
   */
  constructor(
    meter: Meter,
    clock: EventClock,
    every: number,
    onGap: (route: string, gap: Gap) => void,
    onWarm: () => void,
    kinds: RowKinds = 'both',
  ) {
    this.meter = meter;
    this.clock = clock;
    this.every = every;
    this.onGap = onGap;
    this.onWarm = onWarm;
    this.kinds = kinds;
    this.isPlain = kinds === 'plain';
  }

  get isWarm(): boolean {
    return this.warmUp <= 0;
  }

  /** An event begins, or something within one. */
  enter(): void {
    if (this.depth++ > 0) return;
    if (--this.countdown > 0) return;
    if (!this.stopped) this.begin();
  }

  leave(): void {
    if (--this.depth > 0) return;
    if (this.isRunning) this.end();
    if (this.countdown === 1 && this.left === ROW_EVENTS && !this.stopped) this.arm();
  }

  private begin(): void {
    if (this.left === ROW_EVENTS && !this.isArmed) this.beginRow();
    const event = this.row[ROW_EVENTS - this.left] as RowEvent;
    this.isRunning = true;
    event.armMs = this.isArmed ? this.armMs : Number.NaN;
    event.counts = this.left <= ROW_EVENTS - SKIPPED_EVENTS || this.every === 1;
    event.startMs = this.isPlain ? this.wall.now() : this.meter.beginEvent(event.counts);
  }

  /** As little as can be: what is done here lies between two events, and what the thread does next finds it in the caches. */
  private end(): void {
    const event = this.row[ROW_EVENTS - this.left] as RowEvent;
    if (this.isPlain) {
      event.endMs = this.wall.now();
      this.armMs = event.endMs;
    } else {
      event.endMs = this.meter.stopClock();
      event.route = this.meter.endEvent();
      event.bytes = this.meter.bytes;
      this.armMs = this.wall.now();
    }
    this.isRunning = false;
    this.isArmed = true;
    this.events++;
    this.rowEvents++;
    this.countdown = 1;
    if (--this.left === 0) this.endRow();
  }

  private beginRow(): void {
    const { cpuMs, turns } = this.clock;
    if (cpuMs !== undefined) {
      this.rowTurn = turns();
      this.rowStartCpuMs = cpuMs();
    }
    this.rowStartMs = this.wall.now();
  }

  /** The next event begins a row: from here on the time counts that leads to it. */
  private arm(): void {
    this.beginRow();
    this.isArmed = true;
    this.armMs = this.rowStartMs;
  }

  /**
   * Counts the row that is over, unless somebody else had the processor in it. The thread waits in polls alone: by as much
   * as it was off the processor, they are shorter.
   */
  private countRow(): void {
    const { cpuMs, turns, readMs, readCpuMs } = this.clock;
    let waitedMs = 0;
    let polledMs = 0;
    let longestMs = 0;
    let shortestPolledMs = Number.POSITIVE_INFINITY;
    if (cpuMs !== undefined) {
      const rowMs = this.wall.now() - this.rowStartMs;
      waitedMs = rowMs - (cpuMs() - this.rowStartCpuMs - readCpuMs - readMs);
      const gapsMs = this.row.map(({ armMs, startMs }) => startMs - armMs).filter((ms) => !Number.isNaN(ms));
      // The event loop was asked at the ends of the row only: the longest gaps are those in which it went round.
      gapsMs.sort((a, b) => b - a);
      const polled = gapsMs.slice(0, turns() - this.rowTurn);
      for (const ms of polled) polledMs += ms;
      shortestPolledMs = polled.at(-1) ?? shortestPolledMs;
      longestMs = Math.max(polledMs - waitedMs, gapsMs[polled.length] ?? 0);
    }
    const isTooLong = longestMs > LONGEST_GAP_MS && this.every > 1;
    if (waitedMs > polledMs + DISTURBED_MS || isTooLong) {
      this.disturbed += this.row.filter(({ counts }) => counts).length;
      this.meter.drop();
      return;
    }
    if (!this.isPlain) this.meter.keep();
    const polledShare = polledMs === 0 ? 0 : Math.min(1, Math.max(0, (polledMs - waitedMs) / polledMs));
    const { plain, gap } = this;
    for (const { counts, armMs, startMs, endMs, route, bytes } of this.row) {
      if (!counts) continue;
      if (this.isPlain) {
        plain.events++;
        plain.eventMs += endMs - startMs - readMs;
      }
      if (Number.isNaN(armMs) || cpuMs === undefined) continue;
      gap.polled = startMs - armMs >= shortestPolledMs;
      gap.ms = (startMs - armMs) * (gap.polled ? polledShare : 1) - readMs;
      gap.bytes = bytes;
      if (this.isPlain) {
        plain.gaps++;
        plain.gapMs += gap.ms;
      } else this.onGap(route, gap);
    }
  }

  private endRow(): void {
    this.countRow();
    this.isArmed = false;
    this.left = ROW_EVENTS;
    const isWarmingUp = this.warmUp > 0;
    const pause = this.draw(isWarmingUp ? Math.min(this.every, WARM_UP_EVERY) : this.every);
    this.countdown = pause + 1;
    if (isWarmingUp) {
      this.warmUp -= ROW_EVENTS + pause;
      if (this.warmUp > 0) return;
      this.events = 0;
      this.rowEvents = 0;
      this.disturbed = 0;
      this.plain = new PlainSums();
      this.onWarm();
    }
    this.events += pause;
    if (this.kinds === 'both') this.isPlain = this.clock.cpuMs !== undefined && ++this.rows % PLAIN_ROW === 0;
  }

  /** Length of the pause between two rows: uniform, so that one event in `every` is timed on average. */
  private draw(every: number): number {
    const mean = ROW_EVENTS * (every - 1);
    let { seed } = this;
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    this.seed = seed;
    return (seed >>> 0) % (2 * mean + 1);
  }
}

/** What the event loop calls by itself. */
export function asEvent(sampler: EventSampler, method: Method): Method {
  return function (this: unknown, ...args) {
    sampler.enter();
    try {
      return method.apply(this, args);
    } finally {
      sampler.leave();
    }
  };
}
