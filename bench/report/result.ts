import type { MachineFacts } from '../measure/machine.ts';
import type { Spread } from '../measure/statistics.ts';
import type { PeerName } from '../peers/peer.ts';
import type { Scenario } from '../scenario.ts';

/** Everything that one `outrigger bench` found out; what `--json` writes. Times are µs unless the name says otherwise. */
export interface BenchReport {
  readonly schema: 'outrigger.bench/1';
  readonly startedAt: string;
  readonly seconds: number;
  /** How to do it again. */
  readonly command: string;
  readonly machine: MachineFacts;
  readonly cores: { readonly proxy: readonly number[]; readonly load: readonly number[]; readonly pinned: boolean };
  readonly load: string;
  readonly rounds: number;
  readonly durationS: number;
  readonly peers: readonly PeerFacts[];
  readonly scenarios: readonly ScenarioResult[];
  readonly memory: readonly MemoryResult[];
  readonly start: readonly StartResult[];
  readonly idle: readonly IdleResult[];
  readonly scaling: readonly ScalingResult[];
  readonly warnings: readonly string[];
}

export interface PeerFacts {
  readonly name: PeerName;
  readonly version: string;
  readonly description: string;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly backend: string;
  /** The generator of the saturation. */
  readonly load: string;
  readonly command: string;
  readonly peers: readonly PeerResult[];
}

export interface PeerResult {
  readonly peer: PeerName;
  /** Why there are no (more) figures. */
  readonly error?: string;
  readonly saturation?: SaturationFigures;
  /** Fixed rates, lowest first. */
  readonly rates: readonly RateFigures[];
}

export interface CpuFigures {
  /** CPU per request of the proxy's process; none for the direct peer. */
  readonly processMicros?: Spread;
  /** CPU per request of the whole machine: load generator, backend and kernel included. */
  readonly machineMicros: Spread;
}

export interface SaturationFigures extends CpuFigures {
  readonly requestsPerSecond: Spread;
  /** Median time to an answer in the closed loop; where the generator tells it. */
  readonly p50?: Spread;
  readonly errors: number;
  /** CPU time of the proxy's process by wall time, median of the rounds, %; none for the direct peer. */
  readonly cpuPercent?: number;
}

/** Below this the proxy waited: load or backend were the limit, and what they let through costs more per request. */
export const SATURATED_PERCENT = 80;

/** True when the proxy's process did not use up its core at saturation. */
export function isLimitedElsewhere(figures: SaturationFigures): boolean {
  return figures.cpuPercent !== undefined && figures.cpuPercent < SATURATED_PERCENT;
}

export interface RateFigures extends CpuFigures {
  /** Of the slowest proxy's saturation rate. */
  readonly share: number;
  readonly rate: number;
  readonly achievedRate: Spread;
  readonly p50: Spread;
  readonly p90: Spread;
  readonly p99: Spread;
  readonly p999: Spread;
  readonly max: Spread;
  /** Median over the rounds, at rising percentiles. */
  readonly curve: readonly (readonly [percentile: number, micros: number])[];
  readonly errors: number;
  readonly unanswered: number;
  /** Why the generator, and not the proxy, may be what was measured. */
  readonly generatorLimits: readonly string[];
}

export interface MemoryResult {
  readonly peer: PeerName;
  readonly error?: string;
  readonly idleKiB?: Spread;
  /** Highest value while 1,000 keep-alive connections carry traffic. */
  readonly loadedKiB?: Spread;
}

export interface StartResult {
  readonly peer: PeerName;
  readonly error?: string;
  /** From the spawn of the launcher to the first answer. */
  readonly startMs?: Spread;
}

export const IDLE_CONNECTIONS = 10_000;

/** With 10,000 keep-alive connections that do nothing, each of which has had one request. */
export interface IdleResult {
  readonly peer: PeerName;
  readonly error?: string;
  /** Of the process. */
  readonly connectedKiB?: Spread;
  /** What the process grew by, by connection. */
  readonly perConnectionKiB?: Spread;
}

/** Throughput and CPU by the number of workers. */
export interface ScalingResult {
  readonly peer: PeerName;
  readonly error?: string;
  /** The load ran on the proxy's cores: rates say little. */
  readonly sharesCores: boolean;
  /** Fewest workers first. */
  readonly points: readonly ScalingPoint[];
  /** CPU per request of one worker by that of two, of each round's pair: 1 when the second costs nothing. */
  readonly cpuEfficiency?: Spread;
  /** Rate of two workers by twice that of one; not where load and proxy share cores. */
  readonly rateEfficiency?: Spread;
}

export interface ScalingPoint {
  readonly concurrency: number;
  readonly requestsPerSecond: Spread;
  /** CPU per request of the proxy's process. */
  readonly processMicros: Spread;
  /** CPU time of the proxy's process by wall time, median of the rounds. */
  readonly coresUsed: number;
  readonly errors: number;
}

/** The share of the slowest peer's saturation at which CPU is compared at an equal rate. */
export const EQUAL_RATE_SHARE = 0.5;

export function equalRate(result: PeerResult): RateFigures | undefined {
  return result.rates.find((figures) => figures.share === EQUAL_RATE_SHARE);
}
