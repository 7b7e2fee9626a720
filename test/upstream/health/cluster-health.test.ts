import { describe, expect, it } from 'vitest';
import { healthFlagsText } from '../../../src/upstream/health-flags.ts';
import { lbEndpoint } from '../support.ts';
import { checkedCluster } from './support.ts';

const THREE = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'];

/** Whether a promise is settled once what is due now has run. */
async function isOver(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  void promise.then(() => {
    over = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return over;
}

describe('a cluster with health checks', () => {
  it('is ready once each endpoint was checked, whatever came out', async () => {
    const { cluster, probes } = checkedCluster({}, {}, THREE);
    const started = cluster.start();
    expect(probes.map((probe) => probe.begun)).toEqual([1, 1, 1]);
    probes[0]?.events.onPass(false);
    probes[1]?.events.onFail('network', false);
    expect(await isOver(started)).toBe(false);
    probes[2]?.events.onPass(false);
    expect(await isOver(started)).toBe(true);
    cluster.stop();
  });

  it('is ready at once without endpoints to check, and when it is given up', async () => {
    const disabled = lbEndpoint('10.0.0.1:80');
    Object.assign(disabled.endpoint, { health_check_config: { disable_active_health_check: true } });
    const unchecked = checkedCluster({}, {}, [disabled]);
    expect(await isOver(unchecked.cluster.start())).toBe(true);
    expect(unchecked.probes).toEqual([]);
    expect(unchecked.cluster.pick(undefined)?.healthy).toBe(true);

    const given = checkedCluster();
    const started = given.cluster.start();
    expect(await isOver(started)).toBe(false);
    given.cluster.stop();
    expect(await isOver(started)).toBe(true);
  });

  it('sends requests to healthy endpoints, and to all when too few are', async () => {
    const { cluster, probes } = checkedCluster({ unhealthy_threshold: 1 }, {}, THREE);
    const started = cluster.start();
    for (const probe of probes) probe.events.onPass(false);
    await started;
    const picked = (): number => new Set(Array.from({ length: 200 }, () => cluster.pick(undefined)?.address)).size;
    expect([picked(), cluster.stats.membershipHealthy.value]).toEqual([3, 3]);
    probes[0]?.events.onFail('network', false);
    expect([picked(), cluster.stats.membershipHealthy.value, cluster.stats.lbHealthyPanic.value]).toEqual([2, 2, 0]);
    // Below half of them the panic threshold lets health be.
    probes[1]?.events.onFail('network', false);
    expect([picked(), cluster.stats.membershipHealthy.value]).toEqual([3, 1]);
    expect(cluster.stats.lbHealthyPanic.value).toBe(200);
    cluster.stop();
  });

  it.each(['RING_HASH', 'MAGLEV', 'LEAST_REQUEST', 'RANDOM', 'ROUND_ROBIN'])(
    '%s leaves out what fails',
    async (lb_policy) => {
      const fields = { lb_policy, common_lb_config: { healthy_panic_threshold: { value: 0 } } };
      const { cluster, probes } = checkedCluster({}, fields, THREE);
      const started = cluster.start();
      probes[0]?.events.onPass(false);
      probes[1]?.events.onFail('network', false);
      probes[2]?.events.onFail('active', false);
      await started;
      const picked = new Set(Array.from({ length: 100 }, () => cluster.pick(undefined)?.address));
      expect([...picked]).toEqual(['10.0.0.1:80']);
      cluster.stop();
    },
  );

  it('moves on to the next priority with what fails', async () => {
    const { cluster, probes } = checkedCluster(
      { unhealthy_threshold: 1 },
      {
        load_assignment: {
          cluster_name: 'web',
          endpoints: [
            { priority: 0, lb_endpoints: [lbEndpoint('10.0.0.1:80')] },
            { priority: 1, lb_endpoints: [lbEndpoint('10.0.1.1:80')] },
          ],
        },
      },
    );
    const started = cluster.start();
    for (const probe of probes) probe.events.onPass(false);
    await started;
    expect(cluster.pick(undefined)?.priority).toBe(0);
    probes[0]?.events.onFail('network', false);
    expect(cluster.pick(undefined)?.priority).toBe(1);
    cluster.stop();
  });
});

describe('an endpoint that DNS knows no more', () => {
  const DNS = { type: 'STRICT_DNS', dns_refresh_rate: '0.01s' };

  async function dns(fields: Record<string, unknown> = {}) {
    const made = checkedCluster({ unhealthy_threshold: 1 }, { ...DNS, ...fields }, ['web.test:80']);
    made.resolver.table.set('web.test', ['10.0.0.1', '10.0.0.2']);
    const started = made.cluster.start();
    while (made.probes.length < 2) await new Promise((resolve) => setImmediate(resolve));
    for (const probe of made.probes) probe.events.onPass(false);
    await started;
    const flags = (): string[] =>
      made.cluster.endpoints.map(
        ({ host, assignedHealth, healthFlags }) => `${host} ${healthFlagsText(assignedHealth, healthFlags)}`,
      );
    const refreshed = async (): Promise<void> => {
      const { length } = made.resolver.asked;
      while (made.resolver.asked.length < length + 2) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    return { ...made, flags, refreshed };
  }

  it('stays as long as its checks pass', async () => {
    const { cluster, probes, resolver, flags, refreshed } = await dns();
    resolver.table.set('web.test', ['10.0.0.2']);
    await refreshed();
    expect(flags().sort()).toEqual(['10.0.0.1 /pending_dynamic_removal', '10.0.0.2 healthy']);
    expect(probes[0]?.closed).toBe(false);
    probes[0]?.events.onFail('network', false);
    await refreshed();
    expect(flags()).toEqual(['10.0.0.2 healthy']);
    expect(probes[0]?.closed).toBe(true);
    cluster.stop();
  });

  it('may come back', async () => {
    const { cluster, resolver, flags, refreshed, probes } = await dns();
    resolver.table.set('web.test', []);
    await refreshed();
    resolver.table.set('web.test', ['10.0.0.1', '10.0.0.2']);
    await refreshed();
    expect(flags().sort()).toEqual(['10.0.0.1 healthy', '10.0.0.2 healthy']);
    expect(probes.length).toBe(2);
    cluster.stop();
  });

  it('leaves at once where its health is not to count', async () => {
    const { cluster, resolver, flags, refreshed, stats } = await dns({ ignore_health_on_host_removal: true });
    resolver.table.set('web.test', ['10.0.0.2']);
    await refreshed();
    expect(flags()).toEqual(['10.0.0.2 healthy']);
    expect(stats.healthy.value).toBe(1);
    cluster.stop();
  });

  it('is one of those that are checked from when it joins', async () => {
    const { cluster, resolver, flags, refreshed, probes } = await dns();
    resolver.table.set('web.test', ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    await refreshed();
    expect(flags().sort()).toEqual(['10.0.0.1 healthy', '10.0.0.2 healthy', '10.0.0.3 /failed_active_hc']);
    expect(probes[2]?.begun).toBe(1);
    cluster.stop();
  });
});
