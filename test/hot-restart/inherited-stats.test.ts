import { expect, test } from 'vitest';
import { InheritedStats, statsMessage } from '../../src/hot-restart/inherited-stats.ts';
import type { StatsSnapshot } from '../../src/observe/stats-snapshot.ts';

function snapshot(counters: Record<string, number>, gauges: Record<string, number> = {}): StatsSnapshot {
  return {
    counters: new Map(Object.entries(counters)),
    gauges: new Map(Object.entries(gauges)),
    histograms: new Map(),
  };
}

test('counters go on, gauges of what is open add up until the other process ends, others are each process’s own', () => {
  const inherited = new InheritedStats();
  const own = snapshot({ requests: 1 }, { downstream_cx_active: 2, membership_total: 3 });
  inherited.update(statsMessage('stats', snapshot({ requests: 10 }, { downstream_cx_active: 5, membership_total: 3 })));
  const both = inherited.addTo(own);
  expect(both.counters.get('requests')).toBe(11);
  expect([both.gauges.get('downstream_cx_active'), both.gauges.get('membership_total')]).toEqual([7, 3]);
  inherited.update(statsMessage('stats', snapshot({ requests: 12 }, { downstream_cx_active: 0 })));
  inherited.onEnd();
  const alone = inherited.addTo(own);
  expect([alone.counters.get('requests'), alone.gauges.get('downstream_cx_active')]).toEqual([13, 2]);
});

test('after a reset, what the other process had counted before stays left out', () => {
  const inherited = new InheritedStats();
  inherited.update(statsMessage('stats', snapshot({ requests: 10 })));
  inherited.reset();
  expect(inherited.addTo(snapshot({ requests: 0 })).counters.get('requests')).toBe(0);
  inherited.update(statsMessage('stats', snapshot({ requests: 14 })));
  expect(inherited.addTo(snapshot({ requests: 1 })).counters.get('requests')).toBe(5);
});
