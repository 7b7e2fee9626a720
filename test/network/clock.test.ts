import { afterEach, expect, test, vi } from 'vitest';
import { nowMs, setInEvent, tick } from '../../src/network/clock.ts';

let readings = 0;
vi.spyOn(performance, 'now').mockImplementation(() => ++readings);

afterEach(() => setInEvent(false));

test('outside of an event the clock is read each time', () => {
  expect(nowMs()).toBeLessThan(nowMs());
});

test('within an event it is read once, until time has passed', () => {
  setInEvent(true);
  const first = nowMs();
  expect(nowMs()).toBe(first);
  tick();
  const second = nowMs();
  expect(second).toBeGreaterThan(first);
  expect(nowMs()).toBe(second);
});

test('the next event has a time of its own, and none is left over behind the last', () => {
  setInEvent(true);
  const first = nowMs();
  setInEvent(false);
  expect(nowMs()).toBeGreaterThan(first);
  setInEvent(true);
  expect(nowMs()).toBeGreaterThan(first + 1);
});
