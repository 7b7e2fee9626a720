import { expect, test } from 'vitest';
import type { Calibration } from '../../src/probe/calibration.ts';
import { GapSums } from '../../src/probe/gaps.ts';
import { Meter } from '../../src/probe/meter.ts';
import { routeTimes, type SampledSums } from '../../src/probe/route-times.ts';

const FREE: Calibration = {
  innerMs: 0,
  outerMs: 0,
  eventMs: 0,
  plainEventMs: 0,
  writeMs: 0,
  readMs: 0,
  readByteMs: 0,
};

/** 1,000 timed events of 4 ms: 3 of parsing, 1 of routing; one request each. */
function meterOf(requests: number): Meter {
  const meter = new Meter();
  meter.timed = 1000;
  meter.requests = requests;
  meter.beginEvent();
  meter.belongsTo('r');
  meter.stopClock();
  meter.endEvent();
  meter.keep();
  meter.timed = 1000;
  const sums = meter.routes.get('r');
  if (sums === undefined) throw new Error('no route');
  sums.requests = 1000;
  sums.ms.fill(0);
  sums.inner.fill(0);
  sums.ms[meter.parts.of('http_parse')] = 3000;
  sums.ms[meter.parts.of('routing')] = 1000;
  return meter;
}

/** 1,000 milliseconds of polling before the same events. */
function gaps(): Map<string, GapSums> {
  const sums = new GapSums();
  for (let i = 0; i < 1000; i++) sums.add({ ms: 1, polled: true, bytes: 0 }, FREE);
  return new Map([['r', sums]]);
}

/** Events that were timed as a whole only took half as long, and so did what led to them; there were 20,000 in all. */
const SAMPLED: SampledSums = {
  plain: { events: 1000, eventMs: 2000, gaps: 1000, gapMs: 500 },
  events: 20_000,
  rowEvents: 2000,
  threadCpuMs: undefined,
};

function times(meter: Meter, sampled: SampledSums, calibration = FREE) {
  const { list, rowScale, probeNs } = routeTimes(meter, gaps(), calibration, sampled);
  return { ...list[0], parts: list[0]?.parts ?? {}, rowScale, probeNs };
}

test('parts are scaled to events whose parts nobody timed', () => {
  const { parts, rowScale } = times(meterOf(20_000), SAMPLED);
  expect(parts).toEqual({ http_parse: 1500e6, routing: 500e6, event_poll: 500e6 });
  expect(rowScale).toBe(1);
});

test('all parts together are the CPU time of the thread less that of the probe', () => {
  const sampled = { ...SAMPLED, threadCpuMs: 44_000 };
  const { parts, rowScale, probeNs } = times(meterOf(20_000), sampled, { ...FREE, eventMs: 0.5 });
  // What timing parts slowed them down by is the probe's too.
  expect(probeNs).toBe(2500e6);
  expect(rowScale).toBeCloseTo((44_000 - 2500) / 20_000 / 2.5);
  const timed = Object.values(parts).reduce((sum, ns) => sum + ns, 0);
  expect((timed * 20) / 1e6).toBeCloseTo(44_000 - 2500, 0);
});

test('a scale that nothing explains is left to what is unattributed', () => {
  expect(times(meterOf(20_000), { ...SAMPLED, threadCpuMs: 1_000_000 }).rowScale).toBe(2);
  expect(times(meterOf(20_000), { ...SAMPLED, threadCpuMs: 4000 }).rowScale).toBe(0.5);
});

test('requests are those that were counted, not what timed events would stand for', () => {
  // 20 events for each that was timed would be 20,000; streams waited while events were timed.
  expect(times(meterOf(5000), SAMPLED).requests).toBeCloseTo(250);
});
