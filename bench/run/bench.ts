import { join } from 'node:path';
import { backendKind } from '../backend/backend.ts';
import { type SaturationLoad, saturationLoad } from '../load/saturation.ts';
import { machineFacts, machineWarnings } from '../measure/machine.ts';
import { makeFixtures } from '../policies/fixtures.ts';
import type { BenchReport, ScenarioResult } from '../report/result.ts';
import type { Scenario } from '../scenario.ts';
import { measureIdle } from './measure-idle.ts';
import { measureMemory, measureStart, PROCESS_SCENARIO } from './measure-process.ts';
import { measureScaling } from './measure-scaling.ts';
import { measureScenario } from './measure-scenario.ts';
import { divideCores, type Plan, planSeconds } from './plan.ts';
import { Progress } from './progress.ts';
import type { TrialEnv } from './trial.ts';
import { withWorkFolder } from './work-folder.ts';

/** Where the benchmark keeps its files, below the checkout. */
export const BENCH_FOLDER = '.bench';

/**
 * Runs a plan.
 *
 * @param command what the user typed, for the report
 * @throws when another benchmark runs on this checkout
 */
export async function runBench(root: string, plan: Plan, command: string): Promise<BenchReport> {
  return await withWorkFolder(join(root, BENCH_FOLDER), 'run-', (workFolder) =>
    measure(root, plan, command, workFolder),
  );
}

async function measure(root: string, plan: Plan, command: string, workFolder: string): Promise<BenchReport> {
  const startedAt = new Date();
  const progress = new Progress(planSeconds(plan));
  try {
    const machine = machineFacts();
    const cores = divideCores();
    const loadFor = (scenario: Scenario): SaturationLoad => saturationLoad(root, scenario);
    const fixtures = await makeFixtures(root, join(workFolder, 'certificates'), plan.scenarios);
    const env: TrialEnv = { root, workFolder, proxyCores: cores.proxy, loadCores: cores.load, loadFor, fixtures };
    const scenarios: ScenarioResult[] = [];
    for (const scenario of plan.scenarios) {
      scenarios.push({
        scenario,
        backend: backendKind(scenario, root),
        load: loadFor(scenario).name,
        command: scenarioCommand(plan, scenario.name),
        peers: await measureScenario(env, plan, scenario, progress),
      });
    }
    const memory = plan.memory ? await measureMemory(env, plan, progress) : [];
    const start = plan.starts > 0 ? await measureStart(env, plan, progress) : [];
    const idle = plan.idle ? await measureIdle(env, plan, progress) : [];
    const scaling = plan.scaling ? await measureScaling(env, plan, progress) : [];
    return {
      schema: 'outrigger.bench/1',
      startedAt: startedAt.toISOString(),
      seconds: (Date.now() - startedAt.getTime()) / 1000,
      command,
      machine,
      cores,
      load: [...new Set(scenarios.map((result) => result.load))].join(', ') || loadFor(PROCESS_SCENARIO).name,
      rounds: plan.rounds,
      durationS: plan.durationS,
      peers: plan.peers.map(({ name, version, description }) => ({ name, version, description })),
      scenarios,
      memory,
      start,
      idle,
      scaling,
      warnings: [...machineWarnings(machine), ...toolWarnings(root, plan, cores.pinned)],
    };
  } finally {
    progress.end();
  }
}

/** Programs without which figures say less, in words. */
function toolWarnings(root: string, plan: Plan, isPinned: boolean): string[] {
  const warnings = isPinned ? [] : ['taskset is not installed: nothing is pinned'];
  const backends = plan.scenarios.filter(({ grpc }) => grpc !== undefined).map((each) => backendKind(each, root));
  if (backends.includes('node:http2')) {
    warnings.push(
      'the gRPC backend is one in Node, likely the limit: where Go is, `outrigger bench setup` builds a better',
    );
  }
  const loads = plan.scenarios.filter(({ grpc }) => grpc !== 'stream').map((each) => saturationLoad(root, each).name);
  if (plan.scenarios.some(({ tls, newConnections }) => tls?.downstream === 'mtls' || newConnections === true)) {
    warnings.push('client certificates and handshakes: the load is one in Node, likely the limit; see CPU per request');
  } else if (loads.includes('closed-loop')) {
    warnings.push('h2load (nghttp2-client) is not installed: the load for HTTP/2 is one in Node, likely the limit');
  }
  return warnings;
}

/** The command that measures one scenario again, as this plan did. */
export function scenarioCommand(plan: Plan, name: string): string {
  const peers = plan.peers.map((peer) => peer.name).join(',');
  const latency = plan.shares.length === 0 ? ' --no-latency' : '';
  return `npm run bench -- --scenario ${name} --peer ${peers} --rounds ${plan.rounds} --duration ${plan.durationS}${latency}`;
}
