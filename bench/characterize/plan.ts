import type { Peer } from '../peers/peer.ts';
import type { Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios.ts';
import type { Configuration } from './configurations.ts';

/** What to characterize, and for how long. */
export interface CharacterizePlan {
  readonly configurations: readonly Configuration[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** Of each measured load, whole seconds. */
  readonly durationS: number;
  /** Shares of a core below all of it that fixed rates bring the proxy to; none leaves fixed rates out. */
  readonly levels: readonly number[];
  /** In how many of the rounds, from the first. */
  readonly levelRounds: number;
  readonly breakdown: boolean;
  /** Bytes of the sweep; none leaves it out. */
  readonly sizes: readonly number[];
  readonly sizeRounds: number;
  /** Where the CPU time goes with each of them too. */
  readonly sizeBreakdown: boolean;
}

const KIB = 1024;
/** Of the paper's appendix B.2. */
export const SIZES = [16, 32, 64, 128, 256, 512, 1024].map((kib) => kib * KIB);

type Pace = Pick<CharacterizePlan, 'rounds' | 'levelRounds' | 'durationS' | 'sizes' | 'sizeRounds'>;

/** For figures to be published. Of costs at saturation differences are taken, of latency none: fewer rounds do. */
export const WHOLE: Pace = { rounds: 3, levelRounds: 2, durationS: 2, sizes: SIZES, sizeRounds: 1 };
/** For a first look. */
export const QUICK: Pace = { rounds: 1, levelRounds: 1, durationS: 1, sizes: [16 * KIB, 1024 * KIB], sizeRounds: 1 };

/** A proxy with a configuration; with one of the message sizes where `bytes` is there. */
export interface Subject {
  readonly peer: Peer;
  readonly configuration: Configuration;
  readonly scenario: Scenario;
  readonly bytes?: number;
}

/** Every proxy with every configuration that it can do, open rows left out. */
export function subjects({ configurations, peers }: CharacterizePlan): Subject[] {
  return configurations.flatMap((configuration) => {
    const scenario = scenarioOf(configuration);
    if (scenario === undefined) return [];
    return peers.filter((peer) => peer.supports(scenario)).map((peer): Subject => ({ peer, configuration, scenario }));
  });
}

/** The same for the sweep of message sizes. */
export function sizedSubjects(plan: CharacterizePlan): Subject[] {
  return subjects(plan)
    .filter(({ configuration }) => configuration.isSized === true)
    .flatMap((subject) =>
      plan.sizes.map((bytes): Subject => {
        const { scenario } = subject;
        const name = `${scenario.name}_${sizeText(bytes)}`;
        return { ...subject, bytes, scenario: { ...scenario, name, bodyBytes: bytes } };
      }),
    );
}

/** `16k`, `1m`. */
export function sizeText(bytes: number): string {
  return bytes % KIB ** 2 === 0 ? `${bytes / KIB ** 2}m` : `${bytes / KIB}k`;
}

/** Undefined where the row is open. @throws when the table names a scenario that there is not */
export function scenarioOf({ name, scenario }: Configuration): Scenario | undefined {
  if (scenario === undefined) return undefined;
  const found = SCENARIOS.find((one) => one.name === scenario);
  if (found === undefined) throw new Error(`${name}: the benchmark has no scenario ${scenario}`);
  return found;
}

export const RATE_WARMUP_MS = 300;
export const PROBE_MS = 700;
/** Guesses at how long a proxy and its backend take to come up and go down, to warm up, and a generator of fixed rates. */
const OVERHEAD_S = 0.8;
const USUAL_WARMUP_S = 2.4;
const GENERATOR_S = 0.7;
/** To warm up, for the load's margins and the counters, and to read the samples. */
const BREAKDOWN_OVERHEAD_S = 8;

/** How long saturation is measured, of which one second is chosen: a second longer than a fixed rate, but for a first look. */
export function saturationSeconds(durationS: number): number {
  return durationS === 1 ? 1 : durationS + 1;
}

/** How long the stacks are sampled: a second is enough for shares to whole percents. */
export function breakdownSeconds({ durationS }: CharacterizePlan): number {
  return Math.min(durationS, 2);
}

/** Estimates for one of each. */
export function stepSeconds(plan: CharacterizePlan): Record<'saturation' | 'level' | 'probe' | 'breakdown', number> {
  return {
    saturation: OVERHEAD_S + USUAL_WARMUP_S + saturationSeconds(plan.durationS),
    level: GENERATOR_S + RATE_WARMUP_MS / 1000 + plan.durationS,
    probe: GENERATOR_S + (RATE_WARMUP_MS + PROBE_MS) / 1000,
    breakdown: BREAKDOWN_OVERHEAD_S + breakdownSeconds(plan),
  };
}

/** Estimated length of the whole plan. */
export function planSeconds(plan: CharacterizePlan): number {
  const each = stepSeconds(plan);
  const whole = subjects(plan).length;
  const sized = sizedSubjects(plan).length;
  const levels = plan.levels.length;
  return (
    whole * (plan.rounds * each.saturation + levels * (plan.levelRounds * each.level + each.probe)) +
    sized * plan.sizeRounds * each.saturation +
    (plan.breakdown ? (whole + (plan.sizeBreakdown ? sized : 0)) * each.breakdown : 0)
  );
}
