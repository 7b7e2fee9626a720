import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface PackageInfo {
  /** Folder of the checkout, of the installed package, or of the image. */
  readonly root: string;
  readonly version: string;
}

/** Finds the package that this file belongs to, from `src` in a checkout as from `dist` in a package. */
export function packageInfo(): PackageInfo {
  for (let root = import.meta.dirname; ; root = dirname(root)) {
    const file = join(root, 'package.json');
    if (existsSync(file)) {
      const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
      if (name === 'outrigger' && version !== undefined) return { root, version };
    }
    if (root === dirname(root)) throw new Error(`no package.json of outrigger above ${import.meta.dirname}`);
  }
}
