/**
 * What `--probe sampled` costs: two proxies that differ in nothing else run side by side on one core, and are loaded in
 * turn, second by second, the order reversed each time. Neighbours on the machine make seconds dearer, never cheaper: of each
 * proxy the cheapest third counts. After a few pairs both are started anew, since two processes of the same program differ
 * by what V8 compiled and where memory lies. So the interval is that of the mean of such blocks (Student's t), not of
 * pairs, which are not independent of each other.
 *
 *   bin/node bench/profile/probe-overhead.ts [--blocks 16] [--pairs 9] [--scenario http] [--a off] [--b sampled]
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

/** V8 has compiled what there is to compile by then; a busy machine gets no longer than that for it. */
const WARM_UP_REQUESTS = 60_000;
const WARM_UP_S = 2;
const MOST_WARM_UPS = 5;

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '16' },
    pairs: { type: 'string', default: '9' },
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
  const blocks: Block[] = [];
  for (let block = 0; block < Number(values.blocks); block++) {
    // The one that was started last finds other memory and another heap.
    const [first, second] = block % 2 === 0 ? [values.a, values.b] : [values.b, values.a];
    const seen = await withTrial(env, probed(outrigger, first), scenario, (one) =>
      withTrial(env, probed(outrigger, second), scenario, (other) =>
        block % 2 === 0 ? compare(one, other) : compare(other, one),
      ),
    );
    blocks.push(seen);
    process.stderr.write(`block ${block + 1}: ${seen.percent.toFixed(2)} %\n`);
  }
  show(blocks);
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

/** A few pairs of the same two processes. */
interface Block {
  readonly aUs: number;
  readonly bUs: number;
  readonly percent: number;
}

async function compare(a: Trial, b: Trial): Promise<Block> {
  for (const trial of [a, b]) await warmUp(trial);
  const costs = new Map<Trial, number[]>([
    [a, []],
    [b, []],
  ]);
  for (let pair = 0; pair < Number(values.pairs); pair++) {
    for (const trial of pair % 2 === 0 ? [a, b] : [b, a]) costs.get(trial)?.push(await cost(trial));
  }
  const [aUs, bUs] = [...costs.values()].map(leastThird) as [number, number];
  return { aUs, bUs, percent: 100 * (bUs / aUs - 1) };
}

/** Mean of the smallest third. */
function leastThird(list: readonly number[]): number {
  const least = [...list].sort((one, other) => one - other).slice(0, Math.ceil(list.length / 3));
  return least.reduce((sum, value) => sum + value, 0) / least.length;
}

async function warmUp(trial: Trial): Promise<void> {
  let served = 0;
  for (let i = 0; i < MOST_WARM_UPS && served < WARM_UP_REQUESTS; i++)
    served += (await saturate(trial, WARM_UP_S)).result.requests;
}

function show(blocks: readonly Block[]): void {
  const { mean, low, high } = meanInterval(blocks.map(({ percent }) => percent));
  const us = (which: 'aUs' | 'bUs'): string => meanInterval(blocks.map((block) => block[which])).mean.toFixed(2);
  const count = `${blocks.length} blocks of ${values.pairs} pairs`;
  process.stdout.write(
    `${scenario.name}, ${outrigger.description}: ${values.a} ${us('aUs')} µs, ${values.b} ${us('bUs')} µs of CPU per request; ` +
      `difference ${mean.toFixed(2)} % ± ${((high - low) / 2).toFixed(2)} (95 % interval ${low.toFixed(2)} … ${high.toFixed(2)} %, ${count})\n`,
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
