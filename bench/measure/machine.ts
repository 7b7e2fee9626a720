import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { type Spread, spread } from './statistics.ts';

export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Runnable processes over the last minute, before the benchmark began. */
  readonly loadAverage: number;
  /** The same piece of work timed many times, ms: its spread is the machine's own noise. */
  readonly noise: Spread;
}

const SPINS = 60;
const SPIN_WORK = 2_000_000;

export function machineFacts(): MachineFacts {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.versions.node,
    loadAverage: loadavg()[0] ?? 0,
    noise: measureNoise(),
  };
}

function measureNoise(): Spread {
  const times: number[] = [];
  for (let i = 0; i < SPINS; i++) {
    const start = performance.now();
    spin();
    times.push(performance.now() - start);
  }
  // The first ones ran before the code was compiled.
  return spread(times.slice(SPINS / 3)) as Spread;
}

function spin(): number {
  let x = 1;
  for (let i = 0; i < SPIN_WORK; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return x;
}

/** What makes every figure of this machine doubtful, in words. */
export function machineWarnings(facts: MachineFacts): string[] {
  const warnings: string[] = [];
  if (facts.cores < 2) {
    warnings.push('one core only: proxy, load and backend share it, so requests/s and latency say little');
  }
  if (facts.loadAverage > 0.5) {
    warnings.push(`other work was running (load average ${facts.loadAverage.toFixed(2)}): trust ratios only`);
  }
  const slowest = facts.noise.max / facts.noise.median;
  if (slowest > 1.3) {
    warnings.push(`the same work took up to ${slowest.toFixed(1)} × its median time: this machine is noisy`);
  }
  return warnings;
}

/** The cores that this process may use, by number. */
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return parseCoreList(list);
}

/** Linux's list format: `0-2,5`. */
export function parseCoreList(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
