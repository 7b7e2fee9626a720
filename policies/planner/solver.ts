import { Worker } from 'node:worker_threads';
import { type IntegerProgram, pack } from './integer-program.ts';
import type { RawResult, SolveRequest, SolverMessage } from './solver-messages.ts';

/** How far a solution is from the best that could be. */
export interface SolverProgress {
  readonly objective: number;
  readonly bound: number;
}

export interface SolveOptions {
  /** When the answer has to be there, on the clock of `performance.now()`. */
  readonly deadlineMs: number;
  readonly start?: ArrayLike<number> | undefined;
  readonly absoluteGap?: number;
  readonly onProgress?: ((progress: SolverProgress) => void) | undefined;
}

/** HiGHS gets this much less than what is left, so that it mostly stops by itself, with the best bound that it knows. */
const GRACE_MS = 300;

/** HiGHS in a thread of its own: what runs there can be ended at any time, and the best found so far is kept. */
export class Solver implements AsyncDisposable {
  private worker: Worker | undefined;
  private lastId = 0;

  /** @throws Error when the solver itself fails */
  async solve(program: IntegerProgram, options: SolveOptions): Promise<RawResult> {
    const { start, absoluteGap = 1e-9, onProgress } = options;
    // HiGHS has no answer for a program in which everything is decided.
    if (program.costs.length === 0) return decided(program);
    const leftMs = options.deadlineMs - performance.now();
    const best: { objective: number; bound: number; values: Float64Array | undefined } = {
      objective: start === undefined ? Number.POSITIVE_INFINITY : program.objective(start),
      bound: Number.NEGATIVE_INFINITY,
      values: start === undefined ? undefined : Float64Array.from(start),
    };
    if (leftMs <= 0) return { status: 'stopped', ...best };
    const worker = this.start();
    const id = ++this.lastId;
    return await new Promise<RawResult>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.end();
        finish(() => resolve({ status: 'stopped', ...best }));
      }, leftMs);
      const finish = (then: () => void): void => {
        clearTimeout(timer);
        worker.off('message', onMessage);
        worker.off('error', onError);
        then();
      };
      const onError = (error: Error): void => {
        this.worker = undefined;
        finish(() => reject(error));
      };
      const onMessage = (message: SolverMessage): void => {
        if (message.id !== id) return;
        switch (message.kind) {
          case 'progress':
            best.bound = Math.max(best.bound, message.bound);
            onProgress?.({ objective: Math.min(best.objective, message.objective), bound: best.bound });
            return;
          case 'solution':
            if (message.objective < best.objective)
              Object.assign(best, { objective: message.objective, values: message.values });
            return;
          case 'failed':
            finish(() => reject(new Error(`the solver failed: ${message.message}`)));
            return;
          case 'done':
            finish(() => resolve(merged(message.result, best)));
        }
      };
      worker.on('message', onMessage);
      worker.on('error', onError);
      const request: SolveRequest = {
        id,
        program: pack(program),
        timeLimitS: Math.max(0.05, (leftMs - GRACE_MS) / 1000),
        start: start === undefined ? undefined : Float64Array.from(start),
        absoluteGap,
      };
      worker.postMessage(request);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker?.terminate();
  }

  private start(): Worker {
    this.worker ??= new Worker(new URL('./solver-worker.ts', import.meta.url));
    return this.worker;
  }

  private end(): void {
    this.worker?.terminate();
    this.worker = undefined;
  }
}

function decided({ rows }: IntegerProgram): RawResult {
  const isPossible = rows.every(({ lower, upper }) => lower <= 0 && upper >= 0);
  return isPossible
    ? { status: 'optimal', objective: 0, bound: 0, values: new Float64Array(0) }
    : { status: 'infeasible', objective: Number.NaN, bound: Number.NaN, values: undefined };
}

/** A solution that was there before may be better than what a stopped solver ends with. */
function merged(result: RawResult, best: { objective: number; values: Float64Array | undefined }): RawResult {
  if (result.status !== 'stopped' || best.values === undefined) return result;
  if (result.values !== undefined && result.objective <= best.objective) return result;
  return { ...result, objective: best.objective, values: best.values };
}
