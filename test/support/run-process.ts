import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

const LAUNCHER = resolve(import.meta.dirname, '../../bin/outrigger');

/** `outrigger run` as a process, with what it says. */
export class RunProcess {
  readonly child: ChildProcess;
  said = '';

  constructor(args: readonly string[], options: { readonly uid?: number } = {}) {
    this.child = spawn(LAUNCHER, ['run', ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk) => {
        this.said += chunk;
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get exitCode(): number | null {
    return this.child.exitCode;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Waits until it has said something so often. @throws Error with all that it said when it ends or takes too long */
  async until(text: string, times = 1, timeoutMs = 40_000): Promise<void> {
    for (const deadline = Date.now() + timeoutMs; this.said.split(text).length <= times; ) {
      if (!this.isRunning) throw new Error(`ended with ${this.exitCode} before '${text}':\n${this.said}`);
      if (Date.now() > deadline) throw new Error(`'${text}' was not said within ${timeoutMs} ms:\n${this.said}`);
      await new Promise((done) => setTimeout(done, 10));
    }
  }

  /** Waits for its end. The exit code, null after a signal that killed it. */
  async ended(): Promise<number | null> {
    if (this.isRunning) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.isRunning) return;
    this.child.kill(signal);
    await this.ended();
  }
}
