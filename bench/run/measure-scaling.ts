import { allowedCores } from '../measure/machine.ts';
import { median, pairedRatio, spread } from '../measure/statistics.ts';
import { ENVOY_LIKE, withConcurrency } from '../peers/adapted-peer.ts';
import type { Peer } from '../peers/peer.ts';
import type { ScalingPoint, ScalingResult } from '../report/result.ts';
import { PROCESS_SCENARIO } from './measure-process.ts';
import { type Plan, scalingCores, trialSeconds, WARMUP_S } from './plan.ts';
import type { Progress } from './progress.ts';
import { inRounds } from './rounds.ts';
import { saturate, type TrialEnv, withTrial } from './trial.ts';

/** How many workers a peer is given; the first is what the others are compared with. */
export const CONCURRENCIES = [1, 2] as const;

/** One peer with one number of workers, figures by round. */
interface Point {
  readonly peer: Peer;
  readonly concurrency: number;
  readonly rates: number[];
  /** CPU per request, µs. */
  readonly micros: number[];
  /** CPU time by wall time. */
  readonly cores: number[];
  errors: number;
  error: string | undefined;
}

/** What a second worker brings, on plain HTTP/1.1: throughput, and whether a request costs more CPU with it. */
export async function measureScaling(env: TrialEnv, plan: Plan, progress: Progress): Promise<ScalingResult[]> {
  // Without taskset nothing is pinned.
  const allowed = env.proxyCores.length > 0 ? allowedCores() : [];
  const placed = (concurrency: number) => scalingCores(allowed, concurrency, Math.max(...CONCURRENCIES));
  const peers = plan.peers.filter((peer) => ENVOY_LIKE.has(peer.name));
  const all = peers.flatMap((peer) =>
    CONCURRENCIES.map(
      (concurrency): Point => ({ peer, concurrency, rates: [], micros: [], cores: [], errors: 0, error: undefined }),
    ),
  );
  await inRounds(all, plan.rounds, async (point, round) => {
    const { peer, concurrency } = point;
    progress.show(`scaling  ${peer.name} --concurrency ${concurrency}  ${round + 1}/${plan.rounds}`);
    const { proxy, load } = placed(concurrency);
    const own: TrialEnv = { ...env, proxyCores: proxy, loadCores: load };
    await withTrial(own, withConcurrency(peer, concurrency), PROCESS_SCENARIO, async (trial) => {
      // Each worker compiles code of its own, and sees its share of the requests only.
      await saturate(trial, WARMUP_S * concurrency);
      const { result, cpu, wallMs } = await saturate(trial, plan.durationS);
      point.rates.push(result.requestsPerSecond);
      point.micros.push(cpu.processMicros / result.requests);
      point.cores.push(cpu.processMicros / (1000 * wallMs));
      point.errors += result.errors;
    });
    progress.done(trialSeconds(plan).saturation);
  });
  const isShared = placed(1).shared;
  return peers.map((peer) =>
    scalingResult(
      peer,
      all.filter((point) => point.peer === peer),
      isShared,
    ),
  );
}

/** The figures of one peer; without a rate efficiency where the load ran on the proxy's cores. */
export function scalingResult(peer: Peer, points: readonly Point[], isShared: boolean): ScalingResult {
  const error = points.find((point) => point.error !== undefined)?.error;
  const [one, more] = points;
  const cpuEfficiency = one && more && pairedRatio(one.micros, more.micros);
  const workers = (more?.concurrency ?? 1) / (one?.concurrency ?? 1);
  const rateEfficiency =
    one &&
    more &&
    pairedRatio(
      more.rates,
      one.rates.map((rate) => rate * workers),
    );
  return {
    peer: peer.name,
    ...(error !== undefined && { error }),
    sharesCores: isShared,
    points: points.flatMap(figures),
    ...(cpuEfficiency && { cpuEfficiency }),
    ...(rateEfficiency && !isShared && { rateEfficiency }),
  };
}

function figures(point: Point): ScalingPoint[] {
  const requestsPerSecond = spread(point.rates);
  const processMicros = spread(point.micros);
  if (requestsPerSecond === undefined || processMicros === undefined) return [];
  const { concurrency, errors, cores } = point;
  return [{ concurrency, requestsPerSecond, processMicros, coresUsed: median(cores), errors }];
}
