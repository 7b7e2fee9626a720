import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SidecarProxy } from '../../../../src/sidecar-proxy.ts';
import { startTestProxy } from '../../../support/proxy.ts';
import type { Case, Scenario } from './case.ts';
import { type ClientRecord, runClient } from './client.ts';
import { configuration } from './configuration.ts';
import { EnvoyProcess } from './envoy-process.ts';
import { type Observation, observe, readLog } from './observation.ts';
import { RecordingUpstream, type UpstreamConnection } from './recording-upstream.ts';

/** How often both may flush their access logs before it is read. */
const LOG_FLUSH_MS = 1500;
/** For what the proxy does to the upstream after it is done with the client, and after the client has gone. */
const SETTLE_MS = 5;
const SETTLE_AFTER_CLIENT_MS = 80;
/** Scenarios under way at the same time: most of a case's time is waiting. */
const PARALLEL_SCENARIOS = 4;

interface Subject extends AsyncDisposable {
  readonly listeners: ReadonlyMap<string, number>;
  readonly upstreams: ReadonlyMap<string, RecordingUpstream>;
  readonly logFile: string;
  stats(): Promise<ReadonlyMap<string, number>>;
}

interface Run {
  readonly client: ClientRecord;
  readonly upstream: readonly UpstreamConnection[];
}

/** What both proxies did, by scenario and case. */
export interface Results {
  of(scenario: Scenario, exchange: Case): { envoy: Observation; outrigger: Observation };
  stat(scenario: Scenario, name: string): { envoy: number | undefined; outrigger: number | undefined };
  /** All statistics whose names begin so. */
  statsBelow(prefix: string): { envoy: Record<string, number>; outrigger: Record<string, number> };
}

/** Takes both proxies through all cases. */
export async function runScenarios(envoyProgram: string, scenarios: readonly Scenario[]): Promise<Results> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-differential-'));
  const stack = new AsyncDisposableStack();
  try {
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const deadPort = await unusedPort();
    const envoy = stack.use(await startEnvoy(envoyProgram, scenarios, folder, deadPort));
    const outrigger = stack.use(await startOutrigger(scenarios, folder, deadPort));
    const runs = new Map<Case, { envoy: Run; outrigger: Run }>();
    const queue = [...scenarios];
    const worker = async (): Promise<void> => {
      for (let scenario = queue.shift(); scenario !== undefined; scenario = queue.shift()) {
        for (const exchange of scenario.cases) {
          const [a, b] = await Promise.all([
            runCase(envoy, scenario, exchange),
            runCase(outrigger, scenario, exchange),
          ]);
          runs.set(exchange, { envoy: a, outrigger: b });
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_SCENARIOS }, worker));
    await sleep(LOG_FLUSH_MS);
    return await collect(runs, envoy, outrigger);
  } finally {
    await stack.disposeAsync();
  }
}

async function collect(
  runs: ReadonlyMap<Case, { envoy: Run; outrigger: Run }>,
  envoy: Subject,
  outrigger: Subject,
): Promise<Results> {
  const logs = { envoy: logOf(envoy), outrigger: logOf(outrigger) };
  const stats = { envoy: await envoy.stats(), outrigger: await outrigger.stats() };
  return {
    of(scenario, exchange) {
      const run = runs.get(exchange);
      if (run === undefined) throw new Error(`${scenario.name}: ${exchange.name} did not run`);
      return {
        envoy: observe(exchange, run.envoy.client, run.envoy.upstream, logs.envoy, portsOf(envoy, scenario)),
        outrigger: observe(
          exchange,
          run.outrigger.client,
          run.outrigger.upstream,
          logs.outrigger,
          portsOf(outrigger, scenario),
        ),
      };
    },
    stat: (_scenario, name) => ({ envoy: stats.envoy.get(name), outrigger: stats.outrigger.get(name) ?? 0 }),
    statsBelow: (prefix) => ({ envoy: below(stats.envoy, prefix), outrigger: below(stats.outrigger, prefix) }),
  };
}

function below(stats: ReadonlyMap<string, number>, prefix: string): Record<string, number> {
  return Object.fromEntries([...stats].filter(([name]) => name.startsWith(prefix)).sort());
}

function portsOf(subject: Subject, scenario: Scenario): number[] {
  return [subject.listeners.get(scenario.name) ?? 0, subject.upstreams.get(scenario.name)?.port ?? 0];
}

function logOf(subject: Subject): ReturnType<typeof readLog> {
  return existsSync(subject.logFile) ? readLog(readFileSync(subject.logFile, 'latin1')) : [];
}

async function runCase(subject: Subject, scenario: Scenario, exchange: Case): Promise<Run> {
  const upstream = subject.upstreams.get(scenario.name) as RecordingUpstream;
  upstream.begin(exchange.upstream ?? []);
  const goes = typeof exchange.send !== 'string' && exchange.send.some((step) => step === 'FIN' || step === 'RST');
  let record: readonly UpstreamConnection[] = [];
  // While the client still holds its side: its end would show on the other side sooner or later.
  const client = await runClient(subject.listeners.get(scenario.name) as number, exchange, async () => {
    await sleep(goes ? SETTLE_AFTER_CLIENT_MS : SETTLE_MS);
    record = upstream.record;
  });
  await upstream.finish();
  return { client, upstream: record };
}

async function startUpstreams(scenarios: readonly Scenario[], stack: AsyncDisposableStack) {
  const upstreams = new Map<string, RecordingUpstream>();
  for (const { name } of scenarios) upstreams.set(name, stack.use(await RecordingUpstream.start()));
  const ports = new Map([...upstreams].map(([name, upstream]) => [name, upstream.port]));
  return { upstreams, ports };
}

async function startEnvoy(
  program: string,
  scenarios: readonly Scenario[],
  folder: string,
  deadPort: number,
): Promise<Subject> {
  const stack = new AsyncDisposableStack();
  const { upstreams, ports } = await startUpstreams(scenarios, stack);
  const logFile = join(folder, 'envoy-access.log');
  const text = configuration(scenarios, { upstream: ports, deadPort, logFile });
  const envoy = stack.use(await EnvoyProcess.start(program, text, folder));
  return {
    listeners: await envoy.listeners(scenarios.length),
    upstreams,
    logFile,
    stats: () => envoy.stats(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function startOutrigger(scenarios: readonly Scenario[], folder: string, deadPort: number): Promise<Subject> {
  const stack = new AsyncDisposableStack();
  const { upstreams, ports } = await startUpstreams(scenarios, stack);
  const logFile = join(folder, 'outrigger-access.log');
  const text = configuration(scenarios, { upstream: ports, deadPort, logFile });
  const proxy = stack.use(await startTestProxy(text, { drainTimeMs: 0 }));
  return {
    listeners: new Map(proxy.proxy.listeners().map((listener) => [listener.name, listener.port])),
    upstreams,
    logFile,
    stats: async () => {
      const { counters, gauges } = (proxy.proxy as SidecarProxy).runtime.stats;
      return new Map([...counters, ...gauges].map(([name, { value }]) => [name, value]));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A port that was free a moment ago: connecting to it is refused. */
async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
