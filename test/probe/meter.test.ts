import { expect, test } from 'vitest';
import { type Gap, Meter, type RouteSums } from '../../src/probe/meter.ts';

/** Lets some time go by. */
function spend(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

function meter(seen: [RouteSums, Gap][] = []): Meter {
  return new Meter((sums, gap) => seen.push([sums, { ...gap }]));
}

function ms(of: Meter, route: string, part: string): number {
  return of.routes.get(route)?.ms[of.parts.of(part)] ?? 0;
}

test('each moment of an event belongs to the innermost part, and to the route that is named', () => {
  const gaps: [RouteSums, Gap][] = [];
  const it = meter(gaps);
  it.beginEvent();
  const outside = it.enter(it.parts.of('http_parse'));
  spend(2);
  const parsing = it.enter(it.parts.of('routing'));
  it.belongsTo('a');
  spend(1);
  it.leave(parsing);
  it.leave(outside);
  it.beginRequest();
  it.read(100);
  it.beginMessage();
  it.belongsTo('b');
  spend(1);
  it.stopClock();
  it.endEvent(undefined, { ms: 1, polled: true, bytes: 0 });
  expect(ms(it, 'a', 'http_parse')).toBeGreaterThanOrEqual(2);
  expect(ms(it, 'a', 'routing')).toBeGreaterThanOrEqual(1);
  expect(ms(it, 'b', 'routing')).toBe(0);
  expect(ms(it, 'b', 'packet_processing')).toBeGreaterThanOrEqual(1);
  expect(it.routes.get('a')?.requests).toBe(1);
  expect(it.routes.get('b')?.reads).toBe(1);
  expect(gaps.map(([sums, gap]) => [sums.route, gap.bytes])).toEqual([['b', 100]]);
});

test('time in which somebody else had the processor is taken out of the longest stretch', () => {
  const it = meter();
  it.beginEvent();
  it.belongsTo('a');
  const outside = it.enter(it.parts.of('routing'));
  spend(6);
  it.leave(outside);
  it.beginMessage();
  it.belongsTo('b');
  spend(1);
  it.stopClock();
  it.endEvent(2, undefined);
  expect(it.disturbed).toBe(1);
  const left = ms(it, 'a', 'routing');
  expect(left).toBeGreaterThanOrEqual(0);
  expect(ms(it, 'b', 'packet_processing')).toBeGreaterThanOrEqual(1);
  expect(left + ms(it, 'a', 'packet_processing') + ms(it, 'b', 'packet_processing')).toBeLessThan(5);
});

test('an event that does not count leaves nothing behind', () => {
  const it = meter();
  it.beginEvent(false);
  it.belongsTo('a');
  spend(1);
  it.beginMessage();
  it.stopClock();
  it.endEvent(1, { ms: 1, polled: false, bytes: 0 });
  expect([it.timed, it.routes.size]).toEqual([0, 0]);
  it.beginEvent();
  it.belongsTo('a');
  it.stopClock();
  it.endEvent(undefined, undefined);
  expect(ms(it, 'a', 'packet_processing')).toBeLessThan(1);
});
