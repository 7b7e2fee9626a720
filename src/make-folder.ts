import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder and those above it that are missing. `mkdirSync` with `recursive` does not end where the kernel answers
 * ENOENT for a folder whose parent is there, as it does everywhere in /proc.
 *
 * @param mode of the folders that are made
 * @throws the system's error, with the path at which it went wrong
 */
export function makeFolder(folder: string, mode = 0o777): void {
  const missing: string[] = [];
  let there = resolve(folder);
  for (; statSync(there, { throwIfNoEntry: false }) === undefined && dirname(there) !== there; there = dirname(there))
    missing.push(there);
  for (const path of missing.reverse()) {
    try {
      mkdirSync(path, { mode });
    } catch (error) {
      // Somebody else made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !isFolder(path)) throw error;
    }
  }
  if (!isFolder(resolve(folder)))
    throw Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${folder}'`), { code: 'ENOTDIR', path: folder });
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
