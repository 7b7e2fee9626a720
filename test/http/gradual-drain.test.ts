import { expect, test, vi } from 'vitest';
import { drainGradually } from '../../src/http/gradual-drain.ts';

test('connections are visited once each, spread over the time, and the end says that it is over', () => {
  vi.useFakeTimers();
  try {
    const connections = new Set(Array.from({ length: 1000 }, (_, id) => ({ id })));
    const visits: (number | undefined)[] = [];
    drainGradually(connections, 10_000, (one) => visits.push(one?.id));
    vi.advanceTimersByTime(5000);
    expect(visits.length).toBeGreaterThan(350);
    expect(visits.length).toBeLessThan(650);
    vi.advanceTimersByTime(5100);
    expect(visits.at(-1)).toBeUndefined();
    const ids = visits.slice(0, -1);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(950);
    vi.advanceTimersByTime(1000);
    expect(visits).toHaveLength(ids.length + 1);
  } finally {
    vi.useRealTimers();
  }
});
