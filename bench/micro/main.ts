import { type MicroBenchmark, runMicro } from './micro.ts';

/** Of the median: above it the machine was too noisy for a conclusion. */
const UNRELIABLE_MAD = 0.05;

/** Runs one `*.micro.ts` file, whose default export is a list of benchmarks, and prints its table. */
const file = process.argv[2] ?? '';
const { default: benchmarks } = (await import(file)) as { default: readonly MicroBenchmark[] };
for (const { name, nanos } of runMicro(benchmarks)) {
  const mark = nanos.mad > UNRELIABLE_MAD * nanos.median ? '  ~' : '';
  const range = `${nanos.min.toFixed(1)} to ${nanos.max.toFixed(1)}`;
  process.stdout.write(`  ${name.padEnd(52)} ${nanos.median.toFixed(1).padStart(10)} ns  (${range})${mark}\n`);
}
