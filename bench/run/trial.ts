import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startBackend } from '../backend/backend.ts';
import { clientTls } from '../load/client-tls.ts';
import type { LoadTarget } from '../load/load-target.ts';
import type { OpenLoopOptions, OpenLoopResult } from '../load/open-loop.ts';
import type { OpenLoopMessage } from '../load/open-loop-main.ts';
import type { SaturationLoad, SaturationResult } from '../load/saturation.ts';
import { type CpuReading, cpuBetween, readCpu } from '../measure/proc.ts';
import type { Peer } from '../peers/peer.ts';
import { pipePath } from '../pipe-path.ts';
import { type Companions, startCompanions } from '../policies/companions.ts';
import type { Fixtures } from '../policies/fixtures.ts';
import { requestHeaders, requestPath, type Scenario, sentBytes } from '../scenario.ts';
import { type Child, start } from './children.ts';
import { freePorts } from './ports.ts';
import { waitForAnswer } from './probe.ts';

/** What all trials of a benchmark share. */
export interface TrialEnv {
  readonly root: string;
  /** Trials make their directories in it. */
  readonly workFolder: string;
  readonly proxyCores: readonly number[];
  readonly loadCores: readonly number[];
  readonly loadFor: (scenario: Scenario) => SaturationLoad;
  readonly fixtures?: Fixtures | undefined;
}

/** A peer that runs, with a backend behind it, ready for load. */
export interface Trial {
  readonly scenario: Scenario;
  readonly env: TrialEnv;
  readonly directory: string;
  readonly port: number;
  /** The proxy's process; undefined for the direct peer. */
  readonly pid: number | undefined;
  readonly backend: string;
  /** From the spawn of the launcher to the first answer; 0 for the direct peer. */
  readonly startMs: number;
}

export interface Measured<T> {
  readonly result: T;
  readonly cpu: CpuReading;
  /** How long the CPU time was counted. */
  readonly wallMs: number;
}

/**
 * Starts a fresh backend and a fresh peer, hands them to `use`, and ends both, whatever happened.
 *
 * @throws when one of them does not come up, with the end of what it said
 */
export async function withTrial<T>(
  env: TrialEnv,
  peer: Peer,
  scenario: Scenario,
  use: (trial: Trial) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(env.workFolder, `${peer.name}-`));
  const { fixtures } = env;
  const backend = await startBackend(scenario, env.root, directory, env.loadCores, fixtures);
  let companions: Companions | undefined;
  let proxy: Child | undefined;
  let isReady = false;
  let socketPath: string | undefined;
  try {
    companions = await startCompanions(scenario, env.root, directory, env.loadCores);
    const [listenPort] = (await freePorts(1)) as [number];
    const backendPort = backend.port;
    const run = { scenario, listenPort, backendPort, directory, fixtures, companions: companions.ports };
    const command = await peer.prepare(run);
    const spawnedAt = performance.now();
    if (command !== undefined) proxy = start(command, env.proxyCores);
    const port = proxy === undefined ? backend.port : listenPort;
    socketPath = scenario.pipes?.downstream === undefined ? undefined : pipePath(port);
    const status = proxy === undefined ? 200 : scenario.expectStatus;
    const probe = {
      port,
      socketPath,
      path: requestPath(scenario),
      status,
      version: scenario.downstream,
      isGrpc: scenario.grpc !== undefined,
      headers: requestHeaders(scenario, fixtures),
      tls: proxy === undefined ? undefined : clientTls(scenario.tls?.downstream, fixtures),
    };
    const answeredAt = await waitForAnswer(probe, proxy);
    const startMs = proxy === undefined ? 0 : answeredAt - spawnedAt;
    isReady = true;
    return await use({ scenario, env, directory, port, pid: proxy?.pid, backend: backend.kind, startMs });
  } catch (error) {
    if (!isReady || !proxy?.hasExited()) throw error;
    const code = await proxy.exited;
    throw new Error(`ended with ${code} under load: ${proxy.stderrTail() || (error as Error).message}`);
  } finally {
    await proxy?.stop();
    await companions?.stop();
    await backend.child.stop();
    // Envoy leaves its Unix sockets behind.
    if (socketPath !== undefined) rmSync(socketPath, { force: true });
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Load as fast as the peer takes it, and the CPU time that it cost. */
export async function saturate(
  trial: Trial,
  durationS: number,
  connections = trial.scenario.connections,
): Promise<Measured<SaturationResult>> {
  const startedAt = performance.now();
  const before = readCpu(trial.pid);
  const result = await trial.env.loadFor(trial.scenario).run({
    target: { ...loadTarget(trial), connections },
    durationS,
    cores: trial.env.loadCores,
    directory: trial.directory,
  });
  const cpu = cpuBetween(before, readCpu(trial.pid));
  return { result, cpu, wallMs: performance.now() - startedAt };
}

/** Load at a fixed rate from the open-loop generator, in a process of its own, and the CPU time of the measured part. */
export async function holdRate(
  trial: Trial,
  rate: number,
  durationMs: number,
  warmupMs: number,
): Promise<Measured<OpenLoopResult>> {
  const options: OpenLoopOptions = { ...loadTarget(trial), rate, durationMs, warmupMs };
  const { root, loadCores } = trial.env;
  const args = [join(root, 'bench', 'load', 'open-loop-main.ts'), JSON.stringify(options)];
  const child = start({ command: join(root, 'bin', 'node'), args }, loadCores);
  let before = readCpu(trial.pid);
  let after: CpuReading | undefined;
  let result: OpenLoopResult | undefined;
  let failure = '';
  forEachLine(child, (line) => {
    const message = JSON.parse(line) as OpenLoopMessage;
    if (message.event === 'measure') before = readCpu(trial.pid);
    else if (message.event === 'measured') after = readCpu(trial.pid);
    else if (message.event === 'result') result = message.result;
    else failure = message.message;
  });
  await child.closed;
  if (result === undefined) throw new Error(`load generator: ${failure || child.stderrTail() || 'no result'}`);
  return { result, cpu: cpuBetween(before, after ?? readCpu(trial.pid)), wallMs: durationMs };
}

/** What a load generator is told of this trial. */
export function loadTarget(trial: Trial): LoadTarget {
  const { scenario, env, port } = trial;
  return {
    host: '127.0.0.1',
    port,
    socketPath: scenario.pipes?.downstream === undefined ? undefined : pipePath(port),
    version: scenario.downstream,
    path: requestPath(scenario),
    connections: scenario.connections,
    streams: scenario.streams,
    bodyBytes: sentBytes(scenario),
    grpc: scenario.grpc,
    // Without a proxy nobody denies.
    expectStatus: trial.pid === undefined ? 200 : scenario.expectStatus,
    headers: requestHeaders(scenario, env.fixtures),
    tls: clientTls(scenario.tls?.downstream, env.fixtures),
    newConnections: scenario.newConnections === true,
  };
}

function forEachLine(child: Child, listener: (line: string) => void): void {
  let rest = '';
  child.onStdout((text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) listener(line);
  });
}
