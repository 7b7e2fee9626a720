import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
export const LAUNCHER = resolve(ROOT, 'bin/outrigger');

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly launcher?: string;
}

/** Runs the command line to its end, by its real launcher. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new RunningCli(args, options).ended();
}

/** A command that goes on; its output can be waited for. */
export class RunningCli {
  readonly child: ChildProcessWithoutNullStreams;
  stdout = '';
  stderr = '';
  readonly #exit: Promise<[number | null, NodeJS.Signals | null]>;
  #wake: () => void = () => undefined;

  constructor(args: readonly string[], { cwd = ROOT, env = process.env, launcher = LAUNCHER }: CliOptions = {}) {
    this.child = spawn(launcher, args, { cwd, env });
    this.child.stdin.end();
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#wake();
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.#exit = once(this.child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    void this.#exit.then(() => this.#wake());
  }

  async ended(): Promise<CliResult> {
    const [code, signal] = await this.#exit;
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }

  /** Waits until both outputs together match; what they say when the process ends before that is the error. */
  async output(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout + this.stderr);
      if (match !== null) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`ended before ${pattern} was printed:\n${this.stdout}${this.stderr}`);
      }
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  /** For clean-up: ends the process if it still runs. */
  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.#exit;
  }
}
