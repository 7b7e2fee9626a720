import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type CheckedServer, httpServer } from '../../support/health-servers.ts';
import { LOG_FILE, type ProxyName, ProxyProcess } from '../../support/proxy-process.ts';

/** Waits between two requests. What differs is run again with longer ones: a busy machine is late. */
const SETTLE_MS = [25, 200, 800] as const;

/** A request that the proxy gets, and what comes of it in one line. */
export interface Sent {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
}

/** Both proxies get the same configuration, upstreams and requests; what they make of it is compared. */
export interface Scenario {
  readonly name: string;
  /** Ports of the endpoints. */
  readonly ports: readonly number[];
  /** Of the cluster, in Envoy's form. */
  readonly cluster?: object;
  /** Of the route. */
  readonly route?: object;
  /** Of the endpoints, by index. */
  readonly members?: readonly object[];
  readonly send: readonly Sent[];
  /** Through a TCP proxy: so many connections. */
  readonly isTcp?: boolean;
  /** Compares the requests that each endpoint got, by port. */
  readonly countsHosts?: boolean;
  /** Which endpoint comes first is left to chance, and with it how many attempts a request takes. */
  readonly ignoresLog?: boolean;
  /** One request follows the other at once. */
  readonly isHasty?: boolean;
  /** Waits for one of the statistics before all are read. */
  readonly until?: readonly [name: string, condition: (value: number) => boolean];
}

/** What is compared of a scenario. */
export interface ScenarioOutcome {
  readonly answers: readonly string[];
  readonly flags: readonly string[];
  readonly hosts: readonly string[];
  readonly stats: Readonly<Record<string, number | undefined>>;
}

/** Answers as the path says: `/503`, `/reset`, `/stall`, `/cut`, `/head-only`, `/grpc-14`; else 200. */
export function obedientServer(): Promise<CheckedServer> {
  return httpServer((request, response) => {
    const path = request.url ?? '';
    if (path.startsWith('/stall')) return;
    if (path.startsWith('/reset')) {
      request.socket.resetAndDestroy();
      return;
    }
    if (path.startsWith('/head-only')) {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      return;
    }
    if (path.startsWith('/cut')) {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => setTimeout(() => request.socket.destroy(), 30));
      return;
    }
    const grpc = /^\/grpc-(\d+)/.exec(path);
    if (grpc !== null) {
      response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': grpc[1] ?? '' });
      response.end();
      return;
    }
    if (path.startsWith('/ratelimited')) response.setHeader('x-envoy-ratelimited', 'true');
    if (path.startsWith('/retry-after')) response.setHeader('retry-after', '1');
    response.statusCode = Number(/\d{3}/.exec(path)?.[0] ?? 200);
    response.end('body');
  });
}

const TYPES = 'type.googleapis.com/envoy.extensions';

function listenerOf(scenario: Scenario): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  const access_log = [
    {
      name: 'file',
      typed_config: {
        '@type': `${TYPES}.access_loggers.file.v3.FileAccessLog`,
        path: LOG_FILE,
        log_format: {
          text_format_source: {
            inline_string: `${scenario.name} %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%\n`,
          },
        },
      },
    },
  ];
  const manager = {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: scenario.name,
    use_remote_address: true,
    internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
    access_log,
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: scenario.name, ...scenario.route } }],
        },
      ],
    },
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` } },
    ],
  };
  const tcp = {
    '@type': `${TYPES}.filters.network.tcp_proxy.v3.TcpProxy`,
    stat_prefix: scenario.name,
    cluster: scenario.name,
  };
  const filter =
    scenario.isTcp === true
      ? { name: 'envoy.filters.network.tcp_proxy', typed_config: tcp }
      : { name: 'envoy.filters.network.http_connection_manager', typed_config: manager };
  return { name: scenario.name, address, filter_chains: [{ filters: [filter] }] };
}

function clusterOf({ name, ports, cluster, members }: Scenario): object {
  const lb_endpoints = ports.map((port, index) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
    ...members?.[index],
  }));
  return {
    name,
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints }] },
    common_lb_config: { healthy_panic_threshold: { value: 0 } },
    ...cluster,
  };
}

/** Runs all scenarios in one process of the proxy, each on a listener of its own. */
export async function run(
  name: ProxyName,
  scenarios: readonly Scenario[],
  statistics: readonly string[],
  settleMs: number = SETTLE_MS[0],
): Promise<Map<string, ScenarioOutcome>> {
  const config = { listeners: scenarios.map(listenerOf), clusters: scenarios.map(clusterOf) };
  await using proxy = await ProxyProcess.start(name, `static_resources: ${JSON.stringify(config)}`);
  const outcomes = new Map<string, ScenarioOutcome>();
  for (const scenario of scenarios) {
    const port = proxy.ports.get(scenario.name) ?? 0;
    const answers: string[] = [];
    for (const sent of scenario.send) {
      answers.push(scenario.isTcp === true ? await connection(port) : await answerOf(port, sent));
      // Envoy's worker asks its main thread to eject, and goes on serving.
      if (scenario.isHasty !== true) await sleep(settleMs);
    }
    if (scenario.until !== undefined)
      await proxy.stat(`cluster.${scenario.name}.${scenario.until[0]}`, scenario.until[1], 15_000);
    const stats = await proxy.stats();
    const clusters = await proxy.text('/clusters');
    const hosts = [...clusters.matchAll(/^(.*?)::(.*)::rq_total::(.*)$/gm)]
      .filter(([, cluster]) => cluster === scenario.name && scenario.countsHosts === true)
      .map(([, , host, count]) => `${scenario.ports.indexOf(Number(host?.split(':')[1]))}: ${count}`)
      .sort();
    const flags = [...clusters.matchAll(/^(.*?)::.*::health_flags::(.*)$/gm)]
      .filter(([, cluster]) => cluster === scenario.name)
      .map(([, , words]) => words ?? '')
      // Which of equal endpoints comes first is left to chance.
      .sort();
    outcomes.set(scenario.name, {
      answers,
      flags,
      hosts,
      stats:
        scenario.ignoresLog === true
          ? {}
          : Object.fromEntries(statistics.map((stat) => [stat, stats.get(`cluster.${scenario.name}.${stat}`)])),
    });
  }
  // Every request has its line in the log.
  const wanted = scenarios.filter(({ isTcp }) => isTcp !== true).reduce((sum, { send }) => sum + send.length, 0);
  await proxy.logged(() => proxy.log().length >= wanted, 10_000);
  for (const scenario of scenarios) {
    const outcome = outcomes.get(scenario.name);
    const lines = proxy
      .log()
      .filter((line) => line.startsWith(`${scenario.name} `))
      .map(withSortedFlags);
    if (outcome !== undefined && scenario.isTcp !== true && scenario.ignoresLog !== true)
      outcomes.set(scenario.name, { ...outcome, answers: [...outcome.answers, ...lines] });
  }
  return outcomes;
}

/** Runs all scenarios in both proxies. Answers the outcomes of those that differ, Envoy's first. */
export async function differences(
  scenarios: readonly Scenario[],
  statistics: readonly string[],
): Promise<Record<string, readonly [envoy: unknown, outrigger: unknown]>> {
  let left = scenarios;
  let found: Record<string, readonly [unknown, unknown]> = {};
  for (const settleMs of SETTLE_MS) {
    const [wanted, own] = await Promise.all([
      run('envoy', left, statistics, settleMs),
      run('outrigger', left, statistics, settleMs),
    ]);
    left = left.filter(({ name }) => !isDeepStrictEqual(own.get(name), wanted.get(name)));
    found = Object.fromEntries(left.map(({ name }) => [name, [wanted.get(name), own.get(name)] as const]));
    if (left.length === 0) return found;
  }
  return found;
}

function answerOf(port: number, { path = '/', headers = {}, method = 'GET' }: Sent): Promise<string> {
  return new Promise((resolve) => {
    const request = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false }, (response) => {
      response.resume();
      const overloaded = response.headers['x-envoy-overloaded'] === undefined ? '' : ' overloaded';
      response.on('end', () => resolve(`${response.statusCode}${overloaded}`));
      response.on('error', () => resolve(`${response.statusCode} cut`));
    });
    request.on('error', () => resolve('reset'));
    request.end();
  });
}

/** Connects, and waits for the end. */
function connection(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => resolve('closed'));
    socket.resume();
  });
}

/** Envoy prints flags in the order in which they came up. */
function withSortedFlags(line: string): string {
  const [name, code, flags = '', ...rest] = line.split(' ');
  return [name, code, flags.split(',').sort().join(','), ...rest].join(' ');
}
