import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Two benchmarks at once measure each other: only the holder of this file may run. A file left behind by a process that
 * is gone is taken over.
 *
 * @returns how to let go of it
 * @throws when another benchmark runs
 */
export function takeLock(file: string): () => void {
  mkdirSync(dirname(file), { recursive: true });
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(readFileSync(file, 'latin1'));
    if (isRunning(holder)) throw new Error(`another benchmark is running (pid ${holder}, ${file})`);
    rmSync(file, { force: true });
  }
  throw new Error(`cannot take ${file}`);
}

function isRunning(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
