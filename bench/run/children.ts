import { type ChildProcess, spawn } from 'node:child_process';
import { processTree } from '../measure/proc.ts';
import { findProgram } from './root.ts';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A started process. */
export interface Child {
  readonly pid: number;
  /** The last of what it wrote to stderr: the reason, when it fails. */
  stderrTail(): string;
  /** Settles with the exit code (or signal name) when it is gone. */
  readonly exited: Promise<number | string>;
  /** As `exited`, when all that it wrote has been read too. */
  readonly closed: Promise<number | string>;
  readonly hasExited: () => boolean;
  onStdout(listener: (text: string) => void): void;
  /** SIGTERM, and SIGKILL if that has not helped in time, default 2000 ms. */
  stop(patienceMs?: number): Promise<void>;
}

const running = new Set<ChildProcess>();
const TAIL_CHARS = 2000;
const STOP_PATIENCE_MS = 2000;

const NOT_STARTED = 127;

process.once('exit', killAll);

/** Starts a process on the given cores; on no particular ones when the list is empty or taskset is not installed. */
export function start(command: Command, cores: readonly number[]): Child {
  const taskset = cores.length > 0 ? findProgram('taskset') : undefined;
  const [program, args] =
    taskset === undefined
      ? [command.command, command.args]
      : [taskset, ['--cpu-list', cores.join(','), command.command, ...command.args]];
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(command.cwd !== undefined && { cwd: command.cwd }),
    env: { ...process.env, ...command.env },
  });
  running.add(child);
  let tail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-TAIL_CHARS);
  });
  child.stdout.setEncoding('utf8').resume();
  let gone = false;
  const ended = (event: 'exit' | 'close'): Promise<number | string> =>
    new Promise((resolve) => {
      child.once(event, (code: number | null, signal: NodeJS.Signals | null) => {
        gone = true;
        running.delete(child);
        resolve(code ?? signal ?? 1);
      });
      child.once('error', (error) => {
        tail = error.message;
        gone = true;
        running.delete(child);
        resolve(NOT_STARTED);
      });
    });
  const exited = ended('exit');
  return {
    pid: child.pid ?? -1,
    stderrTail: () => tail.trim(),
    exited,
    closed: ended('close'),
    hasExited: () => gone,
    onStdout: (listener) => child.stdout.on('data', listener),
    async stop(patienceMs = STOP_PATIENCE_MS) {
      if (gone) return;
      child.kill('SIGTERM');
      const force = setTimeout(() => killTree(child), patienceMs);
      await exited;
      clearTimeout(force);
    },
  };
}

/**
 * Runs a process to its end.
 *
 * @returns its standard output
 * @throws with the end of its standard error when it fails
 */
export async function runToEnd(command: Command, cores: readonly number[]): Promise<string> {
  const child = start(command, cores);
  let output = '';
  child.onStdout((text) => {
    output += text;
  });
  const code = await child.closed;
  if (code !== 0) {
    throw new Error(`${command.command} ended with ${code}: ${child.stderrTail() || output.slice(-TAIL_CHARS)}`);
  }
  return output;
}

/** Kills everything that is still running: for Ctrl-C. */
export function killAll(): void {
  for (const child of running) killTree(child);
}

/** With a killed parent alone, the workers of nginx would go on. */
function killTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  for (const pid of livingTree(child.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone in the meantime
    }
  }
}

function livingTree(pid: number): number[] {
  try {
    return processTree(pid);
  } catch {
    return [pid];
  }
}
