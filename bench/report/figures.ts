import published from '../../docs/benchmark.json' with { type: 'json' };
import { SCENARIOS } from '../scenarios.ts';
import type { BenchReport } from './result.ts';
import { formatNumber } from './tables.ts';

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

/** The scenarios that measure a filter or a feature, the best first, and the one that they are compared with. */
const MEASURED_BY: Readonly<Record<string, readonly [scenarios: string, base?: string]>> = {
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
  'envoy.filters.http.rbac': ['rbac_last_1,authz,rbac_accept_all', 'http'],
  'envoy.filters.http.router': ['http'],
  'envoy.filters.http.tap': ['tap', 'http'],
  'envoy.filters.network.connection_limit': ['connection_limit', 'http'],
  'envoy.filters.network.http_connection_manager': ['http'],
  'envoy.filters.network.rbac': ['network_rbac', 'http'],
  'envoy.filters.network.tcp_proxy': ['tcp'],
  'access log': ['logging,access_log', 'http'],
  'circuit breakers': ['circuit_breaking', 'http'],
  'outlier detection': ['circuit_breaking', 'http'],
  retries: ['retry', 'http'],
  'TLS, receiver': ['tls', 'http'],
  'TLS, both ends': ['mtls', 'http'],
  tracing: ['tracing', 'http'],
};

/** The newest published figures of a part; the newest run that has its base too, if there is one. */
export function costOf(part: string, runs: readonly PublishedRun[] = PUBLISHED_RUNS): Cost {
  const [names = '', base] = MEASURED_BY[part] ?? [];
  const there = names.split(',').filter((name) => SCENARIOS.some((scenario) => scenario.name === name));
  const candidates = there.flatMap((scenario) =>
    runs.filter((run) => run.scenarios[scenario] !== undefined).map((run) => ({ scenario, run })),
  );
  const best =
    candidates.findLast(({ run }) => base !== undefined && run.scenarios[base] !== undefined) ?? candidates.at(-1);
  const scenario = best?.scenario ?? there[0];
  if (scenario === undefined) return { scenario: undefined, command: undefined };
  const command = `outrigger bench --scenario ${base === undefined ? '' : `${base},`}${scenario} --peer envoy,outrigger`;
  if (best === undefined) return { scenario, command };
  const beside = base === undefined ? undefined : best.run.scenarios[base];
  const whole = best.run.scenarios[scenario]!;
  return { scenario, whole, ...(beside === undefined ? {} : { base: beside }), run: best.run, command };
}

/** True for what is not added to a router, but is one. */
function isWhole(name: string): boolean {
  return MEASURED_BY[name]?.[1] === undefined;
}

/** A cost in words: never a number that nobody has measured. */
export function costLines(name: string, { scenario, whole, base, run, command }: Cost): string[] {
  if (scenario === undefined) return [`${name}: not measured; the benchmark has no scenario for it`];
  if (whole === undefined || run === undefined) return [`${name}: not measured; measure it with \`${command}\``];
  const source = `scenario ${scenario}, ${run.date}`;
  if (base !== undefined) {
    const own = (proxy: 'envoy' | 'outrigger'): string => (whole[proxy] - base[proxy]).toFixed(1);
    const text = `${own('outrigger')} µs of CPU per request, in Envoy ${own('envoy')} µs`;
    return [`${name}: ${text} (${source}, less the router alone)`];
  }
  const all = `${name}: a request costs ${whole.outrigger} µs of CPU in all, in Envoy ${whole.envoy} µs (${source})`;
  return isWhole(name) ? [all] : [all, `its own share is not measured; measure it with \`${command}\``];
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

/** As the tables say it. */
function digits(micros: number): number {
  return Number(formatNumber(micros).replaceAll(',', ''));
}
