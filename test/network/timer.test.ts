import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CoarseTimers, MAX_DELAY_MS, TimerEntry } from '../../src/network/timer.ts';

class Recorder extends TimerEntry {
  readonly firedAtMs: number[] = [];
  reaction: () => void = () => {};

  override onTimeout(): void {
    this.firedAtMs.push(performance.now());
    this.reaction();
  }
}

/** What the timers promise: never early, late by at most 1 % or 10 ms. */
function lateLimitMs(delayMs: number): number {
  return Math.max(delayMs / 100, 10);
}

afterEach(() => {
  vi.useRealTimers();
});

describe('coarse timers on a clock of their own', () => {
  function setup(): CoarseTimers {
    vi.useFakeTimers();
    return new CoarseTimers();
  }

  it.each([1, 3, 10, 99, 1000, 15_000, 300_000, 86_400_000])('fires once, not before %d ms and in time', (delayMs) => {
    const timers = setup();
    const entry = new Recorder();
    const startMs = performance.now();
    timers.start(entry, delayMs);
    expect(entry.started).toBe(true);
    vi.advanceTimersByTime(delayMs - 1);
    expect(entry.firedAtMs).toEqual([]);
    vi.advanceTimersByTime(2 * delayMs + 100);
    expect(entry.firedAtMs).toHaveLength(1);
    expect(entry.firedAtMs[0]! - startMs).toBeGreaterThanOrEqual(delayMs);
    expect(entry.firedAtMs[0]! - startMs).toBeLessThanOrEqual(delayMs + lateLimitMs(delayMs));
    expect(entry.started).toBe(false);
  });

  it('does not fire when cancelled, also from another callback of the same moment', () => {
    const timers = setup();
    const [first, second, third] = [new Recorder(), new Recorder(), new Recorder()];
    for (const entry of [first, second, third]) timers.start(entry, 50);
    first.reaction = () => timers.cancel(second);
    timers.cancel(third);
    timers.cancel(third);
    vi.advanceTimersByTime(200);
    expect(first.firedAtMs).toHaveLength(1);
    expect(second.firedAtMs).toHaveLength(0);
    expect(third.firedAtMs).toHaveLength(0);
  });

  it('counts from the last start', () => {
    const timers = setup();
    const entry = new Recorder();
    const startMs = performance.now();
    for (let i = 0; i < 5; i++) {
      timers.start(entry, 100);
      vi.advanceTimersByTime(60);
    }
    expect(entry.firedAtMs).toEqual([]);
    vi.advanceTimersByTime(60);
    expect(entry.firedAtMs).toHaveLength(1);
    expect(entry.firedAtMs[0]! - startMs).toBeGreaterThanOrEqual(4 * 60 + 100);
  });

  it('lets a shorter delay overtake a longer one that was started first', () => {
    const timers = setup();
    const [long, short] = [new Recorder(), new Recorder()];
    timers.start(long, 60_000);
    timers.start(short, 20);
    vi.advanceTimersByTime(40);
    expect(short.firedAtMs).toHaveLength(1);
    expect(long.firedAtMs).toHaveLength(0);
    vi.advanceTimersByTime(61_000);
    expect(long.firedAtMs).toHaveLength(1);
  });

  it('may be started again from its own callback, each time a full delay later', () => {
    const timers = setup();
    const entry = new Recorder();
    entry.reaction = () => timers.start(entry, 10);
    timers.start(entry, 10);
    vi.advanceTimersByTime(200);
    expect(entry.firedAtMs.length).toBeGreaterThanOrEqual(9);
    entry.firedAtMs.reduce((previous, at) => {
      expect(at - previous).toBeGreaterThanOrEqual(10);
      return at;
    });
  });

  it('does not spin when a callback restarts itself with an outdated clock', () => {
    const timers = setup();
    const entry = new Recorder();
    const outdatedMs = performance.now();
    entry.reaction = () => timers.start(entry, 0, outdatedMs);
    timers.start(entry, 0);
    vi.advanceTimersByTime(20);
    expect(entry.firedAtMs.length).toBeGreaterThan(1);
    expect(entry.firedAtMs.length).toBeLessThanOrEqual(20);
  });

  it('delivers the others when a callback throws', () => {
    const timers = setup();
    const [bad, good] = [new Recorder(), new Recorder()];
    bad.reaction = () => {
      throw new Error('broken callback');
    };
    timers.start(bad, 10);
    timers.start(good, 10);
    expect(() => vi.advanceTimersByTime(15)).toThrow('broken callback');
    vi.advanceTimersByTime(15);
    expect(good.firedAtMs).toHaveLength(1);
  });

  it('keeps one wake-up for all, and none when nothing is left', () => {
    const timers = setup();
    const entries = Array.from({ length: 500 }, () => new Recorder());
    for (const [i, entry] of entries.entries()) timers.start(entry, 1 + (i % 100));
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(entries.every((entry) => entry.firedAtMs.length === 1)).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('shares wake-ups between entries whose deadlines are close', () => {
    const timers = setup();
    const setTimeoutSpy = vi.spyOn(globalThis, 'setTimeout');
    for (let i = 0; i < 100; i++) {
      timers.start(new Recorder(), 10_000);
      vi.advanceTimersByTime(1);
    }
    vi.advanceTimersByTime(20_000);
    expect(setTimeoutSpy.mock.calls.length).toBeLessThan(40);
    setTimeoutSpy.mockRestore();
  });

  it('moves delays outside its range to the nearer end', () => {
    const timers = setup();
    const [negative, endless] = [new Recorder(), new Recorder()];
    timers.start(negative, -5);
    timers.start(endless, Number.POSITIVE_INFINITY);
    vi.advanceTimersByTime(5);
    expect(negative.firedAtMs).toHaveLength(1);
    expect(endless.node.deadlineMs - performance.now()).toBeLessThanOrEqual(MAX_DELAY_MS);
    expect(endless.started).toBe(true);
  });

  it('keeps its precision and a bounded number of lists when peers ask for thousands of delays', () => {
    const timers = setup();
    const startMs = performance.now();
    const entries: [number, Recorder][] = [];
    for (let delayMs = 1; delayMs < 200_000; delayMs += 7) {
      const entry = new Recorder();
      timers.start(entry, delayMs);
      entries.push([delayMs, entry]);
    }
    const { lists } = timers as unknown as { lists: unknown[] };
    expect(lists.length).toBeLessThan(2500);
    vi.advanceTimersByTime(210_000);
    for (const [delayMs, entry] of entries) {
      const late = entry.firedAtMs[0]! - startMs - delayMs;
      if (!(late >= 0 && late <= lateLimitMs(delayMs))) expect.fail(`${delayMs} ms was ${late} ms late`);
    }
  });

  it('behaves like ideal timers under any sequence of starts and cancels', () => {
    const step = fc.record({
      entry: fc.nat(9),
      action: fc.constantFrom('start', 'start', 'cancel'),
      delayMs: fc.integer({ min: 1, max: 400 }),
      pauseMs: fc.nat(60),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const timers = setup();
        const entries = Array.from({ length: 10 }, () => new Recorder());
        const due = new Map<Recorder, number>();
        const check = (): void => {
          for (const entry of entries) {
            const dueMs = due.get(entry);
            for (const at of entry.firedAtMs.splice(0)) {
              expect(dueMs).toBeDefined();
              expect(at).toBeGreaterThanOrEqual(dueMs!);
              expect(at).toBeLessThanOrEqual(dueMs! + 10);
              due.delete(entry);
            }
            if (due.has(entry)) expect(performance.now()).toBeLessThanOrEqual(due.get(entry)! + 10);
          }
        };
        for (const { entry: index, action, delayMs, pauseMs } of steps) {
          const entry = entries[index]!;
          if (action === 'cancel') {
            timers.cancel(entry);
            due.delete(entry);
          } else {
            timers.start(entry, delayMs);
            due.set(entry, performance.now() + delayMs);
          }
          vi.advanceTimersByTime(pauseMs);
          check();
        }
        vi.advanceTimersByTime(500);
        check();
        expect(due.size).toBe(0);
        vi.useRealTimers();
      }),
      { numRuns: 200 },
    );
  });
});

describe('coarse timers on the real clock', () => {
  it('are never early and hardly late', async () => {
    const timers = new CoarseTimers();
    const delays = [1, 2, 5, 17, 40, 80, 120];
    const started = delays.map((delayMs) => {
      const entry = new Recorder();
      const startMs = performance.now();
      timers.start(entry, delayMs);
      return { entry, delayMs, startMs };
    });
    await delay(300);
    for (const { entry, delayMs, startMs } of started) {
      expect(entry.firedAtMs).toHaveLength(1);
      expect(entry.firedAtMs[0]! - startMs).toBeGreaterThanOrEqual(delayMs);
      // 100 ms more than promised: the machine that runs the tests may be busy.
      expect(entry.firedAtMs[0]! - startMs).toBeLessThan(delayMs + 110);
    }
  });

  it('reads the clock once per turn of the event loop', async () => {
    const timers = new CoarseTimers();
    const first = timers.now();
    const until = performance.now() + 5;
    while (performance.now() < until);
    expect(timers.now()).toBe(first);
    await delay(1);
    expect(timers.now()).toBeGreaterThanOrEqual(first + 5);
  });

  it('does not allocate for starts and cancels', () => {
    const timers = new CoarseTimers();
    const entry = new Recorder();
    const turn = (): void => {
      timers.start(entry, 15_000, 1);
      timers.cancel(entry);
    };
    for (let i = 0; i < 50_000; i++) turn();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 100_000; i++) turn();
    expect((process.memoryUsage().heapUsed - before) / 100_000).toBeLessThan(16);
  });
});
