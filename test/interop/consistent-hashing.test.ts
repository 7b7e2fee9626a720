import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { startTestProxy, type TestProxy } from '../support/proxy.ts';
import { EnvoyProcess } from './differential/harness/envoy-process.ts';

const KEYS = Array.from({ length: 200 }, (_, i) => `user-${i * 7919}${'-of-a-longer-kind'.repeat(i % 4)}`);
const HOSTS = 6;

/** One way to choose hosts: what the cluster and the route say, and how a key comes with a request. */
interface Way {
  readonly name: string;
  /** Fields of the cluster besides its endpoints. */
  readonly cluster: string;
  /** Fields of an endpoint, of a locality, by the endpoint's number. */
  readonly member?: (i: number) => string;
  readonly locality?: (i: number) => string;
  readonly hashPolicy: string;
  readonly headers: (key: string) => [string, string][];
  readonly query?: (key: string) => string;
}

const HEADER = '[{ header: { header_name: x-user } }]';
const byHeader = (key: string): [string, string][] => [['x-user', key]];
const RING = 'lb_policy: RING_HASH';
const MAGLEV = 'lb_policy: MAGLEV';
const byPrime = (i: number): string => `load_balancing_weight: ${[1, 2, 3, 5, 7, 11][i]}`;
const localities = (i: number): string =>
  `locality: { zone: "z${i % 3}" }, load_balancing_weight: ${1 + 2 * (i % 3)}, priority: 0`;

const WAYS: readonly Way[] = [
  { name: 'ring', cluster: RING, hashPolicy: HEADER, headers: byHeader },
  { name: 'maglev', cluster: MAGLEV, hashPolicy: HEADER, headers: byHeader },
  { name: 'ring-by-weight', cluster: RING, member: byPrime, hashPolicy: HEADER, headers: byHeader },
  {
    name: 'small-ring',
    cluster: `${RING}\n  ring_hash_lb_config: { minimum_ring_size: 10, maximum_ring_size: 50 }`,
    member: byPrime,
    hashPolicy: HEADER,
    headers: byHeader,
  },
  { name: 'maglev-by-weight', cluster: MAGLEV, member: byPrime, hashPolicy: HEADER, headers: byHeader },
  {
    name: 'small-maglev',
    cluster: `${MAGLEV}\n  maglev_lb_config: { table_size: 101 }`,
    member: byPrime,
    hashPolicy: HEADER,
    headers: byHeader,
  },
  ...[RING, MAGLEV].flatMap((policy): Way[] => [
    {
      name: `${policy.slice(11).toLowerCase()}-with-keys-in-metadata`,
      cluster: policy,
      member: (i) => (i === 0 ? '' : `metadata: { filter_metadata: { envoy.lb: { hash_key: "schlüssel-${i}" } } }`),
      hashPolicy: HEADER,
      headers: byHeader,
    },
    {
      name: `${policy.slice(11).toLowerCase()}-by-locality`,
      cluster: `${policy}\n  common_lb_config: { locality_weighted_lb_config: {} }`,
      locality: localities,
      member: (i) => (i === 5 ? 'health_status: UNHEALTHY' : byPrime(i)),
      hashPolicy: HEADER,
      headers: byHeader,
    },
    {
      name: `${policy.slice(11).toLowerCase()}-by-priority`,
      cluster: policy,
      locality: (i) => `locality: { zone: "z" }, priority: ${i < 3 ? 0 : 1}`,
      member: (i) => (i === 1 || i === 2 ? 'health_status: UNHEALTHY' : ''),
      hashPolicy: HEADER,
      headers: byHeader,
    },
  ]),
  {
    name: 'lines-of-a-header',
    cluster: RING,
    hashPolicy: HEADER,
    headers: (key) => [
      ['x-user', key],
      ['x-user', 'and another'],
      ['x-user', 'Zeile'],
    ],
  },
  {
    name: 'rewritten-header',
    cluster: RING,
    hashPolicy: `[{ header: { header_name: x-user, regex_rewrite: { pattern: { regex: "^user-(\\\\d+).*" }, substitution: "\\\\1" } } }]`,
    headers: byHeader,
  },
  {
    name: 'combined',
    cluster: MAGLEV,
    hashPolicy: `[{ header: { header_name: x-user } }, { query_parameter: { name: q } }, { cookie: { name: c } }, { connection_properties: { source_ip: true } }]`,
    headers: (key) => [
      ['x-user', key],
      ['cookie', `b=1; c="${key}"`],
    ],
    query: (key) => `?q=${key}`,
  },
  {
    name: 'terminal',
    cluster: MAGLEV,
    hashPolicy: `[{ query_parameter: { name: q }, terminal: true }, { header: { header_name: x-user } }]`,
    headers: byHeader,
    query: (key) => (key.length % 2 === 0 ? `?q=${key}` : ''),
  },
];

describe('a key lands on the host to which Envoy sends it', () => {
  const envoyProgram = findEnvoy();
  const agent = new Agent({ keepAlive: true });
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-hashing-'));
  const servers: Server[] = [];
  let outrigger: TestProxy | undefined;
  let envoy: EnvoyProcess | undefined;
  let envoyPort = 0;

  beforeAll(async () => {
    if (envoyProgram === undefined) return;
    for (let i = 0; i < HOSTS; i++) servers.push(await startHost(String(i)));
    const text = configuration(servers.map((server) => (server.address() as AddressInfo).port));
    outrigger = await startTestProxy(text);
    envoy = await EnvoyProcess.start(envoyProgram, text, folder);
    envoyPort = (await envoy.listeners(1)).get('hashing') as number;
  });

  afterAll(async () => {
    agent.destroy();
    await outrigger?.[Symbol.asyncDispose]();
    await envoy?.[Symbol.asyncDispose]();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function hosts(port: number, way: Way, path: string): Promise<string[]> {
    const answers: string[] = [];
    for (const key of KEYS) {
      answers.push(await hostOf(agent, port, path + (way.query?.(key) ?? ''), way.headers(key)));
    }
    return answers;
  }

  it.for(WAYS)('$name', async (way, context) => {
    if (outrigger === undefined) return context.skip(NO_ENVOY);
    const wanted = await hosts(envoyPort, way, `/${way.name}`);
    expect(await hosts(outrigger.port, way, `/${way.name}`)).toEqual(wanted);
    expect(new Set(wanted).size).toBeGreaterThan(2);
  });

  it('weighted clusters chosen by hash', async (context) => {
    if (outrigger === undefined) return context.skip(NO_ENVOY);
    const way = WAYS[0] as Way;
    const wanted = await hosts(envoyPort, way, '/weighted');
    expect(await hosts(outrigger.port, way, '/weighted')).toEqual(wanted);
    expect(new Set(wanted).size).toBe(2);
  });
});

function startHost(name: string): Promise<Server> {
  const server = createServer((_request, response) => response.end(name));
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

function hostOf(agent: Agent, port: number, path: string, headers: readonly [string, string][]): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, agent, headers: ['host', 'a', ...headers.flat()] },
      (reply) => {
        let text = '';
        reply.setEncoding('latin1').on('data', (chunk: string) => {
          text += chunk;
        });
        reply.on('end', () => resolve(reply.statusCode === 200 ? text : `${reply.statusCode} ${text}`));
      },
    );
    sent.once('error', reject).end();
  });
}

function configuration(ports: readonly number[]): string {
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
  - name: hashing
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: hashing
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
${WAYS.map(route).join('\n')}
              - match: { path: /weighted }
                route:
                  hash_policy: ${HEADER}
                  weighted_clusters:
                    use_hash_policy: true
                    clusters: [{ name: only-0, weight: 30 }, { name: only-1, weight: 77 }]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
${WAYS.map((way) => cluster(way, ports)).join('\n')}
${ports.map(single).join('\n')}
`;
}

function route({ name, hashPolicy }: Way): string {
  return `              - match: { path: /${name} }
                route: { cluster: ${name}, hash_policy: ${hashPolicy} }`;
}

/** Endpoints that say the same of their locality are one group. */
function cluster(way: Way, ports: readonly number[]): string {
  const groups = Map.groupBy(ports.keys(), (i) => way.locality?.(i) ?? '');
  const endpoints = [...groups].map(([locality, members]) => {
    const fields = members.map((i) => {
      const more = way.member?.(i) ?? '';
      return `{ ${address(ports[i] as number)}${more === '' ? '' : `, ${more}`} }`;
    });
    return `    - { ${locality === '' ? '' : `${locality}, `}lb_endpoints: [${fields.join(', ')}] }`;
  });
  return `  - name: ${way.name}
    connect_timeout: 5s
${way.cluster.replace(/^ */gm, '    ')}
    load_assignment:
      cluster_name: ${way.name}
      endpoints:
${endpoints.map((line) => `  ${line}`).join('\n')}`;
}

function single(port: number, i: number): string {
  return `  - name: only-${i}
    load_assignment: { cluster_name: only-${i}, endpoints: [{ lb_endpoints: [{ ${address(port)} }] }] }`;
}

function address(port: number): string {
  return `endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;
}
