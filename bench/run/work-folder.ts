import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { takeLock } from './lock.ts';

/**
 * Hands `use` a folder of its own below `folder`, and takes it away at the end, also when the process ends before. Only
 * one benchmark runs in `folder` at a time.
 *
 * @throws when another one does
 */
export async function withWorkFolder<T>(
  folder: string,
  prefix: string,
  use: (workFolder: string) => Promise<T>,
): Promise<T> {
  mkdirSync(folder, { recursive: true });
  const release = takeLock(join(folder, 'lock'));
  process.once('exit', release);
  const workFolder = mkdtempSync(join(folder, prefix));
  const removeWork = (): void => rmSync(workFolder, { recursive: true, force: true });
  process.once('exit', removeWork);
  try {
    return await use(workFolder);
  } finally {
    process.off('exit', release);
    process.off('exit', removeWork);
    removeWork();
    release();
  }
}
