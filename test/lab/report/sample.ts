import {
  CHARACTERIZATION_SCHEMA,
  type Characterization,
  type ConfigurationResult,
  type Figure,
  LEVELS,
  type PeerCharacter,
} from '../../../src/lab/characterize/characterization.ts';
import type { ProfilePart } from '../../../src/lab/profile/profile-report.ts';
import { inOrder, profilePart } from '../../../src/lab/profile/profile-report.ts';

/** Three rounds, whose median is the value. */
export function figure(value: number, spread = 0.03): Figure {
  const values = [value, value * (1 - spread), value * (1 + spread)];
  return { median: value, min: Math.min(...values), max: Math.max(...values), values };
}

/** What a configuration costs Outrigger and Envoy in the sample, µs per request. */
const COSTS: readonly (readonly [
  name: string,
  title: string,
  inPaper: boolean,
  outrigger: number,
  envoy: number,
  base?: string,
  parts?: readonly string[],
])[] = [
  ['tcp', 'TCP', true, 12, 14],
  ['rbac_accept_all', 'RBAC: Accept All', true, 12.3, 15.1, 'tcp'],
  ['rbac_reject_1000', 'RBAC: Reject 1000', true, 14, 82, 'tcp'],
  ['tls', 'TLS', true, 19, 17, 'tcp'],
  ['http', 'HTTP', true, 23, 60],
  ['header_read', 'Header Read', true, 24.1, 63, 'http'],
  ['ratelimit', 'Rate Limit', true, 23.6, 62.4, 'http'],
  ['iptag', 'IP Tag 1', true, 23.4, 61.2, 'http'],
  ['logging', 'Logging', true, 31.5, 66, 'http'],
  ['iprate_iptag', 'HTTP Mix 1: Rate Limit and IP Tag', true, 24.3, 63.1, 'http', ['ratelimit', 'iptag']],
  [
    'http_mix',
    'HTTP Mix 2: all policies except TLS',
    true,
    33.9,
    74,
    'http',
    ['header_read', 'ratelimit', 'iptag', 'logging'],
  ],
];

const SHARES: readonly (readonly [part: string, share: number])[] = [
  ['event_poll', 0.08],
  ['os_read', 0.11],
  ['sidecar_read', 0.04],
  ['packet_processing', 0.1],
  ['http_parse', 0.1],
  ['header_codec', 0.05],
  ['filter/envoy.filters.http.router', 0.03],
  ['routing', 0.04],
  ['sidecar_write', 0.06],
  ['os_write', 0.22],
  ['os_ipc', 0.1],
  ['runtime', 0.03],
  ['kernel_other', 0.02],
  ['unattributed', 0.02],
];

function parts(peer: string, micros: number): ProfilePart[] {
  if (peer === 'outrigger') return inOrder(SHARES.map(([part, share]) => profilePart(part, share, micros, 'symbols')));
  return inOrder([
    profilePart('event_poll', 0.06, micros, 'symbols'),
    profilePart('os_read', 0.08, micros, 'symbols'),
    profilePart('os_write', 0.2, micros, 'symbols'),
    profilePart('http_parse', 0.31, micros, 'by difference'),
    profilePart('filter/envoy.filters.http.ip_tagging', -0.01, micros, 'by difference'),
    profilePart('user', 0.35, micros, 'symbols'),
    profilePart('unattributed', 0.01, micros, 'symbols'),
  ]);
}

/** A proxy that spends so much per request, and slows down as it gets busy. */
export function character(peer: string, micros: number): PeerCharacter {
  const rate = 1e6 / micros;
  return {
    peer,
    requestsPerSecond: figure(rate),
    cpuMicros: figure(micros),
    cpuPercent: 99,
    errors: 0,
    levels: LEVELS.map((level) => ({
      level,
      loop: level === 1 ? 'closed' : 'open',
      rate: rate * level,
      cpuPercent: figure(level * 100),
      cpuMicros: figure(micros),
      achievedRate: figure(rate * level),
      p50: figure(60 + 40 * level + micros),
      p90: figure(90 + 160 * level ** 2 + micros),
      p99: figure(150 + 2500 * level ** 3 + 3 * micros, 0.15),
      errors: 0,
      unanswered: 0,
      generatorLimits: [],
    })),
    breakdown: {
      samples: 4000,
      cpuMicros: micros,
      parts: parts(peer, micros),
      counters: { kind: 'software', note: 'no hardware counters', perRequest: { 'task-clock': micros }, derived: {} },
      notes: [],
    },
  };
}

/** A characterization as a run writes it; figures are invented. */
export function sample(): Characterization {
  const configurations = COSTS.map(
    ([name, title, inPaper, outrigger, envoy, base, of = []]): ConfigurationResult => ({
      name,
      title,
      inPaper,
      protocol: ['tcp', 'rbac_accept_all', 'rbac_reject_1000', 'tls'].includes(name) ? 'tcp' : 'http',
      ...(base === undefined ? {} : { base }),
      parts: of,
      command: `outrigger characterize --configuration ${name}`,
      load: 'wrk 4.1, 32 connections',
      peers: [character('outrigger', outrigger), character('envoy', envoy)],
    }),
  );
  const sql: ConfigurationResult = {
    name: 'sql',
    title: 'SQL',
    inPaper: true,
    protocol: 'tcp',
    open: 'the MySQL filter is not there yet',
    parts: [],
    command: 'outrigger characterize --configuration sql',
    load: '',
    peers: [],
  };
  return {
    schema: CHARACTERIZATION_SCHEMA,
    startedAt: '2026-11-22T10:00:00.000Z',
    seconds: 1234,
    command: 'outrigger characterize --rounds 3',
    machine: { cpu: 'Test CPU', cores: 2, kernel: '6.18', node: '26.10.0' },
    cores: { proxy: [0], load: [1], pinned: true },
    rounds: 3,
    durationS: 3,
    peers: [
      { name: 'outrigger', version: '0.1.0', description: 'Node 26.10' },
      { name: 'envoy', version: '1.40.0', description: 'BoringSSL' },
    ],
    configurations: [...configurations, sql],
    sizes: ['http', 'tls', 'tcp'].flatMap((configuration) =>
      [14, 16, 18, 20].map((power) => ({
        configuration,
        bytes: 2 ** power,
        command: 'outrigger characterize --sizes',
        peers: [
          character('outrigger', 20 + 2 ** (power - 10) * 0.3),
          character('envoy', 40 + 2 ** (power - 10) * (configuration === 'tls' ? 1.2 : 0.5)),
        ],
      })),
    ),
    warnings: ['the machine has no hardware counters'],
  };
}
