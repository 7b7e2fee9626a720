import { describe, expect, it } from 'vitest';
import {
  isUnreliable,
  median,
  pairedRatio,
  roundOrder,
  type Spread,
  spread,
} from '../../../bench/measure/statistics.ts';

describe('statistics', () => {
  it('take the middle value, or the mean of the two middle ones', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('give median, range and median absolute deviation', () => {
    expect(spread([10, 12, 11, 40])).toEqual({ median: 11.5, min: 10, max: 40, mad: 1, values: [10, 12, 11, 40] });
    expect(spread([Number.NaN])).toBeUndefined();
  });

  it('mark figures whose rounds differ by more than a fifth', () => {
    expect(isUnreliable(spread([100, 110, 119]) as Spread)).toBe(false);
    expect(isUnreliable(spread([100, 110, 130]) as Spread)).toBe(true);
    // A difference may be negative.
    expect(isUnreliable(spread([-100, -110, -130]) as Spread)).toBe(true);
  });

  it('compare rounds in pairs, so that a machine that slows down for both changes no ratio', () => {
    const ratio = pairedRatio([50, 100, 75], [100, 200, 150]);
    expect(ratio?.median).toBe(0.5);
    expect(ratio?.max).toBe(0.5);
    expect(pairedRatio([], [1])).toBeUndefined();
  });

  it('reverse the order of peers in every other round', () => {
    const peers = ['direct', 'outrigger', 'envoy'];
    expect(roundOrder(peers, 0)).toEqual(peers);
    expect(roundOrder(peers, 1)).toEqual(['envoy', 'outrigger', 'direct']);
    expect(roundOrder(peers, 2)).toEqual(peers);
  });
});
