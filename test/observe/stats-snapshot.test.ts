import { describe, expect, it } from 'vitest';
import { StatsStore } from '../../src/observe/stats.ts';
import { cumulativeBuckets, mergeSnapshots, quantileOf, snapshotOf } from '../../src/observe/stats-snapshot.ts';

function storeWith(requests: number, active: number, ...times: number[]): StatsStore {
  const store = new StatsStore();
  store.counter('rq_total').add(requests);
  store.gauge('rq_active').set(active);
  for (const time of times) store.histogram('rq_time').record(time);
  return store;
}

describe('mergeSnapshots', () => {
  it('adds up what threads counted', () => {
    const one = snapshotOf(storeWith(3, 1, 2, 7));
    const two = snapshotOf(storeWith(4, 2, 5000, 9e9));
    const merged = mergeSnapshots([one, two]);
    expect(merged.counters.get('rq_total')).toBe(7);
    expect(merged.gauges.get('rq_active')).toBe(3);
    const time = merged.histograms.get('rq_time');
    expect(time).toMatchObject({ count: 4, sum: 9 + 5000 + 9e9 });
    expect(time === undefined ? [] : cumulativeBuckets(time).at(-1)).toEqual([Number.POSITIVE_INFINITY, 4]);
  });

  it('does not share memory with the store', () => {
    const store = storeWith(1, 0, 1);
    const before = snapshotOf(store);
    store.histogram('rq_time').record(1);
    store.counter('rq_total').inc();
    expect(before.histograms.get('rq_time')?.count).toBe(1);
    expect(before.counters.get('rq_total')).toBe(1);
  });
});

describe('quantileOf', () => {
  it('estimates within the bucket', () => {
    const values = snapshotOf(storeWith(0, 0, 6, 7, 8, 9)).histograms.get('rq_time');
    if (values === undefined) throw new Error('no histogram');
    expect(quantileOf(values, 0.5)).toBeCloseTo(7.5);
    expect(quantileOf(values, 1)).toBe(10);
  });

  it('has no answer without values, and the last bound for what lies above all', () => {
    const empty = { counts: new Array<number>(20).fill(0), sum: 0, count: 0 };
    expect(quantileOf(empty, 0.5)).toBeUndefined();
    const above = snapshotOf(storeWith(0, 0, 1e9)).histograms.get('rq_time');
    expect(above === undefined ? 0 : quantileOf(above, 0.5)).toBe(3_600_000);
  });
});
