import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { type CheckedServer, httpServer } from '../../support/health-servers.ts';
import { type ProxyName, ProxyProcess } from '../../support/proxy-process.ts';

const stack = new AsyncDisposableStack();
const servers: CheckedServer[] = [];

beforeAll(async () => {
  for (let i = 0; i < 12; i++) servers.push(stack.use(await httpServer((_request, response) => response.end())));
});
afterAll(() => stack.disposeAsync());

/** Endpoints of one locality of one priority, by number of the server, with their health. */
interface Group {
  readonly zone?: string;
  readonly priority?: number;
  readonly weight?: number;
  readonly hosts: readonly (readonly [server: number, health?: string, weight?: number])[];
}

interface Case {
  readonly name: string;
  readonly groups: readonly Group[];
  readonly cluster?: object;
  readonly policy?: object;
}

const hosts = (from: number, to: number, health = 'HEALTHY'): Group['hosts'] =>
  Array.from({ length: to - from }, (_, i) => [from + i, health] as const);

const OWN: Case = {
  name: 'own',
  groups: [
    { zone: 'a', hosts: hosts(0, 2) },
    { zone: 'b', hosts: hosts(2, 4) },
    { zone: 'c', hosts: hosts(4, 5) },
  ],
};

const ZONE_AWARE = { common_lb_config: { zone_aware_lb_config: {} } };

const CASES: readonly Case[] = [
  {
    name: 'zones-directly',
    cluster: ZONE_AWARE,
    groups: [
      { zone: 'a', hosts: hosts(0, 5) },
      { zone: 'b', hosts: hosts(5, 8) },
    ],
  },
  {
    name: 'zones-by-default',
    groups: [
      { zone: 'a', hosts: hosts(0, 5) },
      { zone: 'b', hosts: hosts(5, 8) },
    ],
  },
  {
    name: 'zones-partly',
    cluster: ZONE_AWARE,
    groups: [
      { zone: 'a', hosts: hosts(0, 2) },
      { zone: 'b', hosts: hosts(2, 6) },
      { zone: 'c', hosts: hosts(6, 8) },
    ],
  },
  {
    name: 'zones-none-here',
    cluster: ZONE_AWARE,
    groups: [
      { zone: 'b', hosts: hosts(0, 5) },
      { zone: 'c', hosts: hosts(5, 8) },
    ],
  },
  {
    name: 'zones-too-small',
    cluster: ZONE_AWARE,
    groups: [
      { zone: 'a', hosts: hosts(0, 2) },
      { zone: 'b', hosts: hosts(2, 4) },
    ],
  },
  {
    name: 'zones-in-panic',
    cluster: { common_lb_config: { zone_aware_lb_config: { fail_traffic_on_panic: true } } },
    groups: [{ zone: 'a', hosts: [[0], ...hosts(1, 8, 'UNHEALTHY')] }],
  },
  { name: 'panic', groups: [{ hosts: [[0], ...hosts(1, 8, 'UNHEALTHY')] }] },
  {
    name: 'spill',
    groups: [{ hosts: [...hosts(0, 2), ...hosts(2, 4, 'UNHEALTHY')] }, { priority: 1, hosts: hosts(4, 8) }],
  },
  {
    name: 'spill-less',
    policy: { overprovisioning_factor: 200 },
    groups: [{ hosts: [[0], ...hosts(1, 4, 'UNHEALTHY')] }, { priority: 1, hosts: hosts(4, 8) }],
  },
  {
    name: 'spill-by-weight',
    policy: { weighted_priority_health: true },
    groups: [
      {
        hosts: [
          [0, 'HEALTHY', 1],
          [1, 'HEALTHY', 1],
          [2, 'UNHEALTHY', 6],
        ],
      },
      { priority: 1, hosts: hosts(4, 8) },
    ],
  },
  {
    name: 'degraded',
    groups: [{ hosts: [[0], [1, 'DEGRADED'], [2, 'DEGRADED'], [3, 'UNHEALTHY']] }],
  },
  {
    name: 'localities',
    cluster: { common_lb_config: { locality_weighted_lb_config: {} } },
    groups: [
      { zone: 'a', weight: 1, hosts: hosts(0, 3) },
      { zone: 'b', weight: 3, hosts: [[3], [4], ...hosts(5, 7, 'UNHEALTHY')] },
    ],
  },
  {
    name: 'weights',
    groups: [
      {
        hosts: [
          [0, 'HEALTHY', 1],
          [1, 'HEALTHY', 2],
          [2, 'HEALTHY', 5],
        ],
      },
    ],
  },
  {
    name: 'slow-start-of-all',
    cluster: { round_robin_lb_config: { slow_start_config: { slow_start_window: '600s' } } },
    groups: [
      {
        hosts: [
          [0, 'HEALTHY', 1],
          [1, 'HEALTHY', 2],
        ],
      },
    ],
  },
];

function clusterOf({ name, groups, cluster, policy }: Case): object {
  const endpoints = groups.map(({ zone, priority = 0, weight, hosts: members }) => ({
    ...(zone === undefined ? {} : { locality: { zone } }),
    priority,
    ...(weight === undefined ? {} : { load_balancing_weight: weight }),
    lb_endpoints: members.map(([server, health_status = 'HEALTHY', load_balancing_weight = 1]) => ({
      health_status,
      load_balancing_weight,
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: servers[server]?.port } } },
    })),
  }));
  return { name, connect_timeout: '5s', load_assignment: { cluster_name: name, endpoints, policy }, ...cluster };
}

const REQUESTS = 600;
const COUNTERS = ['lb_zone_routing_all_directly', 'lb_zone_cluster_too_small', 'lb_local_cluster_not_ok'];

/** Requests that each endpoint got, and what was counted besides. */
async function sharesOf(name: ProxyName): Promise<Map<string, { shares: number[]; panic: number; counts: unknown[] }>> {
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'test',
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster_header: 'x-to' } }] },
      ],
    },
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
  const config = {
    listeners: [
      {
        name: 'http',
        address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
        filter_chains: [{ filters: [{ name: 'hcm', typed_config: manager }] }],
      },
    ],
    clusters: [OWN, ...CASES].map(clusterOf),
  };
  const common = `node: { id: me, cluster: own, locality: { zone: a } }\ncluster_manager: { local_cluster_name: own }\n`;
  await using proxy = await ProxyProcess.start(name, `${common}static_resources: ${JSON.stringify(config)}`);
  const found = new Map<string, { shares: number[]; panic: number; counts: unknown[] }>();
  for (const one of CASES) {
    for (const server of servers) server.seen.length = 0;
    for (let i = 0; i < REQUESTS; i += 20)
      await Promise.all(Array.from({ length: 20 }, () => send(proxy.port, one.name)));
    const stats = await proxy.stats();
    const value = (stat: string): number => stats.get(`cluster.${one.name}.${stat}`) ?? 0;
    found.set(one.name, {
      shares: servers.map(({ seen }) => seen.length / REQUESTS),
      panic: value('lb_healthy_panic'),
      counts: COUNTERS.map((stat) => value(stat) > 0),
    });
  }
  return found;
}

function send(port: number, cluster: string): Promise<void> {
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', headers: { 'x-to': cluster }, agent: false }, (response) => {
      response.resume();
      response.on('end', resolve);
    })
      .on('error', reject)
      .end();
  });
}

test('endpoints get the share that they get from Envoy', { timeout: 180_000 }, async (context) => {
  if (findEnvoy() === undefined) return context.skip(NO_ENVOY);
  const wanted = await sharesOf('envoy');
  const own = await sharesOf('outrigger');
  for (const { name } of CASES) {
    const [theirs, ours] = [wanted.get(name), own.get(name)];
    // Five standard deviations of the difference of two such shares, each drawn by chance.
    const tolerance = 5 * Math.sqrt((2 * 0.25) / REQUESTS);
    for (const [i, share] of (theirs?.shares ?? []).entries())
      expect
        .soft(Math.abs((ours?.shares[i] ?? 0) - share), `${name} ${i}: ${ours?.shares[i]}, Envoy ${share}`)
        .toBeLessThan(tolerance);
    expect.soft(ours?.panic, name).toBe(theirs?.panic);
    // Envoy looks at zones also where weights of localities decide, and counts it.
    if (name !== 'localities') expect.soft(ours?.counts, name).toEqual(theirs?.counts);
  }
});
