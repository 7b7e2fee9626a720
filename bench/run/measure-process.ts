import { readRssKiB } from '../measure/proc.ts';
import { spread } from '../measure/statistics.ts';
import type { Peer } from '../peers/peer.ts';
import type { MemoryResult, StartResult } from '../report/result.ts';
import type { Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios.ts';
import { MEMORY_CONNECTIONS, type Plan, trialSeconds } from './plan.ts';
import type { Progress } from './progress.ts';
import { inRounds } from './rounds.ts';
import { saturate, type Trial, type TrialEnv, withTrial } from './trial.ts';

const SAMPLE_EVERY_MS = 100;
/** What a process still does right after its start is no longer going on by then. */
export const SETTLE_MS = 1000;

/** What figures of the process, and of its scaling, are measured with. */
export const PROCESS_SCENARIO = SCENARIOS.find((scenario) => scenario.name === 'http') as Scenario;

/** Two figures of one peer, by round. */
export interface Samples {
  readonly peer: Peer;
  readonly first: number[];
  readonly second: number[];
  error: string | undefined;
}

/** Resident memory, idle and with 1,000 keep-alive connections that carry traffic, through the HTTP router. */
export async function measureMemory(env: TrialEnv, plan: Plan, progress: Progress): Promise<MemoryResult[]> {
  const each = trialSeconds(plan).memory;
  const all = await sampleProxies(env, plan.peers, plan.memoryRounds, async (samples, trial, pid) => {
    progress.show(`memory  ${samples.peer.name}`);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    samples.first.push(readRssKiB(pid));
    let highest = 0;
    const sampler = setInterval(() => {
      try {
        highest = Math.max(highest, readRssKiB(pid));
      } catch {
        // The process is gone: the load's own failure says so.
      }
    }, SAMPLE_EVERY_MS);
    try {
      await saturate(trial, plan.durationS, MEMORY_CONNECTIONS);
    } finally {
      clearInterval(sampler);
    }
    samples.second.push(highest);
    progress.done(each);
  });
  return all.map(({ peer, first, second, error }) => {
    const idleKiB = spread(first);
    const loadedKiB = spread(second);
    return {
      peer: peer.name,
      ...(error !== undefined && { error }),
      ...(idleKiB && { idleKiB }),
      ...(loadedKiB && { loadedKiB }),
    };
  });
}

/** Time from the spawn of each peer's launcher to its first answer. */
export async function measureStart(env: TrialEnv, plan: Plan, progress: Progress): Promise<StartResult[]> {
  const each = trialSeconds(plan).start;
  const all = await sampleProxies(env, plan.peers, plan.starts, async (samples, trial) => {
    progress.show(`start to first 200  ${samples.peer.name}`);
    samples.first.push(trial.startMs);
    progress.done(each);
  });
  return all.map(({ peer, first, error }) => {
    const startMs = spread(first);
    return { peer: peer.name, ...(error !== undefined && { error }), ...(startMs && { startMs }) };
  });
}

/** Runs every proxy once per round, in fresh processes, with the scenario of such figures. */
export async function sampleProxies(
  env: TrialEnv,
  peers: readonly Peer[],
  rounds: number,
  sample: (samples: Samples, trial: Trial, pid: number) => Promise<void>,
): Promise<Samples[]> {
  const all = peers
    .filter((peer) => peer.name !== 'direct')
    .map((peer): Samples => ({ peer, first: [], second: [], error: undefined }));
  await inRounds(all, rounds, (samples) =>
    withTrial(env, samples.peer, PROCESS_SCENARIO, (trial) => sample(samples, trial, trial.pid as number)),
  );
  return all;
}
