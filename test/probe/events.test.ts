import { expect, test } from 'vitest';
import { type EventClock, EventSampler } from '../../src/probe/events.ts';
import { type Gap, Meter } from '../../src/probe/meter.ts';

const ROW_EVENTS = 6;

function spend(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** A sampler of a thread that is off the processor and goes round when the test says so. */
function sampling(kinds: 'timed' | 'plain', every = 1) {
  let awayMs = 0;
  let turns = 0;
  const clock: EventClock = { cpuMs: () => performance.now() - awayMs, turns: () => turns, readMs: 0, readCpuMs: 0 };
  const gaps: Gap[] = [];
  const meter = new Meter();
  const onGap = (_route: string, gap: Gap): unknown => gaps.push({ ...gap });
  const onWarm = (): void => {
    meter.forget();
    gaps.length = 0;
  };
  const sampler = new EventSampler(meter, clock, every, onGap, onWarm, kinds);
  const event = (work?: () => void): void => {
    sampler.enter();
    work?.();
    sampler.leave();
  };
  while (!sampler.isWarm) event();
  const away = (ms: number): void => {
    spend(ms);
    awayMs += ms;
  };
  /** Looks for bytes, and waits for them. */
  const poll = (ms: number): void => {
    turns++;
    away(ms);
  };
  return { sampler, meter, gaps, event, away, poll };
}

test('a row in which somebody else had the processor does not count', () => {
  const { sampler, meter, gaps, event, away } = sampling('timed');
  for (let i = 0; i < ROW_EVENTS; i++) event(() => away(i === 3 ? 2 : 0));
  expect([sampler.disturbed, meter.timed, gaps.length]).toEqual([ROW_EVENTS, 0, 0]);
  for (let i = 0; i < ROW_EVENTS; i++) event();
  expect([sampler.disturbed, meter.timed, gaps.length]).toEqual([ROW_EVENTS, ROW_EVENTS, ROW_EVENTS]);
});

test('what a thread waited in a poll is no time of its own, and the poll is the longest gap', () => {
  const { sampler, gaps, event, poll } = sampling('timed');
  for (let i = 0; i < ROW_EVENTS; i++) {
    if (i === 3) poll(50);
    event();
  }
  expect(sampler.disturbed).toBe(0);
  expect(gaps.map(({ polled }) => polled)).toEqual([false, false, false, true, false, false]);
  expect(gaps[3]?.ms).toBeLessThan(40);
});

test('where the thread waited for less than it was away, somebody else had the processor all the same', () => {
  const { sampler, event, away, poll } = sampling('timed');
  for (let i = 0; i < ROW_EVENTS; i++) {
    if (i === 3) poll(1);
    event(() => away(i === 4 ? 20 : 0));
  }
  expect(sampler.disturbed).toBe(ROW_EVENTS);
});

test('a row that is timed as a whole has the sums of its events and of what led to them', () => {
  const { sampler, meter, event } = sampling('plain');
  for (let i = 0; i < ROW_EVENTS; i++) {
    spend(1);
    event(() => spend(2));
  }
  const { events, eventMs, gaps, gapMs } = sampler.plain;
  expect([events, gaps, meter.timed]).toEqual([ROW_EVENTS, ROW_EVENTS, 0]);
  expect(eventMs).toBeGreaterThanOrEqual(2 * ROW_EVENTS);
  expect(gapMs).toBeGreaterThanOrEqual(ROW_EVENTS);
});

test('what takes longer than any read between two events is left to the CPU time of all', () => {
  const { sampler, event } = sampling('plain', 2);
  const before = sampler.rowEvents;
  while (sampler.rowEvents < before + 2 * ROW_EVENTS) {
    spend(2);
    event();
  }
  expect(sampler.plain.events).toBe(0);
  expect(sampler.disturbed).toBeGreaterThan(0);
});

test.each([
  [1, 1],
  [4, 4],
  [200, 8],
])('with one event in %i to be timed, one in %i is while V8 warms up', (every, expected) => {
  const meter = new Meter();
  const clock: EventClock = { cpuMs: undefined, turns: () => 0, readMs: 0, readCpuMs: 0 };
  const sampler = new EventSampler(
    meter,
    clock,
    every,
    () => {},
    () => {},
    'timed',
  );
  let timed = 0;
  let events = 0;
  while (!sampler.isWarm) {
    sampler.enter();
    if (meter.active) timed++;
    sampler.leave();
    events++;
  }
  expect(events / timed).toBeGreaterThan(expected * 0.8);
  expect(events / timed).toBeLessThan(expected * 1.2);
});
