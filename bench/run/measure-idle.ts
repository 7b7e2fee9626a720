import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readRssKiB } from '../measure/proc.ts';
import { spread } from '../measure/statistics.ts';
import { ENVOY_LIKE, withDescriptors } from '../peers/adapted-peer.ts';
import { IDLE_CONNECTIONS, type IdleResult } from '../report/result.ts';
import { start } from './children.ts';
import { SETTLE_MS, sampleProxies } from './measure-process.ts';
import { type Plan, trialSeconds } from './plan.ts';
import type { Progress } from './progress.ts';
import { loadTarget, type Trial, type TrialEnv } from './trial.ts';

/** What is freed or given back only after the last request is so by then. */
const IDLE_MS = 5000;
/** For the connections to the backend, files, and what a proxy needs besides. */
const OTHER_DESCRIPTORS = 1000;

/** Resident memory while 10,000 keep-alive connections do nothing, each of which has had one request. */
export async function measureIdle(env: TrialEnv, plan: Plan, progress: Progress): Promise<IdleResult[]> {
  const peers = plan.peers
    .filter((peer) => ENVOY_LIKE.has(peer.name))
    .map((peer) => withDescriptors(peer, IDLE_CONNECTIONS + OTHER_DESCRIPTORS));
  const all = await sampleProxies(env, peers, plan.memoryRounds, async (samples, trial, pid) => {
    progress.show(`idle connections  ${samples.peer.name}`);
    await sleep(SETTLE_MS);
    const before = readRssKiB(pid);
    samples.second.push(await withIdleConnections(trial, () => readRssKiB(pid)));
    samples.first.push(before);
    progress.done(trialSeconds(plan).idle);
  });
  return all.map(({ peer, first, second, error }) => {
    const connectedKiB = spread(second);
    const perConnectionKiB = spread(second.map((after, round) => (after - (first[round] ?? NaN)) / IDLE_CONNECTIONS));
    return {
      peer: peer.name,
      ...(error !== undefined && { error }),
      ...(connectedKiB && { connectedKiB }),
      ...(perConnectionKiB && { perConnectionKiB }),
    };
  });
}

/** Reads something while the connections, held by a process of their own, have been idle for a while. */
async function withIdleConnections(trial: Trial, read: () => number): Promise<number> {
  const { root, loadCores } = trial.env;
  const target = { ...loadTarget(trial), connections: IDLE_CONNECTIONS };
  const args = [join(root, 'bench', 'load', 'idle-connections.ts'), JSON.stringify(target)];
  const client = start({ command: join(root, 'bin', 'node'), args }, loadCores);
  const failure = (): Error => new Error(`idle connections: ${client.stderrTail() || 'their process ended'}`);
  try {
    await new Promise<void>((resolve, reject) => {
      client.onStdout(() => resolve());
      void client.closed.then(() => reject(failure()));
    });
    await sleep(IDLE_MS);
    const value = read();
    if (client.hasExited()) throw failure();
    return value;
  } finally {
    await client.stop();
  }
}
