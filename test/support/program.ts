import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 20_000;

/** Why a program does not run here, or undefined. */
export function missing(program: string, debianPackage: string): string | undefined {
  try {
    execFileSync('which', [program], { stdio: 'ignore', env: withSbin() });
    return undefined;
  } catch {
    return `needs ${program} (Debian package ${debianPackage})`;
  }
}

/** Daemons lie in /usr/sbin, which is not on everybody's path. */
function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` };
}

/** A program of another project in a process of its own, as the peer of a test. */
export class Program implements AsyncDisposable {
  readonly folder: string;
  private readonly child: ChildProcess;
  private said = '';

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.child = child;
    const keep = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-5000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
  }

  /**
   * Starts it and waits until it listens at `port`. `files` are written into a folder of its own; `$dir` in their text and
   * in the arguments is that folder.
   */
  static async start(
    command: string,
    args: readonly string[],
    port: number,
    files: Readonly<Record<string, string>> = {},
    prepare?: (folder: string) => Promise<unknown>,
  ): Promise<Program> {
    const folder = mkdtempSync(join(tmpdir(), `outrigger-${command}-`));
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(folder, name), text.replaceAll('$dir', folder));
    await prepare?.(folder);
    const inFolder = args.map((arg) => arg.replaceAll('$dir', folder));
    const program = new Program(
      folder,
      spawn(command, inFolder, { stdio: ['ignore', 'pipe', 'pipe'], env: withSbin() }),
    );
    for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(20)) {
      if (await accepts(port)) return program;
      if (program.child.exitCode !== null) break;
    }
    await program[Symbol.asyncDispose]();
    throw new Error(`${command} did not start: ${program.said}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What a command prints. Rejects with what it complains of. */
export function output(command: string, args: readonly string[], timeoutMs = 15_000): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: timeoutMs, env: withSbin() }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command}: ${error.message}\n${stderr}`));
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
