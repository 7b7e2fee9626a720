import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StatsStore } from '../../../src/observe/stats.ts';
import { createBalancer } from '../../../src/upstream/balancer/index.ts';
import { localityKey, routeZones, type ZoneAware, ZoneStats } from '../../../src/upstream/balancer/zone-aware.ts';
import type { Endpoint, Locality } from '../../../src/upstream/endpoint.ts';
import { countPicks, makeEndpoint, makeOptions } from './support.ts';

const zone = (name: string): Locality => ({ region: 'r', zone: name, subZone: '', weight: 0 });
const ZONES = ['a', 'b', 'c'].map(zone);

/** So many endpoints in each zone. */
function inZones(counts: readonly number[], from = 0): Endpoint[] {
  let number = from;
  return counts.flatMap((count, i) =>
    Array.from({ length: count }, () => makeEndpoint(++number, { locality: ZONES[i] as Locality })),
  );
}

/** Picks by zone of a proxy in zone `a`, whose like are spread as `own` says. */
function picksByZone(
  upstream: readonly Endpoint[],
  own: readonly Endpoint[],
  fields: Partial<ZoneAware> = {},
  kind: 'ROUND_ROBIN' | 'RANDOM' = 'ROUND_ROBIN',
) {
  const store = new StatsStore();
  const zoneAware: ZoneAware = {
    routingEnabled: 100,
    minClusterSize: 6,
    failTrafficOnPanic: false,
    local: () => ({ key: localityKey(zone('a')), endpoints: own }),
    stats: () => new ZoneStats(store.scope('cluster.web')),
    ...fields,
  };
  const counts = countPicks(createBalancer(upstream, makeOptions({ kind }, { zoneAware })), 20_000);
  const shares = ZONES.map(({ zone: name }) => {
    let sum = 0;
    for (const [endpoint, count] of counts) if (endpoint?.locality.zone === name) sum += count;
    return sum / 20_000;
  });
  return { shares, counts, stat: (name: string) => store.counters.get(`cluster.web.${name}`)?.value };
}

describe('zone-aware balancing', () => {
  it('stays in the zone where the upstream has its share there', () => {
    const { shares, stat } = picksByZone(inZones([4, 2, 2]), inZones([1, 1, 1], 100));
    expect(shares).toEqual([1, 0, 0]);
    expect(stat('lb_zone_routing_all_directly')).toBe(20_000);
  });

  it('sends what the zone cannot take to zones that have more than their share', () => {
    // Envoy's own example: proxies 40 %, 40 %, 20 %, upstream 25 %, 50 %, 25 %.
    const { shares, stat } = picksByZone(inZones([2, 4, 2]), inZones([4, 4, 2], 100));
    expect(shares[0]).toBeCloseTo(0.625, 1);
    expect(shares[1]).toBeCloseTo((0.375 * 10) / 15, 1);
    expect(shares[2]).toBeCloseTo((0.375 * 5) / 15, 1);
    expect((stat('lb_zone_routing_sampled') ?? 0) + (stat('lb_zone_routing_cross_zone') ?? 0)).toBe(20_000);
  });

  it('counts healthy endpoints only', () => {
    const upstream = inZones([4, 4]);
    for (const endpoint of upstream.slice(0, 2)) endpoint.health = 'unhealthy';
    for (const endpoint of upstream.slice(0, 2)) endpoint.healthy = false;
    const { shares } = picksByZone(upstream, inZones([2, 2], 100));
    expect(shares[0]).toBeCloseTo(3333 / 5000, 1);
  });

  it.each([
    ['few endpoints', inZones([2, 2]), inZones([1, 1], 100), {}, 'lb_zone_cluster_too_small'],
    [
      'a proxy whose zone its cluster does not know',
      inZones([4, 4]),
      inZones([0, 1, 1], 100),
      {},
      'lb_local_cluster_not_ok',
    ],
    ['proxies in one zone', inZones([4, 4]), inZones([3], 100), {}, undefined],
    ['nobody knowing the zone', inZones([4, 4]), [], { local: () => undefined }, undefined],
  ])('does not look at zones with %s', (_, upstream, own, fields, counted) => {
    const { shares, stat } = picksByZone(upstream, own, fields);
    expect(shares[0]).toBeCloseTo(0.5);
    if (counted !== undefined) expect(stat(counted)).toBe(1);
  });

  it('does not look at zones while the proxies themselves are in panic', () => {
    const own = inZones([4, 4], 100);
    for (const endpoint of own.slice(1)) endpoint.health = 'unhealthy';
    const { shares, stat } = picksByZone(inZones([4, 4]), own);
    expect(shares[0]).toBeCloseTo(0.5);
    expect(stat('lb_local_cluster_not_ok')).toBe(1);
  });

  it('looks at zones for a share of the picks', () => {
    const { shares } = picksByZone(inZones([4, 4]), inZones([1, 1], 100), { routingEnabled: 40 }, 'RANDOM');
    expect(shares[0]).toBeCloseTo(0.4 + 0.6 / 2, 1);
  });

  it('fails in panic where it is told to', () => {
    const upstream = inZones([4, 4]);
    for (const endpoint of upstream.slice(1)) endpoint.health = 'unhealthy';
    const { counts } = picksByZone(upstream, inZones([1, 1], 100), { failTrafficOnPanic: true });
    expect(counts.get(undefined)).toBe(20_000);
    expect(picksByZone(upstream, inZones([1, 1], 100)).counts.get(undefined)).toBeUndefined();
  });

  it('gives every zone the share of the upstream there, where proxies ask alike', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 })), {
          minLength: 2,
          maxLength: 6,
        }),
        (zones) => {
          const total = (side: 0 | 1): number => zones.reduce((sum, pair) => sum + pair[side], 0);
          const shares = zones.map(([own, upstream]) => ({
            own: Math.floor((10_000 * own) / total(0)),
            upstream: Math.floor((10_000 * upstream) / total(1)),
          }));
          // What each zone gets of the requests of all zones together.
          const got = zones.map(() => 0);
          for (const [from, { own }] of shares.entries()) {
            const { stay, residual } = routeZones(shares, from);
            got[from] = (got[from] as number) + (own * stay) / 10_000;
            const capacity = residual.at(-1) ?? 0;
            for (let to = 0; to < zones.length && capacity > 0; to++) {
              const part = ((residual[to] as number) - (residual[to - 1] ?? 0)) / capacity;
              got[to] = (got[to] as number) + own * (1 - stay / 10_000) * part;
            }
          }
          for (const [i, { upstream }] of shares.entries())
            expect(Math.abs((got[i] as number) - upstream)).toBeLessThan(30);
        },
      ),
    );
  });
});
