import type { PackedProgram } from './integer-program.ts';

/** What the solver's thread is asked. */
export interface SolveRequest {
  readonly id: number;
  readonly program: PackedProgram;
  /** Longest time in the solver, seconds. */
  readonly timeLimitS: number;
  /** A solution to begin with. */
  readonly start: Float64Array | undefined;
  /** Good enough: `(objective - bound) ≤` this. */
  readonly absoluteGap: number;
}

/** What it says while it works, and in the end. */
export type SolverMessage =
  | { readonly kind: 'progress'; readonly id: number; readonly objective: number; readonly bound: number }
  | { readonly kind: 'solution'; readonly id: number; readonly objective: number; readonly values: Float64Array }
  | { readonly kind: 'done'; readonly id: number; readonly result: RawResult }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };

export interface RawResult {
  readonly status: 'optimal' | 'infeasible' | 'stopped';
  readonly objective: number;
  readonly bound: number;
  /** Undefined when there is no solution. */
  readonly values: Float64Array | undefined;
}
