import { nowMs as eventNowMs } from './clock.ts';

/** Distinct delays that get a list of their own, exact to the millisecond; further ones are rounded up to the grid. */
const EXACT_LISTS = 64;
/** Grid for delays up to a second; above it the step grows with the delay (see `roundUpToGrid`). */
const FINE_STEP_MS = 5;
/** The longest delay, 2^31 − 1 ms (about 24 days): also the longest that `setTimeout` takes. */
export const MAX_DELAY_MS = 0x7fffffff;

/**
 * One timeout that can be started again and again. Whoever needs a timeout extends this class, makes one object per
 * connection or stream, and keeps it; starting and cancelling then allocate nothing.
 *
 * @example
 * class IdleTimeout extends TimerEntry {
 *   readonly connection: Connection;
 *   constructor(connection: Connection) { super(); this.connection = connection; }
 *   override onTimeout(): void { this.connection.closeIdle(); }
 * }
 */
export abstract class TimerEntry {
  /** Owned by `CoarseTimers`. */
  readonly node: TimerNode = new TimerNode(this);

  /** True from `start` until the entry fires or is cancelled. */
  get started(): boolean {
    return this.node.list !== undefined;
  }

  /** Called once the delay is over. The entry is no longer started then, and may be started again from here. */
  abstract onTimeout(): void;
}

/** An entry's place in a list. An object of its own, since entries are of many classes and their fields slow to find. */
class TimerNode {
  readonly entry: TimerEntry;
  /** When the entry is due, milliseconds of `performance.now()`; meaningless while it is not started. */
  deadlineMs = 0;
  /** Neighbours and list while started. */
  previous: TimerNode | undefined = undefined;
  next: TimerNode | undefined = undefined;
  list: TimerList | undefined = undefined;

  constructor(entry: TimerEntry) {
    this.entry = entry;
  }
}

/** Started entries of one delay. They are appended when started, so the list is sorted by deadline. */
class TimerList {
  readonly delayMs: number;
  /** How far the wake-up may lie behind the first deadline, so that neighbouring deadlines share one. */
  readonly slackMs: number;
  head: TimerNode | undefined = undefined;
  tail: TimerNode | undefined = undefined;

  constructor(delayMs: number) {
    this.delayMs = delayMs;
    this.slackMs = Math.min(5, delayMs / 100);
  }
}

/**
 * Timeouts for the hot path: `start` and `cancel` are O(1) and allocate nothing, and one unref'd `setTimeout` serves
 * all of them. A timeout is never early, and late by at most 1 % of its delay or 10 ms, whichever is more, plus what
 * the event loop itself is late. Entries with the same delay sit in one list; the number of lists is bounded, however
 * many different delays peers ask for.
 */
export class CoarseTimers {
  private readonly listOfDelay = new Map<number, TimerList>();
  private readonly lists: TimerList[] = [];
  private lastList: TimerList | undefined = undefined;
  private wakeUp: NodeJS.Timeout | undefined = undefined;
  private wakeUpAtMs = Number.POSITIVE_INFINITY;
  private readonly onWakeUp = (): void => this.fire();
  /** When timeouts were last delivered. No new deadline counts from before that, or a restart from a callback could be due at once, for ever. */
  private firedAtMs = 0;
  private clockMs = 0;
  private clockIsFresh = false;
  private readonly onTurnEnd = (): void => {
    this.clockIsFresh = false;
  };

  /** Milliseconds of `performance.now()` as they were at the first call in this turn of the event loop. */
  now(): number {
    if (!this.clockIsFresh) {
      this.clockMs = performance.now();
      this.clockIsFresh = true;
      setImmediate(this.onTurnEnd);
    }
    return this.clockMs;
  }

  /**
   * Starts the entry, or starts it anew when it is running.
   * @param delayMs from 1 to `MAX_DELAY_MS`; what lies outside is moved to the nearer of the two.
   * @param nowMs the time to count from, for a caller that has just read `performance.now()`.
   */
  start(entry: TimerEntry, delayMs: number, nowMs: number = eventNowMs()): void {
    const { node } = entry;
    if (node.list !== undefined) unlink(node, node.list);
    let list = this.lastList;
    if (list === undefined || list.delayMs !== delayMs) {
      list = this.listOfDelay.get(delayMs) ?? this.addList(delayMs);
      this.lastList = list;
    }
    const tail = list.tail;
    let deadlineMs = Math.max(nowMs, this.firedAtMs) + list.delayMs;
    // A caller's own clock may lie behind the last entry's; the list must stay sorted, and late is better than early.
    if (tail !== undefined && tail.deadlineMs > deadlineMs) deadlineMs = tail.deadlineMs;
    node.deadlineMs = deadlineMs;
    node.list = list;
    node.previous = tail;
    if (tail === undefined) list.head = node;
    else tail.next = node;
    list.tail = node;
    if (deadlineMs + list.slackMs < this.wakeUpAtMs) this.wakeAt(deadlineMs + list.slackMs, nowMs);
  }

  /** Stops the entry; nothing happens when it is not running. */
  cancel(entry: TimerEntry): void {
    // The wake-up stays as it is: the next entry usually needs one about then, and an idle one costs one look.
    const { node } = entry;
    if (node.list !== undefined) unlink(node, node.list);
  }

  private addList(askedDelayMs: number): TimerList {
    let delayMs = Math.min(Math.max(askedDelayMs, 1), MAX_DELAY_MS);
    if (this.lists.length >= EXACT_LISTS) delayMs = roundUpToGrid(delayMs);
    let list = this.listOfDelay.get(delayMs);
    if (list === undefined) {
      list = new TimerList(delayMs);
      this.listOfDelay.set(delayMs, list);
      this.lists.push(list);
    }
    return list;
  }

  private fire(): void {
    this.wakeUp = undefined;
    this.wakeUpAtMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    this.firedAtMs = nowMs;
    try {
      for (const list of this.lists) {
        let node = list.head;
        while (node !== undefined && node.deadlineMs <= nowMs) {
          unlink(node, list);
          node.entry.onTimeout();
          node = list.head;
        }
      }
    } finally {
      // Also after a throwing callback: the others that are due must not be lost with it.
      this.wakeForEarliest();
    }
  }

  private wakeForEarliest(): void {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const list of this.lists) {
      if (list.head !== undefined) earliestMs = Math.min(earliestMs, list.head.deadlineMs + list.slackMs);
    }
    if (earliestMs < this.wakeUpAtMs) this.wakeAt(earliestMs, performance.now());
  }

  private wakeAt(atMs: number, nowMs: number): void {
    clearTimeout(this.wakeUp);
    this.wakeUpAtMs = atMs;
    this.wakeUp = setTimeout(this.onWakeUp, Math.min(Math.max(Math.ceil(atMs - nowMs), 1), MAX_DELAY_MS));
    this.wakeUp.unref();
  }
}

/** The timers of this thread. */
export const timers = new CoarseTimers();

function unlink(node: TimerNode, list: TimerList): void {
  const { previous, next } = node;
  if (previous === undefined) list.head = next;
  else previous.next = next;
  if (next === undefined) list.tail = previous;
  else next.previous = previous;
  node.previous = undefined;
  node.next = undefined;
  node.list = undefined;
}

/** The next multiple of 5 ms, or above a second of a power of two that is at most 0.4 % of the delay: some 6,000 values in all. */
function roundUpToGrid(delayMs: number): number {
  const stepMs = delayMs <= 1000 ? FINE_STEP_MS : 2 ** (Math.floor(Math.log2(delayMs)) - 8);
  return Math.min(Math.ceil(delayMs / stepMs) * stepMs, MAX_DELAY_MS);
}
