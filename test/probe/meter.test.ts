import { expect, test } from 'vitest';
import { Meter } from '../../src/probe/meter.ts';

/** Lets some time go by. */
function spend(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

function ms(of: Meter, route: string, part: string): number {
  return of.routes.get(route)?.ms[of.parts.of(part)] ?? 0;
}

test('each moment of an event belongs to the innermost part, and to the route that is named', () => {
  const it = new Meter();
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
  expect(it.endEvent()).toBe('b');
  it.keep();
  expect(ms(it, 'a', 'http_parse')).toBeGreaterThanOrEqual(2);
  expect(ms(it, 'a', 'routing')).toBeGreaterThanOrEqual(1);
  expect(ms(it, 'b', 'routing')).toBe(0);
  expect(ms(it, 'b', 'packet_processing')).toBeGreaterThanOrEqual(1);
  expect(it.routes.get('a')?.requests).toBe(1);
  expect(it.routes.get('b')?.reads).toBe(1);
  expect(it.bytes).toBe(100);
});

test('a row that is dropped leaves nothing behind, and nothing in the next one', () => {
  const it = new Meter();
  const event = (): void => {
    it.beginEvent();
    it.belongsTo('a');
    it.beginRequest();
    spend(1);
    it.stopClock();
    it.endEvent();
  };
  event();
  it.drop();
  expect([it.timed, it.routes.size]).toEqual([0, 0]);
  event();
  event();
  expect(it.timed).toBe(0);
  it.keep();
  expect([it.timed, it.routes.get('a')?.requests]).toEqual([2, 2]);
  it.keep();
  expect([it.timed, it.routes.get('a')?.requests]).toEqual([2, 2]);
});

test('an event that does not count leaves nothing behind', () => {
  const it = new Meter();
  it.beginEvent(false);
  it.belongsTo('a');
  spend(1);
  it.beginMessage();
  it.stopClock();
  it.endEvent();
  it.keep();
  expect([it.timed, it.routes.size]).toEqual([0, 0]);
  it.beginEvent();
  it.belongsTo('a');
  it.stopClock();
  it.endEvent();
  it.keep();
  expect(ms(it, 'a', 'packet_processing')).toBeLessThan(1);
});

test('what calls its own part is not timed anew, and a part that threw ends with the one around it', () => {
  const it = new Meter();
  const [parse, routing] = [it.parts.of('http_parse'), it.parts.of('routing')];
  it.beginEvent();
  const outside = it.enter(parse);
  expect(it.enter(parse)).toBe(parse);
  it.leave(parse);
  it.enter(routing);
  it.leave(outside);
  it.stopClock();
  it.endEvent();
  it.keep();
  const sums = it.routes.get('');
  expect([sums?.inner[parse], sums?.inner[routing], sums?.outer[parse]]).toEqual([1, 1, 1]);
});
