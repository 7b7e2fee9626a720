const BAR_WIDTH = 24;

/** A bar with the time that is left, on a terminal only: in a log it would be noise. */
export class Progress {
  private readonly out: NodeJS.WriteStream;
  private readonly totalS: number;
  private doneS = 0;
  private readonly startedAt = performance.now();

  /** @param totalS the estimated length of everything */
  constructor(totalS: number, out: NodeJS.WriteStream = process.stderr) {
    this.totalS = totalS;
    this.out = out;
  }

  /** Says what begins now. */
  show(label: string): void {
    if (!this.out.isTTY) return;
    const share = Math.min(1, this.doneS / this.totalS);
    const filled = Math.round(share * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const line = `${bar} ${Math.round(share * 100)} %  ${this.remaining()} left  ${label}`;
    this.out.write(`\r\x1b[K${line.slice(0, (this.out.columns || 80) - 1)}`);
  }

  /** Counts a piece of the estimate as done. */
  done(estimatedS: number): void {
    this.doneS += estimatedS;
  }

  /** Removes the bar. */
  end(): void {
    if (this.out.isTTY) this.out.write('\r\x1b[K');
  }

  private remaining(): string {
    const elapsedS = (performance.now() - this.startedAt) / 1000;
    // The estimate, corrected by how it has held so far.
    const pace = this.doneS > 0 ? elapsedS / this.doneS : 1;
    return formatSeconds(Math.max(0, this.totalS - this.doneS) * pace);
  }
}

/** `95` → `1:35`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
