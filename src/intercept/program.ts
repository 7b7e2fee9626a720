import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { InterceptError } from './intercept-error.ts';

/** Where administrators' programs lie, beside the path of who calls. */
const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/**
 * The lock of iptables is a file that it makes in /run. With a read-only root, as init containers should have, it takes
 * any other that is there already.
 */
const LOCK = isWritable('/run') ? {} : { XTABLES_LOCKFILE: process.execPath };

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The path of a program; undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':').filter((folder) => folder.startsWith('/')), ...FOLDERS];
  for (const folder of folders) if (existsSync(`${folder}/${name}`)) return `${folder}/${name}`;
  return undefined;
}

/** Runs a program to its end, as another user if need be; an InterceptError when it does not start. */
export function runProgram(
  path: string,
  args: readonly string[],
  input = '',
  as?: { readonly uid: number; readonly gid: number },
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const fails = (error: NodeJS.ErrnoException): void => {
      const message = error.code === 'ENOENT' ? `${path} is not installed` : `${path}: ${error.message}`;
      const failed = new InterceptError(message);
      failed.cause = error;
      reject(failed);
    };
    try {
      // Messages are told apart by their words, so they have to be English.
      const env = { ...process.env, LC_ALL: 'C', ...LOCK };
      const child = spawn(path, args, { env, stdio: 'pipe', ...as });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      // One that fails early does not read its input; what it says is the better message.
      child.stdin.on('error', () => undefined).end(input);
      child.once('error', fails);
      child.once('close', (code) => resolve({ code, stdout, stderr }));
    } catch (error) {
      // Some errors are thrown where others are events.
      fails(error as NodeJS.ErrnoException);
    }
  });
}
