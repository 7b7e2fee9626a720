import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Attribution,
  attributeInterrupted,
  attributeKernel,
  attributeOutrigger,
} from '../../src/lab/profile/attribute.ts';
import { counterValues } from '../../src/lab/profile/counters.ts';
import { compareInsideOutside } from '../../src/lab/profile/inside-outside.ts';
import { JitMap } from '../../src/lab/profile/jit-map.ts';
import {
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
import { countableEvents, countEvents, findPerf, readStacks, recordStacks, SAMPLE_HZ, SAMPLED_EVENT } from './perf.ts';
import { profiledPeer } from './profiled-peer.ts';
import { type Traced, traceSystemCalls } from './system-calls.ts';

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
  /** For many proxies one after the other: counters and stacks under one load, no system calls. */
  readonly isBrief?: boolean;
  readonly command: string;
}

/** The proxy serves so long before anything is looked at: code is compiled, connections are open. */
const WARM_UP_S = 3;
const BRIEF_WARM_UP_S = 2;
/** Load runs longer than what is looked at, at both ends. */
const MARGIN_S = 1;
const COUNTED_S = 2;
const MOST_WARM_UPS = 5;
const BRIEF_COUNTED_S = 1;

/** Starts the peer with a backend, and looks at it under load. @throws when something it needs is missing */
export async function profile(options: ProfileOptions): Promise<ProfileReport> {
  const { root, peer, scenario, canonical, durationS, isBrief = false } = options;
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
  const isCounted = options.stacksOnly !== true;
  const countedGroups = isCounted && (await countableEvents(perf)).events.length > 0 ? 2 : 1;
  const startedAt = new Date().toISOString();
  const facts = machineFacts();
  try {
    const recording = join(workFolder, 'perf.data');
    const jitCopy: { dump: Buffer | undefined } = { dump: undefined };
    const seen = await withTrial(env, looked, scenario, async (trial) => {
      const pids = processTree(trial.pid as number);
      await saturate(trial, isBrief ? BRIEF_WARM_UP_S : WARM_UP_S);
      if (adminPort !== undefined) await untilWarm(trial, adminPort);
      const before = adminPort === undefined ? undefined : await components(adminPort);
      const sampled = await underLoad(trial, durationS + (isBrief ? countedGroups * BRIEF_COUNTED_S : 0), async () => {
        // Counters first: should the load end too soon, a proxy that idles leaves no samples that would be wrong.
        const counted = isBrief ? await countEvents(perf, pids, BRIEF_COUNTED_S, cores.load) : undefined;
        await recordStacks(perf, pids, durationS, recording, cores.load);
        return counted;
      });
      const after = adminPort === undefined ? undefined : await components(adminPort);
      const rest = isBrief || !isCounted ? undefined : await lookFurther(trial, perf, pids, cores.load);
      // V8 writes the last of its map when it ends.
      if (peer.name === 'outrigger') jitCopy.dump = await lastWords(trial);
      const inside = insideView(before, after, sampled.load.result.requests);
      return { sampled, rest, inside, pid: trial.pid as number };
    });
    const { attribute, interrupted } = attribution(options, jitCopy.dump);
    // The main thread's samples as the probes would give them: theirs is the account of that thread alone.
    const served = new Map<string, number>();
    const samples = await partsSampled(perf, recording, (sample) => {
      if (interrupted !== undefined && sample.threadId === seen.pid) count(served, interrupted(sample));
      return attribute(sample);
    });
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
      ...(seen.sampled.looked && { counters: counterValues(seen.sampled.looked, perSecond * BRIEF_COUNTED_S) }),
      ...(seen.inside === undefined
        ? {}
        : {
            inside: seen.inside,
            insideOutside: compareInsideOutside(seen.inside, served, seen.inside.cpuUsPerRequest),
          }),
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
  const { load, traced } = await traceSystemCalls(pids, cores, () => saturate(trial, COUNTED_S));
  const counted = await underLoad(trial, 2 * COUNTED_S, () => countEvents(perf, pids, COUNTED_S, cores));
  return {
    systemCalls: callsPerRequest(traced, load.result.requests),
    counters: counterValues(counted.looked, counted.load.result.requestsPerSecond * COUNTED_S),
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

interface Attributions {
  readonly attribute: Attribution;
  /** As Outrigger's own probes see it. */
  readonly interrupted?: Attribution;
}

function attribution({ root, peer, canonical, inside }: ProfileOptions, dump: Buffer | undefined): Attributions {
  if (peer.name !== 'outrigger') return { attribute: attributeKernel };
  if (dump === undefined) throw new Error('V8 wrote no map of its code');
  const jit = JitMap.parse(dump);
  const places = new SourcePlaces(root, filterNames(canonical));
  const attribute = attributeOutrigger(jit, places);
  return inside ? { attribute, interrupted: attributeInterrupted(jit, places) } : { attribute };
}

async function partsSampled(perf: string, file: string, partOf: Attribution): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  await readStacks(perf, file, (sample: Sample) => count(counts, partOf(sample)));
  if (counts.size === 0) throw new Error('perf took no sample');
  return counts;
}

function count(counts: Map<string, number>, part: string): void {
  counts.set(part, (counts.get(part) ?? 0) + 1);
}

function callsPerRequest(traced: Traced, requests: number): SystemCallTimes {
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

async function components(port: number): Promise<ComponentReport> {
  return (await (await fetch(`http://127.0.0.1:${port}/components`)).json()) as ComponentReport;
}

/** The probes forget their first events, which a slow machine takes long for. */
async function untilWarm(trial: Trial, adminPort: number): Promise<void> {
  for (let i = 0; i < MOST_WARM_UPS; i++) {
    if ((await components(adminPort)).isWarm) return;
    await saturate(trial, WARM_UP_S);
  }
  throw new Error('the probes have not seen enough events to begin with');
}

/** What the probes saw between two reports, over the requests that the load counted. */
function insideView(
  from: ComponentReport | undefined,
  to: ComponentReport | undefined,
  requests: number,
): InsideView | undefined {
  if (from === undefined || to === undefined) return undefined;
  const times = (report: ComponentReport): Map<string, number> => {
    const sums = new Map<string, number>();
    for (const { parts } of report.routes)
      for (const { part, ns } of parts) sums.set(part, (sums.get(part) ?? 0) + ns / 1000);
    return sums;
  };
  const before = times(from);
  const cpuNs = (to.cpuNs ?? 0) - (from.cpuNs ?? 0);
  const looseNs = (to.unattributedNs ?? 0) - (from.unattributedNs ?? 0);
  return {
    requests,
    rowScale: to.rowScale,
    cpuUsPerRequest: cpuNs / 1000 / requests,
    unattributedShare: cpuNs === 0 ? 0 : looseNs / cpuNs,
    usPerRequest: Object.fromEntries(
      [...times(to)].map(([part, us]) => [part, (us - (before.get(part) ?? 0)) / requests]),
    ),
  };
}
