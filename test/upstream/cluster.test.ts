import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Hash64 } from '../../src/matching/hash64.ts';
import { SystemResolver } from '../../src/upstream/dns.ts';
import type { Endpoint } from '../../src/upstream/endpoint.ts';
import { DnsServer } from './dns-server.ts';
import { addressesOf, clusterConfig, lbEndpoint, makeCluster, TableResolver } from './support.ts';

describe('a STATIC cluster', () => {
  it('has the endpoints of its configuration', async () => {
    const config = clusterConfig({}, ['10.0.0.1:80', 'fd00::1:8080', '/run/app.sock', '@abstract']);
    const { cluster } = makeCluster(config);
    await cluster.start();
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80', '[fd00::1]:8080', '/run/app.sock', '@abstract']);
    expect(cluster.endpoints[1]).toMatchObject({ host: 'fd00::1', port: 8080, pipe: undefined });
    expect(cluster.endpoints[2]).toMatchObject({ host: '', port: 0, pipe: '/run/app.sock' });
    expect(cluster.endpoints[3]).toMatchObject({ pipe: '\0abstract' });
  });

  it('takes weight, priority, health, host name and locality from the load assignment', async () => {
    const config = clusterConfig({
      load_assignment: {
        cluster_name: 'web',
        endpoints: [
          {
            locality: { region: 'r', zone: 'z', sub_zone: 's' },
            load_balancing_weight: 7,
            lb_endpoints: [
              lbEndpoint('10.0.0.1:80', { load_balancing_weight: 3 }, 'one.test'),
              lbEndpoint('10.0.0.2:80', { health_status: 'DEGRADED' }),
            ],
          },
          {
            priority: 1,
            lb_endpoints: ['UNHEALTHY', 'DRAINING', 'TIMEOUT', 'HEALTHY'].map((health_status, i) =>
              lbEndpoint(`10.0.1.${i}:80`, { health_status }),
            ),
          },
        ],
      },
    });
    const { cluster, store } = makeCluster(config);
    await cluster.start();
    const [one, two, ...others] = cluster.endpoints as [Endpoint, Endpoint, ...Endpoint[]];
    expect(one).toMatchObject({ weight: 3, priority: 0, health: 'healthy', healthy: true, hostname: 'one.test' });
    expect(one.locality).toEqual({ region: 'r', zone: 'z', subZone: 's', weight: 7 });
    expect(two).toMatchObject({ weight: 1, health: 'degraded', healthy: false, hostname: '' });
    expect(two.locality).toBe(one.locality);
    expect(others.map(({ health }) => health)).toEqual(['unhealthy', 'draining', 'unhealthy', 'healthy']);
    expect(others.every(({ priority }) => priority === 1)).toBe(true);
    const gauge = (name: string) => store.gauges.get(`cluster.web.${name}`)?.value;
    expect(gauge('membership_total')).toBe(6);
    expect(gauge('membership_healthy')).toBe(2);
    expect(gauge('membership_degraded')).toBe(1);
    expect(gauge('membership_excluded')).toBe(1);
    expect(gauge('max_host_weight')).toBe(3);
    expect(store.counters.get('cluster.web.membership_change')?.value).toBe(1);
    expect(cluster.healthyPercent).toBeCloseTo(33.3, 1);
  });

  it('counts an endpoint as often as it is listed', async () => {
    const { cluster } = makeCluster(clusterConfig({}, ['10.0.0.1:80', '10.0.0.1:80', '10.0.0.2:80']));
    await cluster.start();
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80', '10.0.0.1:80', '10.0.0.2:80']);
  });

  it('picks nothing without endpoints, and counts that', async () => {
    const { cluster, store } = makeCluster(clusterConfig({}));
    await cluster.start();
    expect(cluster.pick(undefined)).toBeUndefined();
    expect(store.counters.get('cluster.web.upstream_cx_none_healthy')?.value).toBe(1);
    expect(cluster.healthyPercent).toBe(0);
  });

  it.each([
    [{ lb_policy: 'ROUND_ROBIN' }, 'RoundRobinBalancer'],
    [{ lb_policy: 'LEAST_REQUEST' }, 'LeastRequestBalancer'],
    [{ lb_policy: 'RANDOM' }, 'RandomBalancer'],
    [{ lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 10 } }, 'RingHashBalancer'],
    [{ lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 11 } }, 'MaglevBalancer'],
    [
      {
        lb_policy: 'MAGLEV',
        common_lb_config: { consistent_hashing_lb_config: { hash_balance_factor: 150 } },
      },
      'BoundedLoadBalancer',
    ],
  ])('balances as %j says', async (fields, balancer) => {
    const { cluster } = makeCluster(clusterConfig(fields, ['10.0.0.1:80', '10.0.0.2:80']));
    await cluster.start();
    expect((cluster as unknown as { balancer: object }).balancer.constructor.name).toBe(balancer);
    expect(cluster.endpoints).toContain(cluster.pick(new Hash64().set(0, 123)));
  });

  it('sends a hash to the same endpoint again and again', async () => {
    const { cluster } = makeCluster(clusterConfig({ lb_policy: 'RING_HASH' }, ['10.0.0.1:80', '10.0.0.2:80']));
    await cluster.start();
    for (const high of [0, 77, -1]) {
      const hash = new Hash64().set(high, 5);
      expect(cluster.pick(hash)).toBe(cluster.pick(hash));
    }
  });

  it('names its statistics by alt_stat_name, without colons', () => {
    const { store } = makeCluster(clusterConfig({ name: 'outbound|80||web:x' }));
    expect(store.gauges.has('cluster.outbound|80||web_x.membership_total')).toBe(true);
    const other = makeCluster(clusterConfig({ alt_stat_name: 'short' }));
    expect(other.store.gauges.has('cluster.short.membership_total')).toBe(true);
  });

  it('has the limits and the connect timeout of its configuration', () => {
    const thresholds = [{ max_connections: 2 }, { priority: 'HIGH', max_retries: 9 }];
    const { cluster } = makeCluster(clusterConfig({ connect_timeout: '0.25s', circuit_breakers: { thresholds } }));
    expect(cluster.connectTimeoutMs).toBe(250);
    expect(cluster.limits.DEFAULT.connections.max).toBe(2);
    expect(cluster.limits.HIGH.retries.max).toBe(9);
  });
});

describe('a STRICT_DNS cluster', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function setup(fields: Record<string, unknown> = {}, endpoints: readonly string[] = ['web.test:80']) {
    const resolver = new TableResolver();
    resolver.table.set('web.test', ['10.0.0.1', '10.0.0.2']);
    const config = clusterConfig({ type: 'STRICT_DNS', dns_refresh_rate: '1s', ...fields }, endpoints);
    const made = makeCluster(config, resolver);
    const removed: string[] = [];
    made.cluster.onEndpointRemoved = ({ address }) => removed.push(address);
    await made.cluster.start();
    const counter = (name: string) => made.store.counters.get(`cluster.web.${name}`)?.value;
    return { ...made, resolver, removed, counter, nextRefresh: () => vi.advanceTimersByTimeAsync(1000) };
  }

  it('has every address of every name as an endpoint, named by the name', async () => {
    const { cluster, resolver } = await setup({}, ['web.test:80', 'api.test:81']);
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80', '10.0.0.2:80']);
    expect(cluster.endpoints[0]!.hostname).toBe('web.test');
    resolver.table.set('api.test', ['10.0.0.1', 'fd00::1']);
    await vi.advanceTimersByTimeAsync(1000);
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80', '10.0.0.2:80', '10.0.0.1:81', '[fd00::1]:81']);
  });

  it('keeps the objects of addresses that stay, with their state', async () => {
    const { cluster, resolver, removed, counter, nextRefresh } = await setup();
    const [gone, stays] = cluster.endpoints as [Endpoint, Endpoint];
    stays.activeRequests = 5;
    stays.pool = 'pool';
    resolver.table.set('web.test', ['10.0.0.3', '10.0.0.2']);
    await nextRefresh();
    expect(addressesOf(cluster)).toEqual(['10.0.0.3:80', '10.0.0.2:80']);
    expect(cluster.endpoints[1]).toBe(stays);
    expect(stays).toMatchObject({ activeRequests: 5, pool: 'pool', removed: false });
    expect(gone.removed).toBe(true);
    expect(removed).toEqual(['10.0.0.1:80']);
    expect(counter('membership_change')).toBe(2);
    const picked = new Set(Array.from({ length: 10 }, () => cluster.pick(undefined)!.address));
    expect([...picked].sort()).toEqual(['10.0.0.2:80', '10.0.0.3:80']);
  });

  it('keeps the last good answer when the name cannot be resolved', async () => {
    const { cluster, resolver, removed, counter, log, nextRefresh } = await setup();
    resolver.table.set('web.test', new Error('ETIMEOUT'));
    await nextRefresh();
    await nextRefresh();
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80', '10.0.0.2:80']);
    expect(removed).toEqual([]);
    expect([counter('update_attempt'), counter('update_success'), counter('update_failure')]).toEqual([3, 1, 2]);
    expect(log.warnings[0]).toContain('web.test');
    resolver.table.set('web.test', ['10.0.0.9']);
    await nextRefresh();
    expect(addressesOf(cluster)).toEqual(['10.0.0.9:80']);
  });

  it('loses its endpoints when the name exists no more, as in Envoy', async () => {
    const { cluster, resolver, removed, nextRefresh } = await setup();
    resolver.table.set('web.test', []);
    await nextRefresh();
    expect(cluster.endpoints).toEqual([]);
    expect(cluster.pick(undefined)).toBeUndefined();
    expect(removed).toEqual(['10.0.0.1:80', '10.0.0.2:80']);
  });

  it('is not disturbed by an answer in another order', async () => {
    const { cluster, resolver, counter, nextRefresh } = await setup();
    const before = cluster.endpoints;
    resolver.table.set('web.test', ['10.0.0.2', '10.0.0.1']);
    await nextRefresh();
    expect(cluster.endpoints).toBe(before);
    expect([counter('update_no_rebuild'), counter('membership_change')]).toEqual([1, 1]);
  });

  it('lists an address once, though two names lead to it', async () => {
    const { cluster, resolver, nextRefresh } = await setup({}, ['web.test:80', 'alias.test:80']);
    resolver.table.set('alias.test', ['10.0.0.2', '10.0.0.3']);
    await nextRefresh();
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']);
    expect(cluster.endpoints[1]!.hostname).toBe('web.test');
  });

  it('refreshes by TTL where that is asked for', async () => {
    const { resolver } = await setup({ respect_dns_ttl: true });
    resolver.table.set('web.test', { addresses: ['10.0.0.1'], ttlMs: 30_000 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(resolver.asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(resolver.asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(resolver.asked).toHaveLength(3);
  });

  it('comes back sooner after a failure where that is asked for', async () => {
    const dns_failure_refresh_rate = { base_interval: '0.1s' };
    const { cluster, resolver } = await setup({ dns_refresh_rate: '60s', dns_failure_refresh_rate });
    resolver.table.set('web.test', new Error('ESERVFAIL'));
    await vi.advanceTimersByTimeAsync(60_000);
    resolver.table.set('web.test', ['10.0.0.7']);
    await vi.advanceTimersByTimeAsync(100);
    expect(addressesOf(cluster)).toEqual(['10.0.0.7:80']);
  });

  it('asks for the address family of its configuration', async () => {
    const { resolver } = await setup({ dns_lookup_family: 'V4_PREFERRED' });
    expect(resolver.asked).toEqual(['web.test V4_PREFERRED']);
  });

  it('has the connections of the others closed when the set changes, where that is asked for', async () => {
    const common_lb_config = { close_connections_on_host_set_change: true };
    const { cluster, resolver, nextRefresh } = await setup({ common_lb_config });
    const drained: string[] = [];
    cluster.onEndpointDrained = ({ address }) => drained.push(address);
    await nextRefresh();
    expect(drained).toEqual([]);
    resolver.table.set('web.test', ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    await nextRefresh();
    expect(drained).toEqual(['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']);
  });

  it('asks no more once it is stopped, and keeps what it has', async () => {
    const { cluster, resolver } = await setup();
    cluster.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(resolver.asked).toHaveLength(1);
    expect(cluster.endpoints).toHaveLength(2);
  });
});

describe('a LOGICAL_DNS cluster', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function setup() {
    const resolver = new TableResolver();
    resolver.table.set('web.test', ['10.0.0.1', '10.0.0.2']);
    const made = makeCluster(clusterConfig({ type: 'LOGICAL_DNS' }, ['web.test:80']), resolver);
    await made.cluster.start();
    const counter = (name: string) => made.store.counters.get(`cluster.web.${name}`)?.value;
    return { ...made, resolver, counter, nextRefresh: () => vi.advanceTimersByTimeAsync(5000) };
  }

  it('is one endpoint, at the first address', async () => {
    const { cluster } = await setup();
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80']);
    expect(cluster.endpoints[0]!.hostname).toBe('web.test');
  });

  it('lets new connections go to the new first address, and drains nothing', async () => {
    const { cluster, resolver, counter, nextRefresh } = await setup();
    const [endpoint] = cluster.endpoints;
    cluster.onEndpointRemoved = () => expect.fail('drained');
    await nextRefresh();
    expect(counter('update_no_rebuild')).toBe(1);
    resolver.table.set('web.test', ['fd00::5']);
    await nextRefresh();
    expect(cluster.endpoints[0]).toBe(endpoint);
    expect(endpoint).toMatchObject({ address: '[fd00::5]:80', host: 'fd00::5', removed: false });
    expect(counter('update_no_rebuild')).toBe(1);
    expect(cluster.pick(undefined)).toBe(endpoint);
  });

  it.each([
    ['cannot be resolved', new Error('ETIMEOUT')],
    ['has no address any more', []],
  ])('keeps the last good answer when the name %s', async (_, answer) => {
    const { cluster, resolver, counter, nextRefresh } = await setup();
    resolver.table.set('web.test', answer);
    await nextRefresh();
    expect(addressesOf(cluster)).toEqual(['10.0.0.1:80']);
    expect([counter('update_attempt'), counter('update_success'), counter('update_failure')]).toEqual([2, 1, 1]);
  });
});

describe('a cluster and a real name server', () => {
  it('follows the TTL, survives failures of the server, and sees the change after them', async () => {
    await using server = await DnsServer.start();
    server.zones.set('web.test', { addresses: ['127.0.0.2', '127.0.0.3'], ttlS: 1 });
    const resolver = new SystemResolver({
      servers: [server.address],
      searchList: { domains: [], ndots: 1 },
      timeoutMs: 100,
      tries: 1,
    });
    const config = clusterConfig(
      {
        type: 'STRICT_DNS',
        dns_lookup_family: 'V4_ONLY',
        dns_refresh_rate: '3600s',
        respect_dns_ttl: true,
        dns_failure_refresh_rate: { base_interval: '0.02s', max_interval: '0.05s' },
      },
      ['web.test:80'],
    );
    const { cluster, store } = makeCluster(config, resolver);
    const failures = () => store.counters.get('cluster.web.update_failure')!.value;
    const startMs = performance.now();
    await cluster.start();
    expect(addressesOf(cluster)).toEqual(['127.0.0.2:80', '127.0.0.3:80']);
    const [, stays] = cluster.endpoints;

    server.zones.set('web.test', 'server failure');
    await vi.waitFor(() => expect(failures()).toBeGreaterThan(1), { timeout: 5000 });
    expect(performance.now() - startMs).toBeGreaterThan(990);
    server.zones.set('web.test', 'silence');
    const sofar = failures();
    await vi.waitFor(() => expect(failures()).toBeGreaterThan(sofar), { timeout: 5000 });
    expect(addressesOf(cluster)).toEqual(['127.0.0.2:80', '127.0.0.3:80']);

    server.zones.set('web.test', { addresses: ['127.0.0.3', '127.0.0.4'], ttlS: 60 });
    await vi.waitFor(() => expect(addressesOf(cluster)).toEqual(['127.0.0.3:80', '127.0.0.4:80']), { timeout: 5000 });
    expect(cluster.endpoints[0]).toBe(stays);
    cluster.stop();
    resolver.cancel();
  });
});
