import { type Spread, spread } from '../measure/statistics.ts';

/** A piece of code to be timed: `run` is called in a loop, its result kept so that it is not optimised away. */
export interface MicroBenchmark {
  readonly name: string;
  readonly run: () => unknown;
}

export interface MicroResult {
  readonly name: string;
  /** Nanoseconds per call. */
  readonly nanos: Spread;
}

const SAMPLES = 25;
const SAMPLE_MS = 8;
const WARMUP_MS = 150;

/** Where results go, so that no call is dead code. */
export const sink: { value: unknown } = { value: undefined };

/** Times benchmarks in turns, so that a change of the machine's speed meets all of them. */
export function runMicro(
  benchmarks: readonly MicroBenchmark[],
  sampleMs = SAMPLE_MS,
  samples = SAMPLES,
): MicroResult[] {
  const loops = benchmarks.map((benchmark) => loopsFor(benchmark.run, sampleMs));
  const times: number[][] = benchmarks.map(() => []);
  for (let sample = 0; sample < samples; sample++) {
    for (const [i, benchmark] of benchmarks.entries()) {
      const count = loops[i] as number;
      times[i]?.push((time(benchmark.run, count) * 1e6) / count);
    }
  }
  return benchmarks.map((benchmark, i) => ({ name: benchmark.name, nanos: spread(times[i] ?? []) as Spread }));
}

/** Warms the code up, and finds how many calls fill a sample. */
function loopsFor(run: () => unknown, sampleMs: number): number {
  const deadline = performance.now() + Math.min(WARMUP_MS, sampleMs * 20);
  let count = 1;
  for (;;) {
    const took = time(run, count);
    if (took >= sampleMs && performance.now() >= deadline) return count;
    if (took < sampleMs) count *= 2;
  }
}

function time(run: () => unknown, count: number): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) sink.value = run();
  return performance.now() - start;
}
