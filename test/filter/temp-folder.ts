import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder with these files that is gone when the test is. */
export function tempFolder(files: Readonly<Record<string, string>> = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'outrigger-filter-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeIn(folder, name, text);
  return folder;
}

export function writeIn(folder: string, name: string, text: string): void {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The source of the smallest filter, which stamps `x-version`. */
export function stampFilter(version: string, rest = ''): string {
  return `import { defineHttpFilter } from 'outrigger';
${rest}
export default defineHttpFilter({
  name: 'stamp',
  semantics: { side: 'either', state: 'none', body: 'none' },
  create: () => ({ onRequest(request) { request.set('x-version', ${version}); } }),
});
`;
}
