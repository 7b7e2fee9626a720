import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { InterceptError } from './intercept-error.ts';

/** Where administrators' programs lie, beside the path of who calls. */
const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

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

/** Runs a program to its end. */
export function runProgram(path: string, args: readonly string[], input = ''): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // Messages are told apart by their words, so they have to be English.
    const child = spawn(path, args, { env: { ...process.env, LC_ALL: 'C' }, stdio: 'pipe' });
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
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(new InterceptError(error.code === 'ENOENT' ? `${path} is not installed` : `${path}: ${error.message}`));
    });
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
