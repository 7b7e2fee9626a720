import type { Gap, Meter } from './meter.ts';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What the beginning and the end of an event are told by. */
export interface EventClock {
  /** CPU time of this thread in milliseconds; undefined where the system does not tell it. */
  readonly cpuMs: (() => number) | undefined;
  /** How often the event loop went round. */
  readonly turns: () => number;
  /** CPU time between the end of one event and the beginning of the next that the probe itself causes, milliseconds. */
  gapCostMs: number;
}

/**
 * Events are timed in rows. What runs once in a hundred times is in no cache: an event that is timed alone takes three
 * times as long as its neighbours, and shows the cost of being timed. The first ones of a row warm up and do not count.
 */
const ROW_EVENTS = 24;
const SKIPPED_EVENTS = 8;
/** One row in so many is timed as a whole only: what its events take is what events take whose parts nobody times. */
const PLAIN_ROW = 2;
/**
 * So many first events are timed and forgotten. V8 compiles what it has seen run: code that it made of untimed events
 * alone is thrown away when it meets a timed one, which would then be the slower for it.
 */
const WARM_UP_EVENTS = 4000;

/** Sums of events that were timed as a whole only, and of the CPU time that led to them. */
export interface PlainSums {
  events: number;
  cpuMs: number;
  gaps: number;
  gapMs: number;
}

/**
 * Chooses the events that are timed. An event is what the event loop calls the proxy for: bytes that came, a write that
 * is done, a timer. Rows lie at random distances, or a rhythm of the traffic could meet the same kind each time.
 */
export class EventSampler {
  private readonly meter: Meter;
  private readonly clock: EventClock;
  private readonly every: number;
  private readonly onWarm: () => void;
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
  readonly plain: PlainSums = { events: 0, cpuMs: 0, gaps: 0, gapMs: 0 };
  /** Of `events`, those in rows. */
  rowEvents = 0;
  private startCpuMs = 0;
  private isRunning = false;
  private counts = false;
  private isArmed = false;
  private armCpuMs = 0;
  private armTurn = 0;
  /** What led to the event that runs; the same object each time. */
  private readonly gap: Gap = { ms: 0, polled: false, bytes: 0 };
  private hasGap = false;
  stopped = false;

  /**
   * @param every - one event in so many is timed
   * @param onWarm - what was timed before is to be forgotten
   */
  constructor(meter: Meter, clock: EventClock, every: number, onWarm: () => void) {
    this.meter = meter;
    this.clock = clock;
    this.every = every;
    this.onWarm = onWarm;
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
    if (this.countdown === 1 && !this.stopped) this.arm();
  }

  private begin(): void {
    const { cpuMs } = this.clock;
    this.counts = this.left <= ROW_EVENTS - SKIPPED_EVENTS || this.every === 1;
    this.isRunning = true;
    if (cpuMs !== undefined) this.startCpuMs = cpuMs();
    if (!this.isPlain) this.meter.beginEvent(this.counts);
  }

  private end(): void {
    const { cpuMs, turns, gapCostMs } = this.clock;
    if (!this.isPlain) this.meter.stopClock();
    const takenMs = cpuMs === undefined ? undefined : cpuMs() - this.startCpuMs;
    this.isRunning = false;
    // The event loop does not go round within an event: the number is that of its beginning too.
    const turn = cpuMs === undefined ? 0 : turns();
    this.hasGap = this.isArmed;
    if (this.isArmed) {
      this.gap.ms = this.startCpuMs - this.armCpuMs - gapCostMs;
      this.gap.polled = turn !== this.armTurn;
    }
    this.isArmed = false;
    this.armTurn = turn;
    if (!this.isPlain) this.meter.endEvent(takenMs, this.hasGap ? this.gap : undefined);
    else if (takenMs !== undefined && this.counts) this.addPlain(takenMs - gapCostMs);
    this.events++;
    this.rowEvents++;
    this.countdown = 1;
    if (--this.left === 0) this.endRow();
  }

  private addPlain(takenMs: number): void {
    const { plain } = this;
    // Reading the clock takes as long here as between two events.
    plain.cpuMs += takenMs;
    plain.events++;
    if (!this.hasGap) return;
    plain.gapMs += this.gap.ms;
    plain.gaps++;
  }

  private endRow(): void {
    this.left = ROW_EVENTS;
    if (this.warmUp > 0) {
      this.warmUp -= ROW_EVENTS;
      if (this.warmUp > 0) return;
      this.events = 0;
      this.rowEvents = 0;
      this.onWarm();
    }
    const pause = this.draw();
    this.countdown = pause + 1;
    this.events += pause;
    this.isPlain = this.clock.cpuMs !== undefined && ++this.rows % PLAIN_ROW === 0;
  }

  /** The next event is to be timed: from here on the time counts that leads to it. */
  private arm(): void {
    const { cpuMs } = this.clock;
    if (cpuMs === undefined) return;
    if (this.left === ROW_EVENTS) this.armTurn = this.clock.turns();
    this.isArmed = true;
    this.armCpuMs = cpuMs();
  }

  /** Length of the pause between two rows: uniform, so that one event in `every` is timed on average. */
  private draw(): number {
    const mean = ROW_EVENTS * (this.every - 1);
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
