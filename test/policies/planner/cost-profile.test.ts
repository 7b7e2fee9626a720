import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { costProfileOf, costProfileYaml } from '../../../policies/planner/characterized-profile.ts';
import { parseCostProfile } from '../../../policies/planner/cost-profile.ts';
import { defaultProfile, publishedCharacterization } from '../../../policies/planner/default-profile.ts';
import type { Characterization, LevelFigures } from '../../../src/lab/characterize/characterization.ts';
import { characterization, configuration, figure, paperLike, peerOf } from '../../lab/characterize/characterization.ts';

/** At 20 % of a core. */
function low(...p50: number[]): LevelFigures {
  const same = figure(...p50);
  return {
    level: 0.2,
    loop: 'open',
    rate: 1000,
    cpuPercent: same,
    cpuMicros: same,
    achievedRate: same,
    p50: same,
    p90: same,
    p99: same,
    errors: 0,
    unanswered: 0,
    generatorLimits: [],
  };
}

function withPolicies(): Characterization {
  const one = (name: string, micros: number[], p50: number[], base?: string) =>
    configuration(name, [peerOf('outrigger', micros, { levels: [low(...p50)] })], base === undefined ? {} : { base });
  return characterization([
    one('http', [30, 31, 32], [100, 100, 100]),
    one('http_rbac', [33, 34, 35.005], [101, 99, 102], 'http'),
    one('logging', [29, 31, 31], [100, 100, 100], 'http'),
    one('ratelimit', [31, 32, 33], [100, 100, 100], 'http'),
    // It waits for another server: longer than it works, in every round.
    one('ratelimit_global', [50, 51, 52], [300, 310, 305], 'http'),
  ]);
}

test('a characterization becomes a cost profile: each kind’s configuration less its base, round by round', () => {
  const profile = costProfileOf(withPolicies());
  expect(profile.pass).toEqual({ cpuMicros: 31, latencyMicros: 31 });
  expect(profile.policies).toEqual({
    AuthorizationPolicy: { receiver: { cpuMicros: 3, latencyMicros: 3 } },
    Sidecar: { receiver: { cpuMicros: 3, latencyMicros: 3 } },
    // Cheaper than nothing is noise.
    AccessLog: { receiver: { cpuMicros: 0, latencyMicros: 0 } },
    RateLimit: { receiver: { cpuMicros: 20, latencyMicros: 205 } },
  });
  expect(profile.source).toContain('outrigger characterize');
  expect(profile.notes).toContain('Tracing: not measured');
  expect(profile.notes).toContain(
    'RateLimit: 20 µs of CPU (configuration ratelimit_global − http, rounds 20 to 20), latency 205 µs at 20 % load',
  );
});

test('a bucket in the proxy’s own memory is no RateLimit, which asks a service', () => {
  expect(costProfileOf(paperLike()).policies).not.toHaveProperty('RateLimit');
});

test('outrigger plan reads what is written of it, and finds the same costs', () => {
  const profile = costProfileOf(withPolicies());
  const read = parseCostProfile('costs.yaml', costProfileYaml(profile));
  expect(read).toEqual({ ...profile, source: `${profile.source} (costs.yaml)` });
});

test('the profile of another peer is its own', () => {
  const c = paperLike('envoy');
  expect(costProfileOf(c, 'envoy')).toMatchObject({ pass: { cpuMicros: 100 }, policies: { AccessLog: {} } });
  expect(() => costProfileOf(c)).toThrow('no cost profile: http was not measured with outrigger');
});

test.each([
  ['nothing at all', characterization([]), 'there is no configuration http'],
  ['an open base', characterization([configuration('http', [], { open: 'later' })]), 'http is open: later'],
  ['no number', characterization([configuration('http', [peerOf('outrigger', [Number.NaN])])]), 'no number above 0'],
])('a characterization with %s has no profile', (_, c, why) => {
  expect(() => costProfileOf(c)).toThrow(why);
});

test('a kind whose configuration failed is left out, with the reason', () => {
  const failed = configuration('logging', [{ peer: 'outrigger', errors: 0, levels: [], error: 'did not start' }], {
    base: 'http',
  });
  const profile = costProfileOf(characterization([configuration('http', [peerOf('outrigger', [30])]), failed]));
  expect(profile.policies).toEqual({});
  expect(profile.notes).toContain('AccessLog: not measured: logging: did not start');
  // What has nothing to say is written and read all the same.
  expect(parseCostProfile('c.yaml', costProfileYaml(profile)).policies).toEqual({});
});

test('a kind that was compared with something else than HTTP is left out', () => {
  const c = characterization([
    configuration('http', [peerOf('outrigger', [30])]),
    configuration('tcp', [peerOf('outrigger', [10])], { protocol: 'tcp' }),
    configuration('http_rbac', [peerOf('outrigger', [12])], { protocol: 'tcp', base: 'tcp' }),
  ]);
  expect(costProfileOf(c).policies).toEqual({});
  expect(costProfileOf(c).notes).toContain('AuthorizationPolicy: not measured: http_rbac is compared with tcp');
});

test('the default profile takes the published characterization, the benchmark for what it lacks, and says which', () => {
  const benchmark = defaultProfile(null);
  expect(benchmark.source).toContain('docs/benchmark.json');
  const both = defaultProfile(withPolicies());
  expect(both.source).toMatch(/^docs\/characterization\.json: .* from docs\/benchmark\.json/);
  expect(both.pass.cpuMicros).toBe(31);
  expect(both.policies.AuthorizationPolicy).toEqual({ receiver: { cpuMicros: 3, latencyMicros: 3 } });
  expect(both.policies.RequestAuthentication).toEqual(benchmark.policies.RequestAuthentication);
  const lines = both.notes.filter((note) => note.startsWith('RequestAuthentication') || note.startsWith('AccessLog'));
  expect(lines).toEqual([
    expect.stringMatching(/^AccessLog: 0 µs of CPU \(configuration logging/),
    benchmark.notes.find((note) => note.startsWith('RequestAuthentication')),
  ]);
  // One line for each kind.
  const kinds = both.notes.map((note) => note.split(':')[0]!);
  expect(new Set(kinds).size).toBe(kinds.length);
});

test('the published characterization is read where it lies, and its absence is no error', () => {
  const root = mkdtempSync(join(tmpdir(), 'outrigger-root-'));
  try {
    expect(publishedCharacterization(root)).toBeNull();
    mkdirSync(join(root, 'docs'));
    const file = join(root, 'docs', 'characterization.json');
    writeFileSync(file, JSON.stringify(withPolicies()));
    expect(costProfileOf(publishedCharacterization(root)!).policies).toHaveProperty('RateLimit');
    writeFileSync(file, '{"schema":');
    expect(() => publishedCharacterization(root)).toThrow('ends in the middle');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('what a terminal would obey is refused in a cost profile, with its place', () => {
  const text = 'source: "lab \\e[2J"\npass: { cpu_us: 1 }\nmemory_mib: 1\npolicies: {}\n';
  expect(() => parseCostProfile('costs.yaml', text)).toThrow(/costs\.yaml:1:1 +source .*control characters/s);
  expect(parseCostProfile('costs.yaml', text.replace('\\e[2J', 'é')).source).toBe('lab é (costs.yaml)');
});
