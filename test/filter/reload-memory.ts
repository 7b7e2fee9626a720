/**
 * Loads a filter with two helpers and a package import again and again, and prints how much the process has grown:
 * `bin/node --expose-gc test/filter/reload-memory.ts 200`. One helper holds a table of about 2 MB, so that an old
 * version that stays alive is seen at once.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadFilterModule } from '../../src/filter/loader.ts';

const reloads = Number(process.argv[2] ?? 200);
const folder = mkdtempSync(join(tmpdir(), 'outrigger-reload-'));
writeFileSync(
  join(folder, 'x.ts'),
  `import * as v from 'valibot';
import { defineHttpFilter } from 'outrigger';
import { greet } from './greet.ts';
import { table } from './table.ts';
const timer = setInterval(() => {}, 1000);
export default defineHttpFilter({
  name: 'stamp',
  semantics: { side: 'either', state: 'none', body: 'none' },
  config: v.object({}),
  create: () => ({ onRequest(request) { request.set('x-version', greet(table.length)); }, dispose() { clearInterval(timer); } }),
});
`,
);
writeFileSync(
  join(folder, 'table.ts'),
  `export const table = Array.from({ length: 20000 }, (_, i) => ({ i, text: 'entry ' + i }));`,
);
const version = async (n: number): Promise<void> => {
  writeFileSync(join(folder, 'greet.ts'), `export function greet(n: number): string { return 'v${n} ' + n; }`);
  const { definition } = await loadFilterModule('./x.ts', { baseDir: folder, anywhere: true, kind: 'http' });
  const hooks = definition.create({}, {} as never);
  let stamped = '';
  hooks.onRequest?.({ set: (_: string, value: string) => (stamped = value) } as never, {} as never);
  hooks.dispose?.();
  if (!stamped.startsWith(`v${n} `)) throw new Error(`version ${n} answered ${stamped}`);
};
/** A busy machine puts collections off; what is measured is what they leave. */
const collectSometimes = (n: number): void => {
  if (n % 10 === 9) globalThis.gc?.();
};
const heapMb = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
};
try {
  for (let n = 0; n < 50; n++) {
    await version(n);
    collectSometimes(n);
  }
  const heap = heapMb();
  const rss = process.memoryUsage.rss() / 2 ** 20;
  for (let n = 50; n < 50 + reloads; n++) {
    await version(n);
    collectSometimes(n);
    await new Promise((done) => setImmediate(done));
  }
  const grown = { heapMb: heapMb() - heap, rssMb: process.memoryUsage.rss() / 2 ** 20 - rss };
  console.log(JSON.stringify({ reloads, ...grown, rss }));
} finally {
  rmSync(folder, { recursive: true });
}
