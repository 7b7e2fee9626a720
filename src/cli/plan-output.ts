import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { builtinRegistry } from '../../filters/index.ts';
import type { Assignment } from '../../policies/planner/load.ts';
import { withoutAdm } from '../../policies/planner/loss.ts';
import { planHtml, planSvg } from '../../policies/planner/picture.ts';
import type { Plan } from '../../policies/planner/plan.ts';
import type { PlanProblem } from '../../policies/planner/problem.ts';
import { type CompiledPlan, CompileError, compilePlan } from '../../policies/planner/sidecar-file.ts';
import { ConfigError } from '../config/errors.ts';
import { toYaml } from '../config/expand.ts';
import { loadConfig } from '../config/load.ts';
import { attempt, makeOutputFolder, writeOutput } from './output.ts';
import { UsageError } from './usage-error.ts';

/** What a plan has only where its graph says enough: files for proxies. */
const LATER = ['sidecars', 'lost', 'limits', 'addresses.yaml'];

/**
 * Before the plan is made: a folder that is to have it. What an earlier plan has left there is replaced; what somebody else
 * has there is not ours to remove.
 *
 * @throws UsageError
 */
export function preparePlanFolder(folder: string): void {
  makeOutputFolder(folder);
  if (existsSync(join(folder, 'plan.json'))) return;
  const other = attempt(folder, () => readdirSync(folder)).find((name) => LATER.includes(name));
  if (other !== undefined)
    throw new UsageError(
      `${folder} has ${other} and no plan.json: it is no folder of plans`,
      'name a new folder with --output',
    );
}

/**
 * Writes a plan into a folder: plan.json and plan.yaml, graph.svg and graph.html, network-policies.yaml, and, where the
 * graph says enough for it, sidecars/, addresses.yaml and limits/; for plans that survive a loss, lost/NAME/ too.
 *
 * @returns why there are no sidecar files; undefined when there are
 */
export function writePlan(
  folder: string,
  plan: Plan,
  problem: PlanProblem,
  assignment: Assignment,
): string | undefined {
  // What an earlier plan has left would be taken for this one's.
  remove(folder, [...LATER, 'graph.svg']);
  const write = (name: string, text: string): void => writeOutput(join(folder, name), text);
  write('plan.json', `${JSON.stringify(plan, undefined, 2)}\n`);
  write('plan.yaml', toYaml(JSON.parse(JSON.stringify(plan))));
  const svg = planSvg(problem.graph, plan);
  if (svg !== undefined) write('graph.svg', svg);
  write('graph.html', planHtml(problem.graph, plan));
  write('network-policies.yaml', plan.networkPolicies.map((policy) => toYaml(policy)).join('---\n'));
  try {
    writeCompiled(folder, compilePlan(problem, assignment));
    if (problem.survive) writeLosses(folder, problem, assignment);
    writeLimits(folder, problem);
    return undefined;
  } catch (error) {
    // Some of the files are no mesh.
    remove(folder, LATER);
    if (error instanceof CompileError) return error.message;
    if (error instanceof ConfigError) return `the sidecar of ${error.message}`;
    throw error;
  }
}

function remove(folder: string, names: readonly string[]): void {
  for (const name of names)
    attempt(join(folder, name), () => rmSync(join(folder, name), { recursive: true, force: true }));
}

/** Each file is what `outrigger run` accepts, or nothing is written. */
function writeCompiled(folder: string, { sidecars, addresses }: CompiledPlan): void {
  const registry = builtinRegistry();
  const texts = Array.from(sidecars, ([service, bootstrap]) => {
    const text = toYaml(bootstrap);
    loadConfig(`${service}.yaml`, { registry, text });
    return [service, text] as const;
  });
  makeOutputFolder(join(folder, 'sidecars'));
  for (const [service, text] of texts) writeOutput(join(folder, 'sidecars', `${service}.yaml`), text);
  writeOutput(join(folder, 'addresses.yaml'), toYaml(addresses));
}

function writeLosses(folder: string, problem: PlanProblem, assignment: Assignment): void {
  for (const adm of assignment.adms) {
    const left = withoutAdm(problem, assignment, adm);
    if (left === undefined || left === assignment) continue;
    writeCompiled(join(folder, 'lost', problem.graph.services[adm]!.name), compilePlan(problem, left));
  }
}

/** What `outrigger ratelimit --config` reads. */
function writeLimits(folder: string, { graph }: PlanProblem): void {
  for (const { name, document } of graph.policies) {
    if (document === undefined) continue;
    const { limits } = document.kind.compile(document, 'receiver');
    if (limits === undefined) continue;
    writeOutput(join(folder, 'limits', `${name}.yaml`), toYaml(limits));
  }
}
