import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort } from 'node:worker_threads';
import * as highsModule from 'highs';
import type { RawResult, SolveRequest, SolverMessage } from './solver-messages.ts';

/**
 * The thread in which HiGHS runs. Its calls return only when they are done, so that a time limit which is to hold has to
 * be kept by somebody else, who can end this thread.
 */

/** In the bundle it lies beside this file. */
const BUNDLED = join(import.meta.dirname, 'highs.wasm');

// The package's types are those of its CommonJS build; Node gets the other one.
const loadHighs = highsModule.default as unknown as (options: highsModule.InitOptions) => Promise<highsModule.Highs>;
const highs = await loadHighs({
  wasmBinary: readFileSync(
    existsSync(BUNDLED) ? BUNDLED : fileURLToPath(import.meta.resolve('highs/runtime')),
  ) as never,
});

/** At most so many messages about progress in a second. */
const PROGRESS_EVERY_MS = 200;

function send(message: SolverMessage): void {
  parentPort?.postMessage(message);
}

parentPort?.on('message', (request: SolveRequest) => {
  try {
    send({ kind: 'done', id: request.id, result: solve(request) });
  } catch (error) {
    send({ kind: 'failed', id: request.id, message: String((error as Error).stack ?? error) });
  }
});

function solve({ id, program, timeLimitS, start, absoluteGap }: SolveRequest): RawResult {
  const { costs, lowers, uppers, integers, rowLowers, rowUppers, starts, indices, values } = program;
  const model = highs.createModel({
    numCols: costs.length,
    numRows: rowLowers.length,
    colCost: costs,
    colLower: lowers,
    colUpper: uppers,
    rowLower: rowLowers,
    rowUpper: rowUppers,
    matrix: { format: 'csr', numRows: rowLowers.length, numCols: costs.length, starts, indices, values },
    integrality: integers,
  } as never);
  try {
    model.options.set({
      output_flag: false,
      time_limit: timeLimitS,
      mip_rel_gap: 0,
      mip_abs_gap: absoluteGap,
      random_seed: 7,
    } as never);
    if (start !== undefined) model.setSolution({ colValue: start } as never);
    model.run(callbacks(id) as never);
    return resultOf(model as never, program);
  } finally {
    model.dispose();
  }
}

interface Event {
  readonly data: Record<string, unknown>;
}

function callbacks(id: number): Record<number, (event: Event) => void> {
  const { mipLogging, mipImprovingSolution } = highs.constants.callbackType;
  let saidAt = 0;
  return {
    [mipLogging]: ({ data }) => {
      const now = performance.now();
      if (now - saidAt < PROGRESS_EVERY_MS) return;
      saidAt = now;
      send({ kind: 'progress', id, objective: Number(data.mip_primal_bound), bound: Number(data.mip_dual_bound) });
    },
    [mipImprovingSolution]: ({ data }) => {
      const found = data.mip_solution as Float64Array | undefined;
      if (found === undefined || found.length === 0) return;
      send({
        kind: 'solution',
        id,
        objective: Number(data.objective_function_value),
        values: Float64Array.from(found),
      });
    },
  };
}

interface SolvedModel {
  getModelStatus(): number;
  getObjectiveValue(): number;
  getSolution(): { colValue: ArrayLike<number> };
  info: { get(name: string): number | bigint };
}

function resultOf(model: SolvedModel, program: SolveRequest['program']): RawResult {
  const { optimal, infeasible, unboundedOrInfeasible } = highs.constants.modelStatus;
  const status = model.getModelStatus();
  if (status === infeasible || status === unboundedOrInfeasible)
    return { status: 'infeasible', objective: Number.NaN, bound: Number.NaN, values: undefined };
  const isFeasible = Number(model.info.get('primal_solution_status')) === highs.constants.solutionStatus.feasible;
  const isMip = program.integers.some((one) => one === 1);
  const objective = model.getObjectiveValue();
  return {
    status: status === optimal ? 'optimal' : 'stopped',
    objective,
    bound: isMip ? Number(model.info.get('mip_dual_bound')) : objective,
    values: isFeasible ? Float64Array.from(model.getSolution().colValue) : undefined,
  };
}
