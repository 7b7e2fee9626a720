import type { SolverProgress } from '../../policies/planner/solver.ts';

const BAR_WIDTH = 24;

/** How much of the time limit is used and how far the best plan is from the bound, on a terminal only. */
export class PlanProgress {
  private readonly limitS: number;
  private readonly out: NodeJS.WriteStream;

  constructor(limitS: number, out: NodeJS.WriteStream = process.stderr) {
    this.limitS = limitS;
    this.out = out;
  }

  show(stage: string, { objective, bound }: SolverProgress): void {
    if (!this.out.isTTY) return;
    // Since the process began, as the limit counts.
    const elapsedS = performance.now() / 1000;
    const filled = Math.min(BAR_WIDTH, Math.round((elapsedS / this.limitS) * BAR_WIDTH));
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const state = Number.isFinite(objective) ? `best ${round(objective)}, bound ${round(bound)}` : 'no plan yet';
    const line = `${bar} ${Math.round(elapsedS)} of at most ${this.limitS} s  ${stage}: ${state}`;
    this.out.write(`\r\x1b[K${line.slice(0, (this.out.columns || 80) - 1)}`);
  }

  /** Removes the bar. */
  end(): void {
    if (this.out.isTTY) this.out.write('\r\x1b[K');
  }
}

function round(value: number): string {
  return Number.isFinite(value) ? value.toFixed(Math.abs(value) < 10 ? 2 : 0) : '–';
}
