import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { builtinRegistry } from '../../../filters/index.ts';
import { loadConfig } from '../../../src/config/load.ts';

const guide = readFileSync(join(import.meta.dirname, '../../../docs/sidecar-file.md'), 'utf8');
const blocks = [...guide.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1]!);
/** `{ … }` in the text under a filter's heading, with that filter's name. */
const inline = [...guide.matchAll(/^### (\w+)\n\n`(\{.*\}|\/\w+|\w+KiB)`/gm)].map(
  (match) => `- ${match[1]}: ${match[2]}`,
);

/** A block of the guide as a whole file. */
function wholeFile(block: string): string {
  if (/^(listen|listeners|intercept):/m.test(block)) return block;
  const rest = block.startsWith('- ') ? `filters:\n${block}` : block;
  return /^app:/m.test(block) ? `listen: 1\n${rest}` : `app: 8080\nlisten: 1\n${rest}`;
}

describe('docs/sidecar-file.md', () => {
  const registry = builtinRegistry();

  it('has examples', () => {
    expect(blocks.length).toBeGreaterThan(4);
    expect(inline.length).toBeGreaterThan(4);
  });

  it.each([...blocks, ...inline])('an example that works: %j', (block) => {
    expect(() => loadConfig('docs', { registry, text: wholeFile(block) })).not.toThrow();
  });
});
