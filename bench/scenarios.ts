import { CHARACTERIZATION_SCENARIOS } from './characterization-scenarios.ts';
import { HTTP2_SCENARIOS } from './http2-scenarios.ts';
import { POLICY_SCENARIOS } from './policies/policy-scenarios.ts';
import { type Scenario, USUAL_WORK } from './scenario.ts';

const base = { ...USUAL_WORK, groups: [] } as const;

const ORIGIN = { origin: 'https://app.example' } as const;

/** The filters of the data path one at a time, each in a file of its own; every request passes. */
const FILTERS: readonly (readonly [config: string, summary: string, headers?: Scenario['headers']])[] = [
  ['rbac_accept_all', 'RBAC: one policy that lets everything pass'],
  ['ratelimit', 'local rate limit that never runs dry'],
  ['header_read', 'header-to-metadata: reads one request header'],
  ['header_mutation', 'header mutation: one request and one response header'],
  ['fault', 'fault injection at 0 %'],
  ['tap', 'tap: a match that no request meets'],
  ['buffer', 'buffer of up to 1 MiB'],
  ['cors', 'CORS: requests of an allowed origin', ORIGIN],
  ['health_check', 'health check in front of the application'],
  ['logging', 'access log to a file, default format'],
  ['connection_limit', 'connection limit that is never reached'],
  ['network_rbac', 'network RBAC: one policy that lets every connection pass'],
];

const BODIES: readonly (readonly [suffix: string, bytes: number, text: string])[] = [
  ['1k', 1024, '1 KiB'],
  ['16k', 16 * 1024, '16 KiB'],
  ['64k', 64 * 1024, '64 KiB'],
  ['1m', 1024 * 1024, '1 MiB'],
];

function plain(protocol: 'tcp' | 'http'): Scenario[] {
  const text = protocol === 'tcp' ? 'TCP proxy' : 'HTTP/1.1 router';
  const scenarios: Scenario[] = [
    {
      ...base,
      name: protocol,
      summary: `${text}, nothing else`,
      groups: ['core', 'quick', 'connections', 'unix'],
      protocol,
      config: protocol,
    },
    ...[1, 256].map((connections) => ({
      ...base,
      name: `${protocol}_c${connections}`,
      summary: `${text}, ${connections} connection${connections === 1 ? '' : 's'}`,
      groups: ['connections'],
      protocol,
      config: protocol,
      connections,
    })),
  ];
  for (const [suffix, bodyBytes, size] of BODIES) {
    const isCore = suffix === '1m' || (suffix === '64k' && protocol === 'http');
    scenarios.push({
      ...base,
      name: `${protocol}_${suffix}`,
      summary: `${text}, ${size} responses`,
      groups: isCore ? ['core', 'bodies'] : ['bodies'],
      protocol,
      config: protocol,
      bodyBytes,
    });
  }
  for (const [suffix, bodyBytes, size] of [['100', 100, '100 B'] as const, ...BODIES]) {
    scenarios.push({
      ...base,
      name: `${protocol}_upload_${suffix}`,
      summary: `${text}, ${size} requests`,
      groups: ['bodies'],
      protocol,
      config: protocol,
      bodyBytes,
      direction: 'upload',
    });
  }
  return scenarios;
}

/** TCP with the kernel's splice; the names without `splice` are the same work in user space. */
const SPLICED: readonly (readonly [suffix: string, rest: Partial<Scenario>, text: string])[] = [
  ['', {}, '32 connections'],
  ['_c1', { connections: 1 }, '1 connection'],
  ['_1m', { bodyBytes: 1024 * 1024 }, '1 MiB responses'],
  ['_upload_1m', { bodyBytes: 1024 * 1024, direction: 'upload' }, '1 MiB requests'],
];

/** The sidecar and its app over a Unix socket in place of the loopback: the work of `http` and `tcp` otherwise. */
const OVER_UNIX: readonly (readonly [suffix: string, rest: Partial<Scenario>, text: string])[] = [
  ['', { pipes: { upstream: true } }, 'proxy to app over a Unix socket'],
  ['_app', { pipes: { downstream: true } }, 'app to proxy over a Unix socket'],
  ['_app_tcp', { ownLoad: true }, 'the load of `_app` over TCP, to compare with'],
];

function repeated(config: string, counts: readonly number[], rest: Partial<Scenario>, text: string): Scenario[] {
  return counts.map((repeat) => ({
    ...base,
    name: `${config}_${repeat}`,
    summary: `${text}: ${repeat}`,
    groups: repeat === 1 ? ['paper', 'filters'] : ['paper'],
    config,
    repeat,
    ...rest,
  }));
}

/**
 * Every scenario. The names are those of the characterisation paper's public benchmark where it has the same work.
 * `rbac_reject_N` answers 403 without asking the backend, so compare it with itself at another N, not with `http`;
 * `rbac_last_N` lets the request pass by the last of N policies.
 */
export const SCENARIOS: readonly Scenario[] = [
  ...plain('tcp'),
  ...SPLICED.map(([suffix, rest, text]) => ({
    ...base,
    name: `tcp_splice${suffix}`,
    summary: `TCP forwarded by the kernel, ${text}`,
    groups: ['splice'],
    protocol: 'tcp' as const,
    config: 'tcp',
    splice: true,
    ...rest,
  })),
  ...plain('http'),
  ...(['http', 'tcp'] as const).flatMap((protocol) =>
    OVER_UNIX.map(([suffix, rest, text]) => ({
      ...base,
      name: `unix_${protocol}${suffix}`,
      summary: `${protocol === 'tcp' ? 'TCP proxy' : 'HTTP/1.1 router'}, ${text}`,
      groups: ['unix'],
      protocol,
      config: protocol,
      ...rest,
    })),
  ),
  ...FILTERS.map(([config, summary, headers]) => ({
    ...base,
    name: config,
    summary,
    groups: ['filters'],
    config,
    ...(headers && { headers }),
  })),
  ...repeated('rbac_reject', [1, 100, 1000, 10_000], { expectStatus: 403 }, 'RBAC policies, the last one denies'),
  ...repeated('rbac_last', [1, 100, 1000], {}, 'RBAC policies, the last one allows'),
  ...repeated('iptag', [1, 5, 10], {}, 'IP tags that match'),
  {
    ...base,
    name: 'iprate_iptag',
    summary: 'mix 1 of the paper (Table 3): rate limit, IP tag',
    groups: ['paper', 'mix_1'],
    config: 'iprate_iptag',
  },
  {
    ...base,
    name: 'mix_2',
    summary: 'mix 2 of the paper (Table 3): header read, rate limit, IP tag, logging',
    groups: ['core', 'quick', 'paper'],
    config: 'mix_2',
  },
  {
    ...base,
    name: 'mix_all',
    summary: 'every filter but fault and buffer, with access log',
    groups: ['core', 'paper'],
    config: 'mix_all',
    headers: ORIGIN,
  },
  ...HTTP2_SCENARIOS,
  ...POLICY_SCENARIOS,
  ...CHARACTERIZATION_SCENARIOS,
];

/**
 * The scenarios that a selection names: names, groups, `all`, and patterns with `*`, in the table's order.
 *
 * @throws naming the part that selects nothing
 */
export function selectScenarios(selection: readonly string[]): Scenario[] {
  const chosen = new Set<Scenario>();
  for (const part of selection) {
    const pattern = new RegExp(`^${part.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
    const matching = SCENARIOS.filter(
      (scenario) => part === 'all' || scenario.groups.includes(part) || pattern.test(scenario.name),
    );
    if (matching.length === 0) {
      throw new Error(`no scenario or group is called "${part}"; \`outrigger bench --list\` shows them all`);
    }
    for (const scenario of matching) chosen.add(scenario);
  }
  return SCENARIOS.filter((scenario) => chosen.has(scenario));
}
