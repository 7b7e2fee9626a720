import { afterEach, describe, expect, it, vi } from 'vitest';
import { StatsStore } from '../../src/observe/stats.ts';
import { ClusterManager, type ClusterManagerOptions } from '../../src/upstream/cluster-manager.ts';
import { addressesOf, clusterConfig, RecordingLogger, TableResolver } from './support.ts';

afterEach(() => {
  vi.useRealTimers();
});

function setup(options: Partial<ClusterManagerOptions> = {}) {
  const stats = new StatsStore();
  const resolver = new TableResolver();
  const manager = new ClusterManager({ stats, log: new RecordingLogger(), resolver, ...options });
  const removed: string[] = [];
  manager.onRemove = (cluster) => removed.push(cluster.name);
  const counter = (name: string) => stats.counters.get(`cluster_manager.${name}`)?.value;
  const active = () => stats.gauges.get('cluster_manager.active_clusters')?.value;
  return { manager, stats, resolver, removed, counter, active };
}

const named = (name: string, fields: Record<string, unknown> = {}, endpoints = ['10.0.0.1:80']) =>
  clusterConfig({ name, ...fields }, endpoints);

describe('the cluster manager', () => {
  it('finds clusters by name', async () => {
    const { manager, active, counter } = setup();
    await manager.update([named('a'), named('b')]);
    expect(manager.get('a')?.name).toBe('a');
    expect(manager.get('b')!.pick(undefined)!.address).toBe('10.0.0.1:80');
    expect(manager.get('c')).toBeUndefined();
    expect(manager.clusters.map(({ name }) => name)).toEqual(['a', 'b']);
    expect([active(), counter('cluster_added')]).toEqual([2, 2]);
  });

  it('keeps a cluster whose configuration says the same, and its endpoints', async () => {
    const { manager, removed } = setup();
    await manager.update([named('a')]);
    const before = manager.get('a')!;
    const [endpoint] = before.endpoints;
    const reordered = Object.fromEntries(Object.entries(named('a')).reverse()) as ReturnType<typeof named>;
    await manager.update([reordered]);
    expect(manager.get('a')).toBe(before);
    expect(before.endpoints[0]).toBe(endpoint);
    expect(removed).toEqual([]);
  });

  it('replaces a changed cluster, removes one that is gone, adds a new one', async () => {
    const { manager, removed, counter, active } = setup();
    await manager.update([named('same'), named('changed'), named('gone')]);
    const [same, changed] = [manager.get('same'), manager.get('changed')];
    await manager.update([named('same'), named('changed', { connect_timeout: '1s' }), named('new')]);
    expect(manager.get('same')).toBe(same);
    expect(manager.get('changed')).not.toBe(changed);
    expect(manager.get('changed')!.connectTimeoutMs).toBe(1000);
    expect(manager.get('gone')).toBeUndefined();
    expect(removed).toEqual(['changed', 'gone']);
    expect([counter('cluster_added'), counter('cluster_modified'), counter('cluster_removed')]).toEqual([4, 1, 1]);
    expect(active()).toBe(3);
  });

  it('answers the present clusters until an update is committed', async () => {
    const { manager, removed } = setup();
    await manager.update([named('a')]);
    const present = manager.get('a');
    const update = await manager.prepare([named('a', {}, ['10.0.0.2:80']), named('b')]);
    expect(manager.get('a')).toBe(present);
    expect(manager.get('b')).toBeUndefined();
    expect(addressesOf(update.get('a')!)).toEqual(['10.0.0.2:80']);
    manager.onRemove = (cluster) => {
      expect(manager.get('a')).toBe(update.get('a'));
      removed.push(cluster.name);
    };
    update.commit();
    expect(removed).toEqual(['a']);
    expect(manager.get('b')).toBe(update.get('b'));
  });

  it('drops the new clusters of an update that is cancelled', async () => {
    vi.useFakeTimers();
    const { manager, resolver, removed } = setup();
    await manager.update([named('a')]);
    const update = await manager.prepare([named('b', { type: 'STRICT_DNS' }, ['web.test:80'])]);
    update.cancel();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(resolver.asked).toHaveLength(1);
    expect(manager.get('a')).toBeDefined();
    expect(manager.get('b')).toBeUndefined();
    expect(removed).toEqual([]);
  });

  it('refuses an update that another one has overtaken', async () => {
    const { manager } = setup();
    const [slow, quick] = [await manager.prepare([named('a')]), await manager.prepare([named('b')])];
    quick.commit();
    expect(() => slow.commit()).toThrow('have been updated since');
    expect(manager.get('b')).toBeDefined();
  });

  it('has resolved the names of new clusters before they take over, or tried to', async () => {
    const { manager, resolver } = setup();
    resolver.table.set('web.test', ['10.0.0.5']);
    resolver.table.set('down.test', new Error('ETIMEOUT'));
    await manager.update([
      named('web', { type: 'STRICT_DNS' }, ['web.test:80']),
      named('down', { type: 'LOGICAL_DNS' }, ['down.test:80']),
    ]);
    expect(addressesOf(manager.get('web')!)).toEqual(['10.0.0.5:80']);
    expect(manager.get('down')!.pick(undefined)).toBeUndefined();
    manager.close();
  });

  it('waits 15 seconds for names, and not at all for clusters that say so', async () => {
    vi.useFakeTimers();
    const resolver = new TableResolver();
    resolver.resolve = () => new Promise(() => {});
    const { manager } = setup({ resolver });
    const dns = { type: 'STRICT_DNS' };
    await manager.update([named('lazy', { ...dns, wait_for_warm_on_init: false }, ['slow.test:80'])]);
    expect(manager.get('lazy')).toBeDefined();
    const update = manager.update([named('slow', dns, ['slow.test:80'])]);
    await vi.advanceTimersByTimeAsync(14_900);
    expect(manager.get('slow')).toBeUndefined();
    await vi.advanceTimersByTimeAsync(200);
    await update;
    expect(manager.get('slow')).toBeDefined();
  });

  it('stops following the names of clusters that are replaced or removed', async () => {
    vi.useFakeTimers();
    const { manager, resolver } = setup();
    await manager.update([named('a', { type: 'STRICT_DNS' }, ['old.test:80'])]);
    await manager.update([named('a', { type: 'STRICT_DNS' }, ['new.test:80'])]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(resolver.asked).toEqual(['old.test AUTO', 'new.test AUTO', 'new.test AUTO']);
    manager.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(resolver.asked).toHaveLength(3);
  });

  it('removes all clusters when it is closed', async () => {
    const { manager, resolver, removed } = setup();
    await manager.update([named('a'), named('b')]);
    manager.close();
    expect(removed).toEqual(['a', 'b']);
    expect(manager.get('a')).toBeUndefined();
    expect(resolver.cancelled).toBe(true);
  });

  it('counts limits together with other threads where memory is shared', async () => {
    const blocks = new Map<string, SharedArrayBuffer>();
    const shared = (key: string, bytes: number): SharedArrayBuffer => {
      const block = blocks.get(key) ?? new SharedArrayBuffer(bytes);
      blocks.set(key, block);
      return block;
    };
    const [one, other] = [setup({ shared }), setup({ shared })];
    const limited = named('a', { circuit_breakers: { thresholds: [{ max_requests: 1 }] } });
    await one.manager.update([limited]);
    await other.manager.update([limited]);
    expect(one.manager.get('a')!.limits.DEFAULT.requests.tryAcquire()).toBe(true);
    expect(other.manager.get('a')!.limits.DEFAULT.requests.tryAcquire()).toBe(false);
    const open = () => other.stats.gauges.get('cluster.a.circuit_breakers.default.rq_open')?.value;
    expect(open()).toBe(0);
    other.manager.publishStats();
    expect(open()).toBe(1);
  });
});
