import published from '../../docs/benchmark.json' with { type: 'json' };
import { SCENARIOS } from '../scenarios.ts';
import type { BenchReport } from './result.ts';

/** CPU per request of the proxy's process at saturation, µs. */
export interface Micros {
  readonly envoy: number;
  readonly outrigger: number;
}

/** One published run. Figures of different runs are not compared: other work and the machine's speed differ. */
export interface PublishedRun {
  readonly date: string;
  readonly command: string;
  readonly machine: string;
  readonly scenarios: Readonly<Record<string, Micros>>;
}

export const PUBLISHED_RUNS: readonly PublishedRun[] = published.runs as unknown as PublishedRun[];

/** What a part of a configuration costs, as far as it is published. */
export interface Cost {
  /** The scenario that has it; undefined when the benchmark has none. */
  readonly scenario: string | undefined;
  /** Of a request in that scenario, everything included, and the run's own base: the same without the part. */
  readonly whole?: Micros;
  readonly base?: Micros;
  readonly run?: PublishedRun;
  /** What measures it here. */
  readonly command: string | undefined;
}

/** The scenario that measures a filter or a feature, and the one that it is compared with. */
const MEASURED_BY: Readonly<Record<string, readonly [scenario: string, base?: string]>> = {
  'envoy.filters.http.buffer': ['buffer', 'http'],
  'envoy.filters.http.cors': ['cors', 'http'],
  'envoy.filters.http.fault': ['fault', 'http'],
  'envoy.filters.http.header_mutation': ['header_mutation', 'http'],
  'envoy.filters.http.header_to_metadata': ['header_read', 'http'],
  'envoy.filters.http.health_check': ['health_check', 'http'],
  'envoy.filters.http.ip_tagging': ['iptag_1', 'http'],
  'envoy.filters.http.jwt_authn': ['jwt', 'http'],
  'envoy.filters.http.local_ratelimit': ['ratelimit', 'http'],
  'envoy.filters.http.ratelimit': ['ratelimit_global', 'http'],
  'envoy.filters.http.rbac': ['rbac_last_1', 'http'],
  'envoy.filters.http.router': ['http'],
  'envoy.filters.network.connection_limit': ['connection_limit', 'http'],
  'envoy.filters.network.http_connection_manager': ['http'],
  'envoy.filters.network.rbac': ['network_rbac', 'http'],
  'envoy.filters.network.tcp_proxy': ['tcp'],
  'access log': ['logging', 'http'],
  'TLS, receiver': ['tls', 'http'],
  'TLS, both ends': ['mtls', 'http'],
  tracing: ['tracing', 'http'],
};

/** The newest published figures of a part; the newest run that has its base too, if there is one. */
export function costOf(part: string, runs: readonly PublishedRun[] = PUBLISHED_RUNS): Cost {
  const [scenario, base] = MEASURED_BY[part] ?? [];
  if (scenario === undefined || !SCENARIOS.some(({ name }) => name === scenario)) {
    return { scenario: undefined, command: undefined };
  }
  const names = base === undefined ? scenario : `${base},${scenario}`;
  const command = `outrigger bench --scenario ${names} --peer envoy,outrigger`;
  const found = runs.filter((run) => run.scenarios[scenario] !== undefined);
  const run = found.findLast(({ scenarios }) => base !== undefined && scenarios[base] !== undefined) ?? found.at(-1);
  if (run === undefined) return { scenario, command };
  const beside = base === undefined ? undefined : run.scenarios[base];
  return { scenario, whole: run.scenarios[scenario]!, ...(beside === undefined ? {} : { base: beside }), run, command };
}

/** A run as it is published, of what `outrigger bench --json` wrote. Scenarios without both proxies are left out. */
export function publishedRun(report: BenchReport): PublishedRun {
  const scenarios: Record<string, Micros> = {};
  for (const { scenario, peers } of report.scenarios) {
    const of = (peer: string): number | undefined =>
      peers.find((one) => one.peer === peer)?.saturation?.processMicros?.median;
    const [envoy, outrigger] = [of('envoy'), of('outrigger')];
    if (envoy !== undefined && outrigger !== undefined)
      scenarios[scenario.name] = { envoy: digits(envoy), outrigger: digits(outrigger) };
  }
  const { cpu, cores, memoryMiB, kernel } = report.machine;
  const machine = `${cpu}, ${cores} cores, ${memoryMiB} MiB, Linux ${kernel}`;
  return { date: report.startedAt.slice(0, 10), command: report.command, machine, scenarios };
}

/** Three digits that count: no run knows more. */
function digits(micros: number): number {
  return Number(micros.toPrecision(3));
}
