/**
 * What `--probe sampled` costs: two proxies that differ in nothing else run side by side on one core, and are loaded in
 * turn, second by second. Prints the mean of the paired differences of CPU time per request, with its interval.
 *
 *   bin/node bench/profile/probe-overhead.ts [--pairs 20] [--scenario http] [--a off] [--b sampled]
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { saturationLoad } from '../load/saturation.ts';
import { findOutrigger } from '../peers/outrigger.ts';
import type { Peer } from '../peers/peer.ts';
import { makeFixtures } from '../policies/fixtures.ts';
import { divideCores } from '../run/plan.ts';
import { checkoutRoot } from '../run/root.ts';
import { saturate, type Trial, type TrialEnv, withTrial } from '../run/trial.ts';
import type { Scenario } from '../scenario.ts';
import { SCENARIOS } from '../scenarios.ts';
import { meanInterval } from './mean-interval.ts';

const WARM_UP_S = 3;

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '20' },
    scenario: { type: 'string', default: 'http' },
    a: { type: 'string', default: 'off' },
    b: { type: 'string', default: 'sampled' },
  },
});

const root = checkoutRoot() as string;
const scenario = SCENARIOS.find(({ name }) => name === values.scenario) as Scenario;
const found = findOutrigger(root);
if (!('peer' in found)) throw new Error(found.missing);
const outrigger = found.peer;
mkdirSync(join(root, '.bench'), { recursive: true });
const workFolder = mkdtempSync(join(root, '.bench', 'overhead-'));
try {
  const { proxy, load } = divideCores();
  const loadFor = (one: Scenario) => saturationLoad(root, one);
  const fixtures = await makeFixtures(root, join(workFolder, 'certificates'), [scenario]);
  const env: TrialEnv = { root, workFolder, proxyCores: proxy, loadCores: load, loadFor, fixtures };
  await withTrial(env, probed(outrigger, values.a), scenario, (a) =>
    withTrial(env, probed(outrigger, values.b), scenario, (b) => compare(a, b)),
  );
} finally {
  rmSync(workFolder, { recursive: true, force: true });
}

function probed(peer: Peer, mode: string): Peer {
  return {
    ...peer,
    async prepare(run) {
      const command = await peer.prepare(run);
      return command === undefined ? undefined : { ...command, args: [...command.args, '--probe', mode] };
    },
  };
}

async function compare(a: Trial, b: Trial): Promise<void> {
  for (const trial of [a, b]) await saturate(trial, WARM_UP_S);
  const differences: number[] = [];
  const costs: [number, number][] = [];
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    const first = pair % 2 === 0 ? await cost(a) : undefined;
    const other = await cost(b);
    const one = first ?? (await cost(a));
    costs.push([one, other]);
    differences.push((100 * (other - one)) / one);
  }
  const { mean, low, high } = meanInterval(differences);
  const microseconds = (index: 0 | 1): string => meanInterval(costs.map((pair) => pair[index])).mean.toFixed(2);
  process.stdout.write(
    `${scenario.name}, ${outrigger.description}: ${values.a} ${microseconds(0)} µs, ${values.b} ${microseconds(1)} µs of CPU per request; ` +
      `difference ${mean.toFixed(2)} % (95 % interval ${low.toFixed(2)} … ${high.toFixed(2)} %, ${differences.length} pairs)\n`,
  );
}

/** CPU time of a request, microseconds, over a second of load. */
async function cost(trial: Trial): Promise<number> {
  const before = cpuNs(trial.pid as number);
  const { result } = await saturate(trial, 1);
  return (cpuNs(trial.pid as number) - before) / 1000 / result.requests;
}

/** CPU time of a process to the nanosecond: /proc/…/stat counts in hundredths of a second. */
function cpuNs(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.reduce((sum, task) => {
    const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1');
    return sum + Number(text.split(' ')[0]);
  }, 0);
}
