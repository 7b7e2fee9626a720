import {
  type Breakdown,
  CHARACTERIZATION_SCHEMA,
  type Characterization,
  type ConfigurationResult,
  type Figure,
  type PeerCharacter,
  type SizeResult,
} from '../../../src/lab/characterize/characterization.ts';
import { partsOfSamples } from '../../../src/lab/profile/profile-report.ts';
import { median } from '../../../src/lab/statistics.ts';

/** A figure of these rounds. */
export function figure(...values: number[]): Figure {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), values };
}

/** What a peer did: CPU time by round, and what else a test is about. */
export function peerOf(peer: string, cpuMicros: number[], rest: Partial<PeerCharacter> = {}): PeerCharacter {
  return { peer, cpuMicros: figure(...cpuMicros), errors: 0, levels: [], ...rest };
}

export function configuration(
  name: string,
  peers: readonly PeerCharacter[],
  rest: Partial<ConfigurationResult> = {},
): ConfigurationResult {
  return {
    name,
    title: name,
    inPaper: true,
    protocol: 'http',
    parts: [],
    command: `outrigger characterize --configuration ${name}`,
    load: '32 connections',
    peers,
    ...rest,
  };
}

export function characterization(
  configurations: readonly ConfigurationResult[],
  rest: Partial<Characterization> = {},
): Characterization {
  return {
    schema: CHARACTERIZATION_SCHEMA,
    startedAt: '2026-11-22T09:00:00.000Z',
    seconds: 600,
    command: 'outrigger characterize',
    machine: { cpu: 'a processor', cores: 2, kernel: '6.18', node: 'v26.0.0' },
    cores: { proxy: [0], load: [1], pinned: true },
    rounds: 3,
    durationS: 3,
    peers: [{ name: 'outrigger', version: '0.1.0', description: 'this checkout' }],
    configurations,
    sizes: [],
    warnings: [],
    ...rest,
  };
}

/** A profile by symbols: samples by part. */
export function breakdown(cpuMicros: number, samples: Readonly<Record<string, number>>): Breakdown {
  const counts = new Map(Object.entries(samples));
  let total = 0;
  for (const count of counts.values()) total += count;
  return {
    samples: total,
    cpuMicros,
    parts: partsOfSamples(counts, cpuMicros),
    counters: { kind: 'software', note: 'no hardware counters', perRequest: {}, derived: {} },
    notes: [],
  };
}

export function sizes(name: string, peer: string, micros: Readonly<Record<number, number[]>>): SizeResult[] {
  return Object.entries(micros).map(([bytes, values]) => ({
    configuration: name,
    bytes: Number(bytes),
    command: `outrigger characterize --configuration ${name} --sizes`,
    peers: [peerOf(peer, values)],
  }));
}

/** The paper's HTTP configurations, with round figures: filters of 4, 8 and 20 µs on a base of 100. */
export function paperLike(peer = 'outrigger'): Characterization {
  const rounds = (micros: number): number[] => [micros - 1, micros, micros + 1];
  const one = (name: string, micros: number, rest: Partial<ConfigurationResult> = {}): ConfigurationResult =>
    configuration(name, [peerOf(peer, rounds(micros), { requestsPerSecond: figure(...rounds(1e6 / micros)) })], {
      base: 'http',
      ...rest,
    });
  const { base: _, ...http } = one('http', 100, { title: 'HTTP' });
  return characterization(
    [
      http,
      one('ratelimit', 104, { title: 'Ratelimit' }),
      one('iptag', 108, { title: 'IP Tag 1' }),
      one('logging', 120, { title: 'Logging' }),
      one('iprate_iptag', 112, { title: 'HTTP Mix 1', parts: ['ratelimit', 'iptag'] }),
      configuration('sql', [], { title: 'SQL', open: 'follows with the SQL filters', protocol: 'tcp', base: 'tcp' }),
    ],
    { peers: [{ name: peer, version: '1', description: '' }] },
  );
}
