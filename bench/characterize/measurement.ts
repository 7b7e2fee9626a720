import type { Breakdown, LevelFigures, PeerCharacter } from '../../src/lab/characterize/characterization.ts';
import type { OpenLoopResult } from '../load/open-loop.ts';
import type { SaturationResult } from '../load/saturation.ts';
import type { Progress } from '../run/progress.ts';
import { type Contender, inRounds } from '../run/rounds.ts';
import { holdRate, type Measured, saturate, type Trial, type TrialEnv, withTrial } from '../run/trial.ts';
import { correctRate, guessRate } from './calibrate.ts';
import { cheapestSecond } from './cheapest-second.ts';
import { costOf, cpuPercent, fullLevel, levelFigures, saturationFigures } from './figures.ts';
import {
  type CharacterizePlan,
  PROBE_MS,
  RATE_WARMUP_MS,
  type Subject,
  saturationSeconds,
  stepSeconds,
} from './plan.ts';
import { WARMUP_WINDOW_S, warmUp } from './warm-up.ts';

interface Level {
  readonly level: number;
  /** Chosen in the first round, and kept: what is measured at different rates has no median. */
  readonly rate: number;
  readonly runs: Measured<OpenLoopResult>[];
}

/** A proxy with a configuration, and what has been found out about it. */
export class Measurement implements Contender {
  readonly subject: Subject;
  error: string | undefined;
  breakdown: Breakdown | undefined;
  private readonly saturation: Measured<SaturationResult>[] = [];
  private levels: Level[] | undefined;

  constructor(subject: Subject) {
    this.subject = subject;
  }

  /** Every one once per round, the order reversed each round; one that fails is left out from then on. */
  static async inRounds(
    env: TrialEnv,
    plan: CharacterizePlan,
    all: readonly Measurement[],
    progress: Progress,
  ): Promise<void> {
    const each = stepSeconds(plan);
    await inRounds(all, plan.rounds, async (one, round) => {
      const levels = round < plan.levelRounds ? plan.levels : [];
      const seconds = each.saturation + levels.length * (each.level + (round === 0 ? each.probe : 0));
      const { scenario, peer } = one.subject;
      progress.show(`${scenario.name}  ${peer.name}  round ${round + 1}/${plan.rounds}`);
      try {
        await withTrial(env, peer, scenario, async (trial) => one.round(trial, plan.durationS, levels));
      } finally {
        progress.done(seconds);
      }
    });
  }

  character(): PeerCharacter {
    const { error, breakdown, subject } = this;
    const held = this.levels ?? [];
    const full = held.length === 0 ? undefined : fullLevel(this.saturation);
    const levels = [...held.map(levelFigures), full].filter((one): one is LevelFigures => one !== undefined);
    return {
      peer: subject.peer.name,
      ...(error !== undefined && { error }),
      ...saturationFigures(this.saturation),
      levels,
      ...(breakdown && { breakdown }),
    };
  }

  private async round(trial: Trial, durationS: number, levels: readonly number[]): Promise<void> {
    await warmUp(async () => costOf(await saturate(trial, WARMUP_WINDOW_S)));
    const seconds: Measured<SaturationResult>[] = [];
    for (let i = 0; i < saturationSeconds(durationS); i++) seconds.push(await saturate(trial, 1));
    this.saturation.push(cheapestSecond(seconds));
    if (levels.length === 0) return;
    this.levels ??= await this.chooseRates(trial, levels);
    for (const { rate, runs } of this.levels) runs.push(await holdRate(trial, rate, durationS * 1000, RATE_WARMUP_MS));
  }

  private async chooseRates(trial: Trial, levels: readonly number[]): Promise<Level[]> {
    const { requestsPerSecond, cpuMicros } = saturationFigures(this.saturation);
    const saturated = { requestsPerSecond: requestsPerSecond?.median ?? 0, cpuMicros: cpuMicros?.median ?? 0 };
    const chosen: Level[] = [];
    for (const level of levels) {
      const guess = guessRate(saturated, level);
      const probe = await holdRate(trial, guess, PROBE_MS, RATE_WARMUP_MS);
      const probed = { achievedRate: probe.result.achievedRate, cpuPercent: cpuPercent(probe) };
      chosen.push({ level, rate: correctRate(guess, saturated, level, probed), runs: [] });
    }
    return chosen;
  }
}
