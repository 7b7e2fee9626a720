import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Attribution, attributeKernel, attributeOutrigger } from '../../src/lab/profile/attribute.ts';
import { JitMap } from '../../src/lab/profile/jit-map.ts';
import {
  type CounterValues,
  type InsideView,
  PROFILE_SCHEMA,
  type ProfileReport,
  paperSums,
  partsOfSamples,
  type SystemCallTimes,
} from '../../src/lab/profile/profile-report.ts';
import { SourcePlaces } from '../../src/lab/profile/source-places.ts';
import type { Sample } from '../../src/lab/profile/stack-reader.ts';
import type { ComponentReport } from '../../src/observe/component-report.ts';
import { saturationLoad } from '../load/saturation.ts';
import { machineFacts } from '../measure/machine.ts';
import { processTree } from '../measure/proc.ts';
import type { Peer } from '../peers/peer.ts';
import { makeFixtures } from '../policies/fixtures.ts';
import { killAll } from '../run/children.ts';
import { divideCores } from '../run/plan.ts';
import { freePorts } from '../run/ports.ts';
import { saturate, type Trial, type TrialEnv, withTrial } from '../run/trial.ts';
import type { Scenario } from '../scenario.ts';
import { filterNames } from './filter-names.ts';
import { countEvents, findPerf, readStacks, recordStacks, SAMPLE_HZ, SAMPLED_EVENT } from './perf.ts';
import { profiledPeer } from './profiled-peer.ts';
import { traceSystemCalls } from './system-calls.ts';

export interface ProfileOptions {
  readonly root: string;
  readonly peer: Peer;
  readonly scenario: Scenario;
  /** In place of the scenario's. */
  readonly canonical: Readonly<Record<string, unknown>> | undefined;
  readonly configName: string;
  readonly durationS: number;
  /** Lets Outrigger's own probes look at the same load. */
  readonly inside: boolean;
  /** Only where it is: no system calls, no counters. */
  readonly stacksOnly?: boolean;
  readonly command: string;
}

/** The proxy serves so long before anything is looked at: code is compiled, connections are open. */
const WARM_UP_S = 3;
/** Load runs longer than what is looked at, at both ends. */
const MARGIN_S = 1;
const COUNTED_S = 2;

/** Starts the peer with a backend, and looks at it under load. @throws when something it needs is missing */
export async function profile(options: ProfileOptions): Promise<ProfileReport> {
  const { root, peer, scenario, canonical, durationS } = options;
  const perf = findPerf();
  if (perf === undefined) throw new Error("perf is not installed (Debian's package linux-perf)");
  const folder = join(root, '.bench');
  mkdirSync(folder, { recursive: true });
  const workFolder = mkdtempSync(join(folder, 'profile-'));
  const cores = divideCores();
  const loadFor = (one: Scenario) => saturationLoad(root, one);
  const fixtures = await makeFixtures(root, join(workFolder, 'certificates'), [scenario]);
  const env: TrialEnv = { root, workFolder, proxyCores: cores.proxy, loadCores: cores.load, loadFor, fixtures };
  const [adminPort] = options.inside && peer.name === 'outrigger' ? await freePorts(1) : [];
  const looked = profiledPeer({ root, peer, canonical, adminPort });
  const startedAt = new Date().toISOString();
  const facts = machineFacts();
  try {
    const recording = join(workFolder, 'perf.data');
    const jitCopy: { dump: Buffer | undefined } = { dump: undefined };
    const seen = await withTrial(env, looked, scenario, async (trial) => {
      const pids = processTree(trial.pid as number);
      await saturate(trial, WARM_UP_S);
      const before = adminPort === undefined ? undefined : await components(adminPort);
      const sampled = await underLoad(trial, durationS, () =>
        recordStacks(perf, pids, durationS, recording, cores.load),
      );
      const after = adminPort === undefined ? undefined : await components(adminPort);
      const rest = options.stacksOnly === true ? undefined : await lookFurther(trial, perf, pids, cores.load);
      // V8 writes the last of its map when it ends.
      if (peer.name === 'outrigger') jitCopy.dump = await lastWords(trial);
      return { sampled, rest, inside: insideView(before, after) };
    });
    const samples = await partsSampled(perf, recording, attribution(options, jitCopy.dump));
    const { result, cpu } = seen.sampled.load;
    const cpuUsPerRequest = cpu.processMicros / result.requests;
    const parts = partsOfSamples(samples, cpuUsPerRequest);
    const perSecond = result.requestsPerSecond;
    return {
      schema: PROFILE_SCHEMA,
      startedAt,
      command: options.command,
      machine: { cpu: facts.cpu, cores: facts.cores, kernel: facts.kernel, node: facts.node },
      peer: { name: peer.name, version: peer.version, description: peer.description },
      config: options.configName,
      protocol: scenario.protocol,
      load: { tool: loadFor(scenario).name, connections: scenario.connections, durationS },
      requests: result.requests,
      requestsPerSecond: perSecond,
      cpuUsPerRequest,
      sampling: {
        event: `${SAMPLED_EVENT} (software)`,
        hz: SAMPLE_HZ,
        samples: [...samples.values()].reduce((sum, count) => sum + count, 0),
      },
      parts,
      ...paperSums(parts),
      ...(seen.rest ?? NOTHING_FURTHER),
      ...(seen.inside === undefined ? {} : { inside: seen.inside }),
      notes: [],
    };
  } finally {
    killAll();
    rmSync(workFolder, { recursive: true, force: true });
  }
}

const NOTHING_FURTHER: Pick<ProfileReport, 'systemCalls' | 'counters'> = {
  systemCalls: { tool: null, note: 'not looked at', calls: [] },
  counters: { kind: 'software', note: 'not looked at', perRequest: {}, derived: {} },
};

async function lookFurther(
  trial: Trial,
  perf: string,
  pids: readonly number[],
  cores: readonly number[],
): Promise<Pick<ProfileReport, 'systemCalls' | 'counters'>> {
  const traced = await underLoad(trial, COUNTED_S, () => traceSystemCalls(pids, COUNTED_S, cores));
  const counted = await underLoad(trial, 2 * COUNTED_S, () => countEvents(perf, pids, COUNTED_S, cores));
  return {
    systemCalls: callsPerRequest(traced.looked, traced.load.result.requestsPerSecond * COUNTED_S),
    counters: countersPerRequest(counted.looked, counted.load.result.requestsPerSecond * COUNTED_S),
  };
}

interface UnderLoad<T> {
  readonly load: Awaited<ReturnType<typeof saturate>>;
  readonly looked: T;
}

/** Loads the peer, and looks at it while the load is steady. */
async function underLoad<T>(trial: Trial, seconds: number, look: () => Promise<T>): Promise<UnderLoad<T>> {
  const loading = saturate(trial, seconds + 2 * MARGIN_S);
  // Whoever waits for the look first must not find a rejected load unhandled.
  loading.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, MARGIN_S * 1000));
  const looked = await look();
  return { load: await loading, looked };
}

async function lastWords(trial: Trial): Promise<Buffer | undefined> {
  process.kill(trial.pid as number, 'SIGTERM');
  for (let i = 0; i < 100; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    try {
      process.kill(trial.pid as number, 0);
    } catch {
      break;
    }
  }
  const [file] = globSync(join(trial.directory, 'jit-*.dump'));
  return file === undefined ? undefined : readFileSync(file);
}

function attribution({ root, peer, canonical }: ProfileOptions, dump: Buffer | undefined): Attribution {
  if (peer.name !== 'outrigger') return attributeKernel;
  if (dump === undefined) throw new Error('V8 wrote no map of its code');
  return attributeOutrigger(JitMap.parse(dump), new SourcePlaces(root, filterNames(canonical)));
}

async function partsSampled(perf: string, file: string, partOf: Attribution): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  await readStacks(perf, file, (sample: Sample) => {
    const part = partOf(sample);
    counts.set(part, (counts.get(part) ?? 0) + 1);
  });
  if (counts.size === 0) throw new Error('perf took no sample');
  return counts;
}

function callsPerRequest(traced: Awaited<ReturnType<typeof traceSystemCalls>>, requests: number): SystemCallTimes {
  return {
    tool: traced.tool,
    note: traced.note,
    calls: traced.calls.map(({ name, count, ns }) => ({
      name,
      perRequest: count / requests,
      meanUs: ns / count / 1000,
      usPerRequest: ns / requests / 1000,
    })),
  };
}

function countersPerRequest(counts: ReadonlyMap<string, number>, requests: number): CounterValues {
  const instructions = counts.get('instructions');
  const derived: Record<string, number> = {};
  const perKilo = (name: string, event: string): void => {
    const value = counts.get(event);
    if (value !== undefined && instructions !== undefined) derived[name] = (1000 * value) / instructions;
  };
  const cycles = counts.get('cycles');
  if (instructions !== undefined && cycles !== undefined) derived.ipc = instructions / cycles;
  perKilo('l1i_mpki', 'L1-icache-load-misses');
  perKilo('l2_mpki', 'l2_rqsts.miss');
  perKilo('itlb_walks_per_kilo_instruction', 'iTLB-load-misses');
  return {
    kind: instructions === undefined ? 'software' : 'hardware',
    note: instructions === undefined ? 'this machine lets nobody count cycles or instructions' : '',
    perRequest: Object.fromEntries([...counts].map(([name, value]) => [name, value / requests])),
    derived,
  };
}

async function components(port: number): Promise<ComponentReport> {
  return (await (await fetch(`http://127.0.0.1:${port}/components`)).json()) as ComponentReport;
}

/** What the probes saw between two reports. */
function insideView(from: ComponentReport | undefined, to: ComponentReport | undefined): InsideView | undefined {
  if (from === undefined || to === undefined) return undefined;
  const times = (report: ComponentReport): Map<string, number> => {
    const sums = new Map<string, number>();
    for (const { parts } of report.routes)
      for (const { part, ns } of parts) sums.set(part, (sums.get(part) ?? 0) + ns / 1000);
    return sums;
  };
  const requestsOf = ({ routes }: ComponentReport): number =>
    routes.reduce((sum, { requests, reads }) => sum + (requests > 0 ? requests : reads / 2), 0);
  const requests = requestsOf(to) - requestsOf(from);
  const before = times(from);
  const cpuNs = (to.cpuNs ?? 0) - (from.cpuNs ?? 0);
  const looseNs = (to.unattributedNs ?? 0) - (from.unattributedNs ?? 0);
  return {
    requests,
    cpuUsPerRequest: cpuNs / 1000 / requests,
    unattributedShare: cpuNs === 0 ? 0 : looseNs / cpuNs,
    usPerRequest: Object.fromEntries(
      [...times(to)].map(([part, us]) => [part, (us - (before.get(part) ?? 0)) / requests]),
    ),
  };
}
