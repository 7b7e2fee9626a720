import * as v from 'valibot';
import { expect, test } from 'vitest';
import { HealthCheck } from '../../../src/config/schema/health-check.ts';
import { CheckIntervals } from '../../../src/upstream/health/check-intervals.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';

const REQUIRED = { timeout: '1s', interval: '10s', unhealthy_threshold: 2, healthy_threshold: 2, tcp_health_check: {} };

function intervals(fields: Record<string, unknown> = {}): CheckIntervals {
  return new CheckIntervals(v.parse(HealthCheck, { ...REQUIRED, ...fields }), new CounterRandom(7));
}

/** Smallest and largest of many draws. */
function range(draw: () => number): [number, number] {
  const drawn = Array.from({ length: 3000 }, draw);
  return [Math.min(...drawn), Math.max(...drawn)];
}

test('the intervals that are given hold for their states', () => {
  const all = intervals({
    unhealthy_interval: '2s',
    unhealthy_edge_interval: '3s',
    healthy_edge_interval: '4s',
    no_traffic_interval: '5s',
    no_traffic_healthy_interval: '6s',
  });
  expect(all.nextDelayMs(true, 'unchanged', true)).toBe(10_000);
  expect(all.nextDelayMs(true, 'changed', true)).toBe(10_000);
  expect(all.nextDelayMs(true, 'pending', true)).toBe(4000);
  expect(all.nextDelayMs(false, 'unchanged', true)).toBe(2000);
  expect(all.nextDelayMs(false, 'changed', true)).toBe(2000);
  expect(all.nextDelayMs(false, 'pending', true)).toBe(3000);
  expect(all.nextDelayMs(true, 'unchanged', false)).toBe(6000);
  expect(all.nextDelayMs(true, 'pending', false)).toBe(5000);
  expect(all.nextDelayMs(false, 'unchanged', false)).toBe(5000);
});

test('those that are not given are as others', () => {
  const few = intervals();
  for (const passed of [true, false]) {
    for (const transition of ['unchanged', 'changed', 'pending'] as const) {
      expect(few.nextDelayMs(passed, transition, true)).toBe(10_000);
      expect(few.nextDelayMs(passed, transition, false)).toBe(60_000);
    }
  }
  expect(intervals({ unhealthy_interval: '2s' }).nextDelayMs(false, 'pending', true)).toBe(2000);
});

test('jitter makes an interval longer, up to its bound and never to it', () => {
  const next = (fields: Record<string, unknown>) => {
    const jittered = intervals(fields);
    return range(() => jittered.nextDelayMs(true, 'unchanged', true));
  };
  expect(next({ interval_jitter: '0.02s' })).toEqual([10_000, 10_019]);
  expect(next({ interval_jitter_percent: 1 })).toEqual([10_000, 10_099]);
  const [least, most] = next({ interval_jitter: '1s', interval_jitter_percent: 50 });
  expect(least).toBeGreaterThanOrEqual(10_000);
  expect(least).toBeLessThan(10_500);
  expect(most).toBeGreaterThan(15_000);
  expect(most).toBeLessThanOrEqual(15_998);
});

test('the first check is at once, or within the initial jitter', () => {
  expect(intervals().initialDelayMs()).toBe(0);
  const jittered = intervals({ initial_jitter: '0.02s' });
  expect(range(() => jittered.initialDelayMs())).toEqual([1, 19]);
});

test('there is always some time between two checks', () => {
  expect(intervals({ interval: '0.0001s' }).nextDelayMs(true, 'unchanged', true)).toBe(1);
});
