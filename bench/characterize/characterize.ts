import { join } from 'node:path';
import {
  CHARACTERIZATION_SCHEMA,
  type Characterization,
  type ConfigurationResult,
  type PeerCharacter,
  type SizeResult,
} from '../../src/lab/characterize/characterization.ts';
import { type SaturationLoad, saturationLoad } from '../load/saturation.ts';
import { machineFacts, machineWarnings } from '../measure/machine.ts';
import { makeFixtures } from '../policies/fixtures.ts';
import { BENCH_FOLDER } from '../run/bench.ts';
import { divideCores } from '../run/plan.ts';
import { Progress } from '../run/progress.ts';
import type { TrialEnv } from '../run/trial.ts';
import { withWorkFolder } from '../run/work-folder.ts';
import type { Scenario } from '../scenario.ts';
import { breakDown, whyNoBreakdown } from './breakdown.ts';
import type { Configuration } from './configurations.ts';
import { doubts } from './doubts.ts';
import { Measurement } from './measurement.ts';
import { type CharacterizePlan, planSeconds, scenarioOf, sizedSubjects, sizeText, subjects } from './plan.ts';

/** Where `outrigger report` finds the last run, below the checkout. */
export const CHARACTERIZATION_FILE = join(BENCH_FOLDER, 'characterization.json');

/**
 * Runs a plan: rounds over all proxies and configurations, then the message sizes, then where the time goes.
 *
 * @param command what the user typed
 * @param folder for what it writes while it runs
 * @throws when another benchmark runs in the folder
 */
export async function characterize(
  root: string,
  plan: CharacterizePlan,
  command: string,
  folder = join(root, BENCH_FOLDER),
): Promise<Characterization> {
  return await withWorkFolder(folder, 'characterize-', (workFolder) => measure(root, plan, command, workFolder));
}

async function measure(
  root: string,
  plan: CharacterizePlan,
  command: string,
  workFolder: string,
): Promise<Characterization> {
  const startedAt = new Date();
  const progress = new Progress(planSeconds(plan));
  try {
    const machine = machineFacts();
    const cores = divideCores();
    const loadFor = (scenario: Scenario): SaturationLoad => saturationLoad(root, scenario);
    const scenarios = subjects(plan).map(({ scenario }) => scenario);
    const fixtures = await makeFixtures(root, join(workFolder, 'certificates'), scenarios);
    const env: TrialEnv = { root, workFolder, proxyCores: cores.proxy, loadCores: cores.load, loadFor, fixtures };
    const whole = subjects(plan).map((subject) => new Measurement(subject));
    const sized = sizedSubjects(plan).map((subject) => new Measurement(subject));
    await Measurement.inRounds(env, plan, whole, progress);
    await Measurement.inRounds(env, { ...plan, rounds: plan.sizeRounds, levels: [] }, sized, progress);
    const why = plan.breakdown ? await whyNoBreakdown() : undefined;
    const missing = why === undefined ? [] : [`no breakdown of the CPU time: ${why}`];
    if (plan.breakdown && why === undefined) {
      const all = plan.sizeBreakdown ? [...whole, ...sized] : whole;
      missing.push(...(await breakDown(root, plan, all, progress)));
    }
    return {
      schema: CHARACTERIZATION_SCHEMA,
      startedAt: startedAt.toISOString(),
      seconds: (Date.now() - startedAt.getTime()) / 1000,
      command,
      machine: { cpu: machine.cpu, cores: machine.cores, kernel: machine.kernel, node: machine.node },
      cores,
      rounds: plan.rounds,
      durationS: plan.durationS,
      peers: plan.peers.map(({ name, version, description }) => ({ name, version, description })),
      configurations: plan.configurations.map((one) => configurationResult(root, plan, one, whole)),
      sizes: sizeResults(plan, sized),
      warnings: [
        ...machineWarnings(machine),
        ...(cores.pinned ? [] : ['taskset is not installed: nothing is pinned']),
        ...doubts([...whole, ...sized]),
        ...missing,
      ],
    };
  } finally {
    progress.end();
  }
}

function configurationResult(
  root: string,
  plan: CharacterizePlan,
  configuration: Configuration,
  all: readonly Measurement[],
): ConfigurationResult {
  const { name, title, inPaper, protocol, scenario, note, open, base, parts } = configuration;
  const found = scenarioOf(configuration);
  return {
    name,
    title,
    inPaper,
    protocol,
    ...(scenario !== undefined && { scenario }),
    ...(note !== undefined && { note }),
    ...(open !== undefined && { open }),
    ...(base !== undefined && { base }),
    parts,
    command: commandFor(plan, name, '--no-sizes'),
    load: found === undefined ? '' : saturationLoad(root, found).name,
    peers: all.filter((one) => one.subject.configuration === configuration).map((one) => one.character()),
  };
}

function sizeResults(plan: CharacterizePlan, all: readonly Measurement[]): SizeResult[] {
  const rows = new Map<string, SizeResult & { readonly peers: PeerCharacter[] }>();
  for (const one of all) {
    const { configuration, bytes = 0 } = one.subject;
    const key = `${configuration.name} ${sizeText(bytes)}`;
    const row = rows.get(key) ?? {
      configuration: configuration.name,
      bytes,
      command: commandFor(plan, configuration.name, '--no-levels --no-breakdown'),
      peers: [],
    };
    row.peers.push(one.character());
    rows.set(key, row);
  }
  return [...rows.values()];
}

/** Measures one configuration again, as this plan did. */
function commandFor(plan: CharacterizePlan, name: string, less: string): string {
  const peers = plan.peers.map((peer) => peer.name).join(',');
  return `outrigger characterize --configuration ${name} --peer ${peers} --rounds ${plan.rounds} --duration ${plan.durationS} ${less}`;
}
