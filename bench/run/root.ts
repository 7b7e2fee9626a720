import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** The directory of the checkout, wherever this code was bundled to; undefined in an installed package. */
export function checkoutRoot(): string | undefined {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    if (existsSync(join(at, 'bench', 'scenarios')) && existsSync(join(at, 'package.json'))) return at;
    if (at === dirname(at)) return undefined;
  }
}

/** Absolute path of a program in PATH or in the system directories, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  for (const folder of folders) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not here
    }
  }
  return undefined;
}
