import { describe, expect, it } from 'vitest';
import { StatsStore } from '../../src/observe/stats.ts';
import { ClusterStats } from '../../src/upstream/cluster-stats.ts';

function setup() {
  const store = new StatsStore();
  const stats = new ClusterStats(store.scope('cluster.web'));
  const counter = (name: string) => store.counters.get(`cluster.web.${name}`)?.value;
  return { store, stats, counter };
}

describe('cluster statistics', () => {
  it('stand in the store under the names of Envoy', () => {
    const { store, stats, counter } = setup();
    stats.upstreamRqTotal.inc();
    stats.upstreamCxActive.set(3);
    stats.upstreamCxConnectMs.record(7);
    expect(counter('upstream_rq_total')).toBe(1);
    expect(store.gauges.get('cluster.web.upstream_cx_active')?.value).toBe(3);
    expect(store.histograms.get('cluster.web.upstream_cx_connect_ms')?.count).toBe(1);
  });

  it('names each field as its statistic', () => {
    const { store, stats } = setup();
    const all = new Map<string, unknown>([...store.counters, ...store.gauges, ...store.histograms]);
    for (const [field, value] of Object.entries(stats)) {
      if (typeof value !== 'object' || !('name' in value)) continue;
      const name = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      expect(all.get(`cluster.web.${name}`), field).toBe(value);
    }
  });

  it('counts responses by code and by class, once a code occurs', () => {
    const { stats, counter } = setup();
    expect(counter('upstream_rq_200')).toBeUndefined();
    for (const status of [200, 200, 204, 404, 503, 101]) stats.countResponse(status);
    expect(counter('upstream_rq_200')).toBe(2);
    expect(counter('upstream_rq_204')).toBe(1);
    expect(counter('upstream_rq_2xx')).toBe(3);
    expect(counter('upstream_rq_4xx')).toBe(1);
    expect(counter('upstream_rq_5xx')).toBe(1);
    expect(counter('upstream_rq_1xx')).toBe(1);
    expect(counter('upstream_rq_3xx')).toBeUndefined();
    expect(counter('upstream_rq_completed')).toBe(6);
  });

  it('counts a status that is none as completed only', () => {
    const { store, stats, counter } = setup();
    const before = store.counters.size;
    for (const status of [0, 99, 600, 999]) stats.countResponse(status);
    expect(counter('upstream_rq_completed')).toBe(4);
    expect(store.counters.size).toBe(before);
  });
});
