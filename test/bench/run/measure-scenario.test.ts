import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Peer, PeerName } from '../../../bench/peers/peer.ts';
import { measureScenario } from '../../../bench/run/measure-scenario.ts';
import type { Plan } from '../../../bench/run/plan.ts';
import { Progress } from '../../../bench/run/progress.ts';
import { checkoutRoot } from '../../../bench/run/root.ts';
import type { TrialEnv } from '../../../bench/run/trial.ts';
import { SCENARIOS } from '../../../bench/scenarios.ts';

const http = SCENARIOS.find((scenario) => scenario.name === 'http') as (typeof SCENARIOS)[number];
let workFolder: string;

beforeEach(() => {
  workFolder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
});

afterEach(() => rmSync(workFolder, { recursive: true }));

/** Measures with a load that takes no time, and peers that are the backend alone. */
async function measure(peers: readonly Peer[], rest: Partial<Plan> = {}) {
  const order: string[] = [];
  const env: TrialEnv = {
    root: checkoutRoot() as string,
    workFolder,
    proxyCores: [],
    loadCores: [],
    loadFor: () => ({
      name: 'wrk',
      run: async () => ({ requests: 1000, requestsPerSecond: 1000, errors: 0 }),
    }),
  };
  const watched = peers.map(
    (peer): Peer => ({
      ...peer,
      prepare: (run) => {
        order.push(peer.name);
        return peer.prepare(run);
      },
    }),
  );
  const plan: Plan = {
    scenarios: [http],
    peers: watched,
    rounds: 3,
    durationS: 1,
    shares: [],
    rateRounds: 1,
    memory: false,
    memoryRounds: 1,
    starts: 0,
    idle: false,
    scaling: false,
    ...rest,
  };
  return { order, results: await measureScenario(env, plan, http, new Progress(1)) };
}

function peer(name: PeerName, rest: Partial<Peer> = {}): Peer {
  return { name, version: '1', description: '', supports: () => true, prepare: async () => undefined, ...rest };
}

describe('a scenario', () => {
  it('takes the peers in reverse order every other round', async () => {
    const { order, results } = await measure([peer('direct'), peer('outrigger'), peer('envoy')]);
    expect(order).toEqual([
      ...['direct', 'outrigger', 'envoy'],
      ...['envoy', 'outrigger', 'direct'],
      ...['direct', 'outrigger', 'envoy'],
    ]);
    expect(results.map((result) => result.saturation?.requestsPerSecond.values.length)).toEqual([3, 3, 3]);
  });

  it('goes on without a peer that does not start, and says what it wrote', async () => {
    const command = { command: 'sh', args: ['-c', 'echo port taken >&2; exit 1'] };
    const { order, results } = await measure([peer('envoy', { prepare: async () => command }), peer('direct')]);
    expect(order).toEqual(['envoy', 'direct', 'direct', 'direct']);
    expect(results[0]).toMatchObject({ peer: 'envoy', rates: [] });
    expect(results[0]?.error).toMatch(/port taken/);
    expect(results[1]?.error).toBeUndefined();
  });

  it('leaves out a peer that cannot do it', async () => {
    const { results } = await measure([peer('nginx', { supports: () => false }), peer('direct')], { rounds: 1 });
    expect(results.map((result) => result.peer)).toEqual(['direct']);
  });

  it('holds shares of the slowest saturation, from a generator in its own process', async () => {
    const { results } = await measure([peer('direct')], { rounds: 1, shares: [0.2, 0.5] });
    const rates = results[0]?.rates ?? [];
    expect(rates.map((figures) => figures.rate)).toEqual([200, 500]);
    for (const figures of rates) {
      expect(figures.errors + figures.unanswered).toBe(0);
      expect(figures.p50.median).toBeGreaterThan(0);
      expect(figures.machineMicros.median).toBeGreaterThan(0);
    }
  });

  it('leaves no file behind', async () => {
    await measure([peer('direct')], { rounds: 1 });
    expect(readdirSync(workFolder)).toEqual([]);
  });
});
