import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const src = new URL('../../src/', import.meta.url);

/** Runs a module in a process of its own, with `SRC` for the folder of the sources; what it printed and its exit code. */
export function runProcess(text: string): Promise<{ stdout: string; stderr: string; code: number | null }> {
  const script = text.replaceAll('SRC/', fileURLToPath(src));
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script]);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.on('error', fail);
    child.on('close', (code) => done({ stdout, stderr, code }));
  });
}
