import * as fc from 'fast-check';
import type {
  Breakdown,
  Characterization,
  ConfigurationResult,
  Figure,
  LevelFigures,
  PeerCharacter,
  SizeResult,
} from '../../../src/lab/characterize/characterization.ts';
import { characterization } from './characterization.ts';

/**
 * Characterizations that keep to the form and to nothing else: names that stand for nothing, bases in a circle, rounds
 * that are missing, numbers that are none (JSON has null for them).
 */

const NAMES = [
  'http',
  'tcp',
  'a',
  'b',
  'mix_2',
  'iptag',
  'http_rbac',
  'logging',
  'tls_http',
  '',
  'constructor',
  '| `x`',
];
const name = fc.constantFrom(...NAMES);
const peerName = fc.constantFrom('outrigger', 'envoy', 'x|y');
const odd = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1, 0, null as unknown as number);
const number = fc.oneof({ weight: 4, arbitrary: fc.double({ min: 0.01, max: 1e6, noNaN: true }) }, odd);
const count = fc.nat(10);

const figure: fc.Arbitrary<Figure> = fc.record({
  median: number,
  min: number,
  max: number,
  values: fc.array(number, { maxLength: 4 }),
});

const level: fc.Arbitrary<LevelFigures> = fc.record({
  level: fc.constantFrom(0.2, 0.5, 1, 0.3),
  loop: fc.constantFrom('open' as const, 'closed' as const),
  rate: number,
  cpuPercent: figure,
  cpuMicros: figure,
  achievedRate: figure,
  p50: figure,
  p90: figure,
  p99: figure,
  errors: count,
  unanswered: count,
  generatorLimits: fc.array(fc.string(), { maxLength: 2 }),
});

const breakdown: fc.Arbitrary<Breakdown> = fc.record({
  samples: number,
  cpuMicros: number,
  parts: fc.array(
    fc.record({
      part: fc.constantFrom('os_read', 'filter/x', 'tls', 'user', 'unattributed', 'magic'),
      title: fc.string(),
      table2: fc.constantFrom('OS Read', 'Sidecar Filter', 'Magic', null),
      meshInsight: fc.constantFrom('Read', null),
      basis: fc.constantFrom('symbols' as const, 'by difference' as const),
      share: number,
      usPerRequest: number,
    }),
    { maxLength: 6 },
  ),
  counters: fc.record({
    kind: fc.constantFrom('hardware' as const, 'software' as const),
    note: fc.string(),
    perRequest: fc.dictionary(fc.string(), number, { maxKeys: 2 }),
    derived: fc.dictionary(fc.constantFrom('ipc', 'l1i_mpki'), number, { maxKeys: 2 }),
  }),
  notes: fc.array(fc.string(), { maxLength: 2 }),
});

const peer: fc.Arbitrary<PeerCharacter> = fc.record(
  {
    peer: peerName,
    error: fc.string(),
    requestsPerSecond: figure,
    cpuMicros: figure,
    cpuPercent: number,
    errors: count,
    levels: fc.array(level, { maxLength: 3 }),
    breakdown,
  },
  { requiredKeys: ['peer', 'errors', 'levels'] },
);

const peers = fc.uniqueArray(peer, { maxLength: 3, selector: (one) => one.peer });

const configuration: fc.Arbitrary<ConfigurationResult> = fc.record(
  {
    name,
    title: fc.string(),
    inPaper: fc.boolean(),
    protocol: fc.constantFrom('tcp' as const, 'http' as const),
    open: fc.string(),
    base: name,
    parts: fc.array(name, { maxLength: 3 }),
    command: fc.string(),
    load: fc.string(),
    peers,
  },
  { requiredKeys: ['name', 'title', 'inPaper', 'protocol', 'parts', 'command', 'load', 'peers'] },
);

const size: fc.Arbitrary<SizeResult> = fc.record({
  configuration: name,
  bytes: fc.constantFrom(100, 1024, 16_384, 65_536, 1_048_576),
  command: fc.string(),
  peers,
});

export const anyCharacterization: fc.Arbitrary<Characterization> = fc
  .record({
    configurations: fc.uniqueArray(configuration, { maxLength: 7, selector: (one) => one.name }),
    sizes: fc.array(size, { maxLength: 6 }),
    warnings: fc.array(fc.string(), { maxLength: 2 }),
  })
  .map(({ configurations, ...rest }) => characterization(configurations, rest));
