import { globSync } from 'node:fs';
import { join } from 'node:path';

/** The benchmarks below bench/micro, which mirror src, that a part of their path selects. */
export function microFiles(root: string, pattern: string | undefined): string[] {
  const folder = join(root, 'bench', 'micro');
  return globSync('**/*.micro.ts', { cwd: folder })
    .filter((name) => pattern === undefined || name.includes(pattern))
    .sort()
    .map((name) => join(folder, name));
}
