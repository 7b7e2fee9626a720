import { generatorLimits, type OpenLoopResult } from '../load/open-loop.ts';
import type { SaturationResult } from '../load/saturation.ts';
import { median, type Spread, spread } from '../measure/statistics.ts';
import type { Peer, PeerName } from '../peers/peer.ts';
import type { CpuFigures, PeerResult, RateFigures, SaturationFigures } from '../report/result.ts';
import type { Scenario } from '../scenario.ts';
import { type Plan, RATE_WARMUP_MS, trialSeconds, WARMUP_S } from './plan.ts';
import type { Progress } from './progress.ts';
import { inRounds } from './rounds.ts';
import { holdRate, type Measured, saturate, type TrialEnv, withTrial } from './trial.ts';

/** The rounds of one peer, index by index those of every other peer of the scenario. */
interface Rounds {
  readonly peer: Peer;
  readonly saturation: Measured<SaturationResult>[];
  /** By share, then by round. */
  readonly rates: Measured<OpenLoopResult>[][];
  error: string | undefined;
}

const LOWEST_RATE = 10;

/** Measures a scenario with every peer that can do it: saturation first, since the fixed rates follow from it. */
export async function measureScenario(
  env: TrialEnv,
  plan: Plan,
  scenario: Scenario,
  progress: Progress,
): Promise<PeerResult[]> {
  const all = plan.peers
    .filter((peer) => peer.supports(scenario))
    .map((peer): Rounds => ({ peer, saturation: [], rates: plan.shares.map(() => []), error: undefined }));
  const each = trialSeconds(plan);

  await inRounds(all, plan.rounds, async (rounds, round) => {
    progress.show(`${scenario.name}  ${rounds.peer.name}  saturation ${round + 1}/${plan.rounds}`);
    await withTrial(env, rounds.peer, scenario, async (trial) => {
      await saturate(trial, WARMUP_S);
      rounds.saturation.push(await saturate(trial, plan.durationS));
    });
    progress.done(each.saturation);
  });

  const slowest = slowestRate(all);
  if (slowest !== undefined && plan.shares.length > 0) {
    await inRounds(all, plan.rateRounds, async (rounds, round) => {
      await withTrial(env, rounds.peer, scenario, async (trial) => {
        await saturate(trial, WARMUP_S);
        for (const [i, share] of plan.shares.entries()) {
          const rate = rateFor(share, slowest);
          progress.show(`${scenario.name}  ${rounds.peer.name}  ${rate} requests/s ${round + 1}/${plan.rateRounds}`);
          rounds.rates[i]?.push(await holdRate(trial, rate, plan.durationS * 1000, RATE_WARMUP_MS));
        }
      });
      progress.done(each.rates);
    });
  }
  return all.map((rounds) => peerResult(rounds, plan, slowest));
}

/** Saturation of the slowest proxy; of the direct peer only when it is alone. */
function slowestRate(all: readonly Rounds[]): number | undefined {
  const proxies = all.filter((rounds) => rounds.peer.name !== 'direct');
  const candidates = (proxies.length > 0 ? proxies : all)
    .map((rounds) => median(rounds.saturation.map((run) => run.result.requestsPerSecond)))
    .filter((rate) => rate > 0);
  return candidates.length === 0 ? undefined : Math.min(...candidates);
}

function rateFor(share: number, slowest: number): number {
  return Math.max(LOWEST_RATE, Math.round(share * slowest));
}

function peerResult(rounds: Rounds, plan: Plan, slowest: number | undefined): PeerResult {
  const { peer, error } = rounds;
  const saturation = saturationFigures(peer.name, rounds.saturation);
  const rates = plan.shares.flatMap((share, i) => {
    const figures = rateFigures(peer.name, share, rateFor(share, slowest ?? 0), rounds.rates[i] ?? []);
    return figures === undefined ? [] : [figures];
  });
  return { peer: peer.name, ...(error !== undefined && { error }), ...(saturation && { saturation }), rates };
}

function saturationFigures(peer: PeerName, runs: readonly Measured<SaturationResult>[]): SaturationFigures | undefined {
  const requestsPerSecond = spread(runs.map((run) => run.result.requestsPerSecond));
  const cpu = cpuFigures(peer, runs, (result) => result.requests);
  if (requestsPerSecond === undefined || cpu === undefined) return undefined;
  const p50 = spread(runs.map((run) => run.result.p50Micros ?? Number.NaN));
  const percents = runs.map((run) => run.cpu.processMicros / (10 * run.wallMs));
  return {
    requestsPerSecond,
    ...(p50 && { p50 }),
    ...cpu,
    errors: runs.reduce((sum, run) => sum + run.result.errors, 0),
    ...(peer !== 'direct' && { cpuPercent: Math.round(median(percents)) }),
  };
}

function rateFigures(
  peer: PeerName,
  share: number,
  rate: number,
  runs: readonly Measured<OpenLoopResult>[],
): RateFigures | undefined {
  const cpu = cpuFigures(peer, runs, (result) => result.answeredInWindow);
  const first = runs[0];
  if (cpu === undefined || first === undefined) return undefined;
  const of = (pick: (result: OpenLoopResult) => number): Spread =>
    spread(runs.map((run) => pick(run.result))) as Spread;
  return {
    share,
    rate,
    ...cpu,
    achievedRate: of((result) => result.achievedRate),
    p50: of((result) => result.latency.p50),
    p90: of((result) => result.latency.p90),
    p99: of((result) => result.latency.p99),
    p999: of((result) => result.latency.p999),
    max: of((result) => result.latency.max),
    curve: first.result.curve.map(
      ([percentile], i) => [percentile, median(runs.map((run) => run.result.curve[i]?.[1] ?? Number.NaN))] as const,
    ),
    errors: runs.reduce((sum, run) => sum + run.result.errors, 0),
    unanswered: runs.reduce((sum, run) => sum + run.result.unanswered, 0),
    generatorLimits: generatorLimits(
      Math.max(...runs.map((run) => run.result.lag.p99)),
      Math.max(...runs.map((run) => run.result.cpuPercent)),
    ),
  };
}

function cpuFigures<R>(
  peer: PeerName,
  runs: readonly Measured<R>[],
  requests: (result: R) => number,
): CpuFigures | undefined {
  const machineMicros = spread(runs.map((run) => run.cpu.machineMicros / requests(run.result)));
  if (machineMicros === undefined) return undefined;
  if (peer === 'direct') return { machineMicros };
  const processMicros = spread(runs.map((run) => run.cpu.processMicros / requests(run.result)));
  return { ...(processMicros && { processMicros }), machineMicros };
}
