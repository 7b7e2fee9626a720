/**
 * Builds a call graph's plan and its full mesh from real processes on loopback and measures both: CPU and memory of all
 * sidecars, and the latency that a client sees at a fixed rate.
 *
 *   bin/node bench/placement/placement.ts examples/call-graphs/hotel.yaml [seconds] [requests per second]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fullMesh } from '../../policies/planner/baseline.ts';
import { readCallGraph } from '../../policies/planner/call-graph-file.ts';
import { constraintsOf } from '../../policies/planner/constraints.ts';
import { defaultProfile } from '../../policies/planner/default-profile.ts';
import { optimize } from '../../policies/planner/optimize.ts';
import { type PlanProblem, planProblem } from '../../policies/planner/problem.ts';
import { type CompiledPlan, compilePlan } from '../../policies/planner/sidecar-file.ts';
import { toYaml } from '../../src/config/expand.ts';
import type { AppPlan } from './hotel-apps.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/outrigger');
const NODE = join(import.meta.dirname, '../../bin/node');
/** Of the kernel's clock, as /proc has it (`getconf CLK_TCK`). */
const TICK_MS = 10;

interface Measured {
  readonly name: string;
  readonly sidecars: number;
  /** CPU of all sidecars per request of the client, ms. */
  readonly cpuMs: number;
  readonly memoryMiB: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

async function measure(
  name: string,
  problem: PlanProblem,
  compiled: CompiledPlan,
  seconds: number,
  rate: number,
): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'placement-'));
  const children: ChildProcess[] = [];
  const sidecars: ChildProcess[] = [];
  const start = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, OUTRIGGER_BUNDLE: process.env.OUTRIGGER_BUNDLE ?? '' },
    });
    children.push(child);
    return child;
  };
  try {
    const apps = start(NODE, [join(import.meta.dirname, 'hotel-apps.ts'), JSON.stringify(appsOf(problem, compiled))]);
    await once(apps.stdout!, 'data');
    await startLimits(problem, folder, start);
    for (const [service, bootstrap] of compiled.sidecars) {
      const file = join(folder, `${service}.yaml`);
      writeFileSync(file, toYaml(bootstrap));
      const child = start(LAUNCHER, ['run', '-c', file, '-l', 'error']);
      child.stdout?.resume();
      sidecars.push(child);
      for (const port of listeningPorts(bootstrap)) await opened(port);
    }
    const entry = compiled.addresses.find(({ from }) =>
      problem.graph.services.some((one) => one.external && one.name === from),
    )!;
    await load(entry.address, 2, rate);
    const before = sidecars.map(cpuMs);
    const { latencies, failed } = await load(entry.address, seconds, rate);
    const cpu = sidecars.reduce((sum, child, index) => sum + cpuMs(child) - before[index]!, 0);
    latencies.sort((a, b) => a - b);
    return {
      name,
      sidecars: sidecars.length,
      cpuMs: cpu / latencies.length,
      memoryMiB: sidecars.reduce((sum, child) => sum + rssMiB(child), 0),
      p50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? Number.NaN,
      p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN,
      failed,
    };
  } finally {
    for (const child of children) {
      if (child.exitCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

function appsOf({ graph }: PlanProblem, { addresses }: CompiledPlan): AppPlan[] {
  return graph.services.flatMap(({ name, app }) =>
    app === undefined
      ? []
      : [{ name, address: app, calls: addresses.filter(({ from }) => from === name).map(({ address }) => address) }],
  );
}

async function startLimits(
  { graph }: PlanProblem,
  folder: string,
  start: (program: string, args: readonly string[]) => ChildProcess,
): Promise<void> {
  for (const { name, document } of graph.policies) {
    const limits = document?.kind.compile(document, 'receiver').limits;
    if (limits === undefined) continue;
    const file = join(folder, `limits-${name}.yaml`);
    writeFileSync(file, toYaml(limits));
    const { service } = document!.spec as {
      service: { address: { socket_address: { address: string; port_value: number } } };
    };
    const { address, port_value: port } = service.address.socket_address;
    start(LAUNCHER, ['ratelimit', '--config', file, '--listen', `${address}:${port}`]).stdout?.resume();
    await opened(port);
  }
}

/** Requests at even distances, whatever becomes of the others; each counts from the moment at which it was due. */
async function load(address: string, seconds: number, rate: number): Promise<{ latencies: number[]; failed: number }> {
  const [host, port] = address.split(':');
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  const latencies: number[] = [];
  let failed = 0;
  const startedAt = performance.now();
  const pending: Promise<void>[] = [];
  for (let count = 0; count < seconds * rate; count++) {
    const dueAt = startedAt + (count * 1000) / rate;
    const waitMs = dueAt - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    pending.push(
      new Promise((resolve) => {
        const sent = httpRequest({ host, port: Number(port), path: '/', agent }, (response) => {
          response.resume();
          response.on('end', () => {
            if (response.statusCode === 200) latencies.push(performance.now() - dueAt);
            else failed++;
            resolve();
          });
        });
        sent.on('error', () => {
          failed++;
          resolve();
        });
        sent.end();
      }),
    );
  }
  await Promise.all(pending);
  agent.destroy();
  return { latencies, failed };
}

async function opened(port: number): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(30)) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.once('connect', () => resolve(socket.destroy() !== undefined));
      socket.once('error', () => resolve(false));
    });
    if (isOpen) return;
  }
  throw new Error(`nothing listens at ${port}`);
}

function listeningPorts(bootstrap: Record<string, unknown>): number[] {
  const { listeners } = bootstrap.static_resources as {
    listeners: { address: { socket_address: { port_value: number } } }[];
  };
  return listeners.map(({ address }) => address.socket_address.port_value);
}

function cpuMs({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function rssMiB({ pid }: ChildProcess): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

const [file = 'examples/call-graphs/hotel.yaml', seconds = '3', rate = '40'] = process.argv.slice(2);
const problem = planProblem(readCallGraph([file]));
const full = fullMesh(problem, constraintsOf(problem));
const { assignment } = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 60_000 });
// The paper's partial mesh: sidecars at all services but the databases, through which all of their traffic passes.
const senders = new Set(problem.placements.flatMap((one) => [...one.senders]));
const others = [...full.adms].filter(
  (adm) => senders.has(adm) || !problem.placements.some(({ receiver }) => receiver === adm),
);
const partial = { adms: new Set(others), sides: problem.placements.map(() => 'sender' as const) };
const meshes: [string, CompiledPlan][] = [
  ['full mesh', compilePlan(problem, full, { everything: true })],
  ['partial mesh', compilePlan(problem, partial, { everything: true })],
  ['plan', compilePlan(problem, assignment)],
  ['no mesh', compilePlan(problem, { adms: new Set(), sides: partial.sides })],
];
process.stdout.write(
  'mesh          sidecars  CPU of sidecars per request, ms  memory, MiB  p50, ms  p99, ms  failed\n',
);
for (const [name, compiled] of meshes) {
  const found = await measure(name, problem, compiled, Number(seconds), Number(rate));
  const cells = [
    found.cpuMs.toFixed(2).padStart(31),
    found.memoryMiB.toFixed(0).padStart(11),
    found.p50Ms.toFixed(1).padStart(7),
  ];
  process.stdout.write(
    `${name.padEnd(12)}  ${String(found.sidecars).padStart(8)}  ${cells.join('  ')}  ${found.p99Ms.toFixed(1).padStart(7)}  ${found.failed}\n`,
  );
}
