import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('200 reloads of a filter with helpers hold their memory, and every one acts', () => {
  const script = fileURLToPath(new URL('./reload-memory.ts', import.meta.url));
  const printed = execFileSync(process.execPath, ['--no-warnings', '--expose-gc', script, '200']);
  const grown = JSON.parse(printed.toString()) as { heapMb: number; rssMb: number };
  // One version that stays alive would be 2 MB, all of them 400 MB.
  expect(grown.heapMb).toBeLessThan(3);
  expect(grown.rssMb).toBeLessThan(30);
});
