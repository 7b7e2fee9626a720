import type { Spread } from '../../../bench/measure/statistics.ts';
import type { PeerName } from '../../../bench/peers/peer.ts';
import type { BenchReport, PeerResult, RateFigures, ScalingResult } from '../../../bench/report/result.ts';
import { SCENARIOS } from '../../../bench/scenarios.ts';

export function figure(...values: number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: sorted[sorted.length >> 1] as number,
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
    mad: 1,
    values,
  };
}

function rate(share: number, micros: number, generatorLimits: readonly string[] = []): RateFigures {
  return {
    share,
    rate: 10_000 * share,
    processMicros: figure(micros / 10),
    machineMicros: figure(micros / 5),
    achievedRate: figure(10_000 * share),
    p50: figure(micros),
    p90: figure(micros * 2),
    p99: figure(micros * 4),
    p999: figure(micros * 8),
    max: figure(micros * 16),
    curve: [
      [1, micros / 2],
      [50, micros],
      [99, micros * 4],
      [100, micros * 16],
    ],
    errors: 0,
    unanswered: 0,
    generatorLimits,
  };
}

function peer(
  name: PeerName,
  requests: number[],
  micros: number[],
  limits: readonly string[] = [],
  cpuPercent = 99,
): PeerResult {
  return {
    peer: name,
    saturation: {
      requestsPerSecond: figure(...requests),
      ...(name !== 'direct' && { processMicros: figure(...micros) }),
      machineMicros: figure(...micros.map((value) => value * 2)),
      errors: 0,
      ...(name !== 'direct' && { cpuPercent }),
    },
    rates: [rate(0.5, micros[0] as number, limits), rate(1, (micros[0] as number) * 3)],
  };
}

function scaling(name: PeerName, rates: readonly [number, number], micros: readonly [number, number]): ScalingResult {
  return {
    peer: name,
    sharesCores: false,
    points: rates.map((rate, i) => ({
      concurrency: i + 1,
      requestsPerSecond: figure(rate),
      processMicros: figure(micros[i] as number),
      coresUsed: i + 0.95,
      errors: 0,
    })),
    cpuEfficiency: figure(micros[0] / micros[1]),
    rateEfficiency: figure(rates[1] / (2 * rates[0])),
  };
}

/** A report of made-up figures: Outrigger at half of Envoy's CPU in every round, while the machine slows down. */
export const SAMPLE: BenchReport = {
  schema: 'outrigger.bench/1',
  startedAt: '2026-01-02T03:04:05.000Z',
  seconds: 95,
  command: 'npm run bench',
  machine: {
    cpu: 'Test <CPU>',
    cores: 2,
    memoryMiB: 4096,
    kernel: '6.0',
    node: '26.0.0',
    loadAverage: 0.1,
    noise: figure(10, 11),
  },
  cores: { proxy: [0], load: [1], pinned: true },
  load: 'wrk',
  rounds: 3,
  durationS: 3,
  peers: [
    { name: 'direct', version: '', description: 'no proxy' },
    { name: 'outrigger', version: '0.1.0', description: 'sources' },
    { name: 'envoy', version: '1.40.0', description: 'release binary' },
  ],
  scenarios: [
    {
      scenario: SCENARIOS.find((scenario) => scenario.name === 'http') as (typeof SCENARIOS)[number],
      backend: 'nginx',
      load: 'wrk',
      command: 'npm run bench -- --scenario http',
      peers: [
        peer('direct', [90_000, 80_000, 85_000], [8, 8, 8]),
        peer('outrigger', [30_000, 20_000, 25_000], [20, 30, 25], ['generator used 95 % of a core']),
        peer('envoy', [15_000, 10_000, 12_500], [40, 60, 50]),
        peer('nginx', [40_000, 40_000, 40_000], [10, 10, 10], [], 40),
        { peer: 'haproxy', error: 'port 80 | taken\nsecond line', rates: [] },
      ],
    },
  ],
  memory: [
    { peer: 'outrigger', idleKiB: figure(51_200), loadedKiB: figure(81_920) },
    { peer: 'envoy', idleKiB: figure(71_680), loadedKiB: figure(102_400) },
  ],
  start: [
    { peer: 'outrigger', startMs: figure(70, 72, 74) },
    { peer: 'envoy', startMs: figure(90, 91, 92) },
  ],
  idle: [
    { peer: 'outrigger', connectedKiB: figure(153_600), perConnectionKiB: figure(10) },
    { peer: 'envoy', connectedKiB: figure(204_800), perConnectionKiB: figure(20) },
  ],
  scaling: [scaling('outrigger', [20_000, 36_000], [20, 25]), scaling('envoy', [10_000, 20_000], [40, 40])],
  warnings: ['other work was running'],
};
