import * as v from 'valibot';
import { checkForm } from '../../src/lab/report/read-characterization.ts';
import type { BenchReport } from './result.ts';

export const BENCH_SCHEMA = 'outrigger.bench/1' satisfies BenchReport['schema'];

/** JSON has null for what is no number. */
const number = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? Number.NaN),
);
const spread = v.object({ median: number, min: number, max: number, mad: number, values: v.array(number) });
const peer = v.picklist(['direct', 'outrigger', 'envoy', 'nginx', 'haproxy']);
const error = v.exactOptional(v.string());
const texts = v.array(v.string());
const cpu = { processMicros: v.exactOptional(spread), machineMicros: spread };

const rate = v.object({
  ...cpu,
  share: number,
  rate: number,
  achievedRate: spread,
  p50: spread,
  p90: spread,
  p99: spread,
  p999: spread,
  max: spread,
  curve: v.array(v.tuple([number, number])),
  errors: number,
  unanswered: number,
  generatorLimits: texts,
});

const form = v.object({
  schema: v.literal(BENCH_SCHEMA),
  startedAt: v.string(),
  seconds: number,
  command: v.string(),
  machine: v.object({
    cpu: v.string(),
    cores: number,
    memoryMiB: number,
    kernel: v.string(),
    node: v.string(),
    loadAverage: number,
    noise: spread,
  }),
  cores: v.object({ proxy: v.array(number), load: v.array(number), pinned: v.boolean() }),
  load: v.string(),
  rounds: number,
  durationS: number,
  peers: v.array(v.object({ name: peer, version: v.string(), description: v.string() })),
  scenarios: v.array(
    v.object({
      // What a report shows of a scenario; what else it has depends on the version that wrote it.
      scenario: v.looseObject({ name: v.string(), summary: v.string() }),
      backend: v.string(),
      load: v.string(),
      command: v.string(),
      peers: v.array(
        v.object({
          peer,
          error,
          saturation: v.exactOptional(
            v.object({
              ...cpu,
              requestsPerSecond: spread,
              p50: v.exactOptional(spread),
              errors: number,
              cpuPercent: v.exactOptional(number),
            }),
          ),
          rates: v.array(rate),
        }),
      ),
    }),
  ),
  memory: v.array(v.object({ peer, error, idleKiB: v.exactOptional(spread), loadedKiB: v.exactOptional(spread) })),
  start: v.array(v.object({ peer, error, startMs: v.exactOptional(spread) })),
  idle: v.array(
    v.object({ peer, error, connectedKiB: v.exactOptional(spread), perConnectionKiB: v.exactOptional(spread) }),
  ),
  scaling: v.array(
    v.object({
      peer,
      error,
      sharesCores: v.boolean(),
      points: v.array(
        v.object({
          concurrency: number,
          requestsPerSecond: spread,
          processMicros: spread,
          coresUsed: number,
          errors: number,
        }),
      ),
      cpuEfficiency: v.exactOptional(spread),
      rateEfficiency: v.exactOptional(spread),
    }),
  ),
  warnings: texts,
});

/** Checks what `outrigger bench --json` is said to have written. @throws ReportInputError */
export function checkBenchReport(file: string, data: unknown): BenchReport {
  return checkForm(file, BENCH_SCHEMA, form, data) as unknown as BenchReport;
}
