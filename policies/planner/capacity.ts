import { Expression } from './expression.ts';
import type { Assignment } from './load.ts';
import type { PlacementProgram } from './placement-program.ts';
import type { PlanProblem } from './problem.ts';

/** µs of CPU per second of one core. */
const CORE_MICROS = 1_000_000;

/** What a sidecar or a node can carry, as a row of the program. */
export interface Capacity {
  readonly expression: Expression;
  readonly upper: number;
  readonly text: string;
}

export function hasCapacities({ graph }: PlanProblem): boolean {
  const isLimited = (...limits: number[]): boolean => limits.some((limit) => Number.isFinite(limit));
  return (
    graph.services.some(({ sidecarCpuCores, sidecarMemoryMiB }) => isLimited(sidecarCpuCores, sidecarMemoryMiB)) ||
    graph.nodes.some(({ cpuCores, memoryMiB }) => isLimited(cpuCores, memoryMiB))
  );
}

/** All capacities of the graph. */
export function capacitiesOf(model: PlacementProgram): Capacity[] {
  const { services, nodes } = model.problem.graph;
  const found: Capacity[] = [];
  const costOf = (service: number): Expression => model.costsByService('cpuMicros').get(service) ?? new Expression();
  for (const [index, { name, replicas, sidecarCpuCores, sidecarMemoryMiB }] of services.entries()) {
    if (Number.isFinite(sidecarCpuCores))
      found.push({
        expression: costOf(index),
        upper: sidecarCpuCores * CORE_MICROS * replicas,
        text: `the sidecars of ${name} have ${sidecarCpuCores} cores each`,
      });
    const { memoryMiB, memoryPerPolicyMiB } = model.profile;
    if (sidecarMemoryMiB < memoryMiB || (memoryPerPolicyMiB > 0 && Number.isFinite(sidecarMemoryMiB))) {
      const more = memoryPerPolicyMiB > 0 ? ` and ${memoryPerPolicyMiB} MiB for each policy` : '';
      found.push({
        expression: model.memory(index),
        upper: sidecarMemoryMiB,
        text: `a sidecar of ${name} may have ${sidecarMemoryMiB} MiB, and one takes ${memoryMiB} MiB${more}`,
      });
    }
  }
  for (const { name, cpuCores, memoryMiB } of nodes) {
    const cpu = new Expression();
    const memory = new Expression();
    for (const [index, { replicas, nodes: places }] of services.entries()) {
      if (!places.includes(name)) continue;
      // Where replicas cannot be spread quite evenly, any of the nodes may get the one more.
      const here = Math.ceil(replicas / places.length);
      if (Number.isFinite(cpuCores)) cpu.addAll(costOf(index), here / replicas);
      if (Number.isFinite(memoryMiB)) memory.addAll(model.memory(index), here);
    }
    if (Number.isFinite(cpuCores))
      found.push({
        expression: cpu,
        upper: cpuCores * CORE_MICROS,
        text: `node ${name} has ${cpuCores} cores for sidecars`,
      });
    if (Number.isFinite(memoryMiB))
      found.push({ expression: memory, upper: memoryMiB, text: `node ${name} has ${memoryMiB} MiB for sidecars` });
  }
  return found;
}

export function addCapacities(model: PlacementProgram): void {
  for (const { expression, upper } of capacitiesOf(model)) model.limit(expression, upper);
}

/** The capacities that an assignment goes beyond. */
export function violatedCapacities(model: PlacementProgram, assignment: Assignment): Capacity[] {
  const values = model.valuesOf(assignment);
  return capacitiesOf(model).filter(({ expression, upper }) => expression.valueAt(values) > upper * (1 + 1e-9) + 1e-6);
}
