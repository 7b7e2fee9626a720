import { availableParallelism } from 'node:os';
import { allowedCores } from '../measure/machine.ts';
import { ENVOY_LIKE } from '../peers/adapted-peer.ts';
import type { Peer } from '../peers/peer.ts';
import type { Scenario } from '../scenario.ts';
import { selectScenarios } from '../scenarios.ts';
import { findProgram } from './root.ts';

/** What to measure, and for how long. */
export interface Plan {
  readonly scenarios: readonly Scenario[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  /** Of each measured load. */
  readonly durationS: number;
  /** Fixed rates as shares of the slowest proxy's saturation; empty measures saturation only. */
  readonly shares: readonly number[];
  readonly rateRounds: number;
  readonly memory: boolean;
  readonly memoryRounds: number;
  /** Starts to take the median of; 0 measures none. */
  readonly starts: number;
  /** As often as memory. */
  readonly idle: boolean;
  readonly scaling: boolean;
}

/** Selections that are no scenario but a figure of their own. */
export const FIGURES = ['memory', 'start', 'idle', 'scaling'] as const;

export const WARMUP_S = 1;
export const RATE_WARMUP_MS = 300;
export const MEMORY_CONNECTIONS = 1000;
/** Guess at how long a peer and its backend take to come up and go down. */
const OVERHEAD_S = 0.6;
const START_S = 0.5;
/** To open the connections, and to wait before and after. */
const IDLE_S = 10;

export interface Selection {
  readonly scenarios: readonly Scenario[];
  readonly memory: boolean;
  readonly start: boolean;
  readonly idle: boolean;
  readonly scaling: boolean;
}

/** @throws naming the part that selects nothing */
export function parseSelection(parts: readonly string[]): Selection {
  const isWhole = parts.some((part) => part === 'all' || part === 'core' || part === 'quick');
  const figures = new Set<string>(FIGURES);
  const names = parts.filter((part) => !figures.has(part));
  return {
    scenarios: selectScenarios(names),
    memory: isWhole || parts.includes('memory'),
    start: isWhole || parts.includes('start'),
    // Longer than the others: not part of a selection that is made by default.
    idle: parts.includes('all') || parts.includes('idle'),
    scaling: parts.includes('all') || parts.includes('scaling'),
  };
}

/** Estimates for one trial of each kind. */
export function trialSeconds(plan: Plan): Record<'saturation' | 'rates' | 'memory' | 'start' | 'idle', number> {
  return {
    saturation: OVERHEAD_S + WARMUP_S + plan.durationS,
    rates: OVERHEAD_S + WARMUP_S + plan.shares.length * (plan.durationS + RATE_WARMUP_MS / 1000 + 0.4),
    memory: OVERHEAD_S + 1 + plan.durationS,
    start: START_S,
    idle: OVERHEAD_S + IDLE_S,
  };
}

/** Estimated length of the whole plan. */
export function planSeconds(plan: Plan): number {
  const each = trialSeconds(plan);
  let total = 0;
  for (const scenario of plan.scenarios) {
    const peers = plan.peers.filter((peer) => peer.supports(scenario)).length;
    total += peers * plan.rounds * each.saturation;
    if (plan.shares.length > 0) total += peers * plan.rateRounds * each.rates;
  }
  const proxies = plan.peers.filter((peer) => peer.name !== 'direct').length;
  if (plan.memory) total += proxies * plan.memoryRounds * each.memory;
  const envoyLike = plan.peers.filter((peer) => ENVOY_LIKE.has(peer.name)).length;
  if (plan.idle) total += envoyLike * plan.memoryRounds * each.idle;
  if (plan.scaling) total += envoyLike * plan.rounds * 2 * each.saturation;
  return total + proxies * plan.starts * each.start;
}

export interface Cores {
  readonly proxy: readonly number[];
  readonly load: readonly number[];
  readonly pinned: boolean;
}

/** The first core for the proxy, the others for load and backend; without taskset nothing is pinned. */
export function divideCores(): Cores {
  const cores = allowedCores();
  const pinned = findProgram('taskset') !== undefined;
  if (!pinned) return { proxy: [], load: Array.from({ length: availableParallelism() }, (_, i) => i), pinned };
  const [first = 0, ...others] = cores;
  return { proxy: [first], load: others.length > 0 ? others : [first], pinned };
}

export interface ScalingCores {
  readonly proxy: readonly number[];
  readonly load: readonly number[];
  /** The load runs on the proxy's cores. */
  readonly shared: boolean;
}

/**
 * The first cores for the proxy, one for each worker, and the load on those that no number of workers needs. Where
 * fewer are left for the load than the most workers have, everything shares all of them.
 *
 * @param allowed none where nothing can be pinned
 * @param most the largest number of workers that is compared
 */
export function scalingCores(allowed: readonly number[], concurrency: number, most: number): ScalingCores {
  if (allowed.length < 2 * most) return { proxy: allowed, load: allowed, shared: true };
  return { proxy: allowed.slice(0, concurrency), load: allowed.slice(most), shared: false };
}
