import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { whyNoBreakdown } from '../../../bench/characterize/breakdown.ts';
import { characterize } from '../../../bench/characterize/characterize.ts';
import { CONFIGURATIONS, selectConfigurations } from '../../../bench/characterize/configurations.ts';
import { doubts } from '../../../bench/characterize/doubts.ts';
import { Measurement } from '../../../bench/characterize/measurement.ts';
import {
  type CharacterizePlan,
  planSeconds,
  QUICK,
  SIZES,
  sizedSubjects,
  subjects,
  WHOLE,
} from '../../../bench/characterize/plan.ts';
import { findOutrigger } from '../../../bench/peers/outrigger.ts';
import type { Peer, PeerName } from '../../../bench/peers/peer.ts';
import { Progress } from '../../../bench/run/progress.ts';
import { checkoutRoot } from '../../../bench/run/root.ts';
import type { TrialEnv } from '../../../bench/run/trial.ts';
import type { Figure } from '../../../src/lab/characterize/characterization.ts';
import { characterizationText } from '../../../src/lab/characterize/characterization-text.ts';

const ROOT = checkoutRoot() as string;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-characterize-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function peer(name: PeerName, rest: Partial<Peer> = {}): Peer {
  return { name, version: '1', description: '', supports: () => true, prepare: async () => undefined, ...rest };
}

function planOf(configurations: string, peers: readonly Peer[], rest: Partial<CharacterizePlan> = {}) {
  const plan: CharacterizePlan = {
    configurations: selectConfigurations(configurations.split(',')),
    peers,
    rounds: 1,
    durationS: 1,
    levels: [],
    levelRounds: rest.rounds ?? 1,
    breakdown: false,
    sizes: [],
    sizeRounds: 1,
    sizeBreakdown: false,
    ...rest,
  };
  return plan;
}

/** Runs a plan's rounds with a load that takes no time, and peers that are the backend alone. */
async function measure(plan: CharacterizePlan) {
  const order: string[] = [];
  const env: TrialEnv = {
    root: ROOT,
    workFolder: folder,
    proxyCores: [],
    loadCores: [],
    loadFor: () => ({
      name: 'wrk',
      run: async () => ({ requests: 500, requestsPerSecond: 500, errors: 1, p50Micros: 1, p90Micros: 2, p99Micros: 3 }),
    }),
  };
  const peers = plan.peers.map((one) => ({
    ...one,
    prepare: (run: Parameters<Peer['prepare']>[0]) => {
      order.push(`${one.name} ${run.scenario.name}`);
      return one.prepare(run);
    },
  }));
  const all = subjects({ ...plan, peers }).map((subject) => new Measurement(subject));
  await Measurement.inRounds(env, plan, all, new Progress(1));
  return { order, all };
}

describe('the rounds', () => {
  it('go over all proxies and configurations, every other one in reverse order', async () => {
    const { order } = await measure(planOf('http,ratelimit', [peer('outrigger'), peer('envoy')], { rounds: 2 }));
    const first = ['outrigger http', 'envoy http', 'outrigger ratelimit', 'envoy ratelimit'];
    expect(order).toEqual([...first, ...first.toReversed()]);
  });

  it('go on without a proxy that does not start, and say what it wrote', async () => {
    const command = { command: 'sh', args: ['-c', 'echo no such filter >&2; exit 1'] };
    const plan = planOf('http', [peer('envoy', { prepare: async () => command }), peer('outrigger')], { rounds: 2 });
    const { order, all } = await measure(plan);
    expect(order).toEqual(['envoy http', 'outrigger http', 'outrigger http']);
    const [envoy, outrigger] = all.map((one) => one.character());
    expect(envoy?.error).toMatch(/no such filter/);
    expect(envoy).toMatchObject({ levels: [], errors: 0 });
    expect(outrigger?.error).toBeUndefined();
    expect(outrigger?.requestsPerSecond?.values).toEqual([500, 500]);
  });

  it('hold each rate that the first of them has chosen, and say which share of a core it came to', {
    timeout: 60_000,
  }, async () => {
    const { all } = await measure(planOf('http', [peer('outrigger')], { rounds: 2, levels: [0.5] }));
    const [half, full] = all[0]?.character().levels ?? [];
    // What has no process costs nothing: the rate is a share of saturation.
    expect(half).toMatchObject({ level: 0.5, loop: 'open', rate: 250, errors: 0, unanswered: 0 });
    expect(half?.p99.values).toHaveLength(2);
    expect(full).toMatchObject({ level: 1, loop: 'closed', p50: { median: 1 }, p99: { median: 3 }, errors: 2 });
  });

  it('leave no file behind, and say what of their figures to doubt', async () => {
    const { all } = await measure(planOf('http', [peer('outrigger')]));
    expect(readdirSync(folder)).toEqual([]);
    expect(doubts(all)).toEqual([
      'not the proxy but the load, the backend or other work was the limit at saturation: http (outrigger) 0 %',
      'requests failed: http (outrigger) 1',
    ]);
  });
});

describe('a plan', () => {
  const peers = [peer('outrigger'), peer('envoy')];
  const usual = { levels: [0.2, 0.5], breakdown: true };

  it('measures what a proxy can do, and leaves open rows out', () => {
    const plan = planOf('all', [peer('outrigger'), peer('nginx', { supports: ({ name }) => name === 'tcp' })]);
    const of = (name: PeerName) => subjects(plan).filter((one) => one.peer.name === name);
    expect(of('outrigger')).toHaveLength(CONFIGURATIONS.filter(({ open }) => open === undefined).length);
    expect(of('nginx').map(({ configuration }) => configuration.name)).toEqual(['tcp']);
  });

  it('has the message sizes of the paper, for bytes and requests, with TLS and without', () => {
    const sized = sizedSubjects(planOf('all', [peer('outrigger')], { sizes: SIZES }));
    expect(new Set(sized.map(({ configuration }) => configuration.name))).toEqual(
      new Set(['tcp', 'http', 'tls', 'tls_http']),
    );
    const names = sized.filter(({ configuration }) => configuration.name === 'http').map(({ scenario }) => scenario);
    expect(names.map(({ name }) => name)).toEqual(
      ['16k', '32k', '64k', '128k', '256k', '512k', '1m'].map((size) => `http_${size}`),
    );
    expect(names.map(({ bodyBytes }) => bodyBytes)).toEqual(SIZES);
  });

  it('of everything is done within 40 minutes, a quick one within four', () => {
    expect(planSeconds(planOf('all', peers, { ...usual, ...WHOLE }))).toBeLessThan(40 * 60);
    const quick = CONFIGURATIONS.filter(({ isQuick }) => isQuick === true).map(({ name }) => name);
    expect(planSeconds(planOf(quick.join(), peers, { ...usual, ...QUICK }))).toBeLessThan(4 * 60);
  });
});

describe('outrigger characterize', () => {
  it('measures a configuration from end to end', { timeout: 180_000 }, async () => {
    const found = findOutrigger(ROOT);
    if ('missing' in found) throw new Error(found.missing);
    const plan = planOf('sql,http', [found.peer], { levels: [0.2], sizes: [16 * 1024], breakdown: true });
    const result = await characterize(ROOT, plan, 'outrigger characterize', folder);
    expect(result).toMatchObject({ schema: 'outrigger.characterization/1', rounds: 1, durationS: 1 });

    const [sql, http] = result.configurations;
    expect(sql).toMatchObject({ name: 'sql', open: 'follows with the SQL filters', peers: [] });
    expect(http).toMatchObject({ name: 'http', title: 'HTTP', inPaper: true, scenario: 'http', parts: [] });
    const [character] = http?.peers ?? [];
    expect(character?.error).toBeUndefined();
    expect(character?.errors).toBe(0);
    const [low, full] = character?.levels ?? [];
    expect(low).toMatchObject({ level: 0.2, loop: 'open', errors: 0 });
    for (const figure of [character?.requestsPerSecond, character?.cpuMicros, low?.cpuMicros, low?.p50, low?.p99])
      expectFigure(figure);
    // Only wrk tells the percentiles of a closed loop.
    if (http?.load === 'wrk') expect(full).toMatchObject({ level: 1, loop: 'closed' });

    expect(result.sizes).toMatchObject([{ configuration: 'http', bytes: 16 * 1024, peers: [{ peer: 'outrigger' }] }]);
    expectFigure(result.sizes[0]?.peers[0]?.cpuMicros);

    const why = await whyNoBreakdown();
    if (why === undefined) {
      const parts = character?.breakdown?.parts ?? [];
      expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
      expect(parts.map(({ part }) => part)).toContain('http_parse');
      expect(character?.breakdown?.counters.perRequest['task-clock-ms']).toBeGreaterThan(0);
    } else {
      expect(character?.breakdown).toBeUndefined();
      expect(result.warnings).toContain(`no breakdown of the CPU time: ${why}`);
    }
    expect(characterizationText(JSON.parse(JSON.stringify(result)))).toContain('HTTP');
    expect(readdirSync(folder)).toEqual([]);
  });
});

function expectFigure(figure: Figure | undefined): void {
  expect(figure?.values).toHaveLength(1);
  expect(figure?.median).toBeGreaterThan(0);
}
