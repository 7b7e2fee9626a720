import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');

/** Where the statistics are made that the proxy itself keeps. */
const MADE_IN = [
  'src/http/http-stats.ts',
  'src/listener/listener.ts',
  'src/network/tcp-proxy.ts',
  'src/upstream/cluster-stats.ts',
];

/** `this.fieldName = scope.counter('stat_name')`, `gauge` or `histogram`. */
const MADE = /this\.(\w+) = scope\.(?:counter|gauge|histogram)\('(\w+)'\)/g;

it('every statistic that is exposed is kept somewhere', () => {
  const paths = globSync('{src,filters}/**/*.ts', { cwd: ROOT });
  const text = paths.map((path) => readFileSync(join(ROOT, path), 'utf8')).join('\n');
  const made = MADE_IN.flatMap((path) => [...readFileSync(join(ROOT, path), 'utf8').matchAll(MADE)]);
  expect(made.length).toBeGreaterThan(100);
  const forgotten = made.filter(([, field]) => {
    // The declaration and the line that makes it name the field; whoever keeps it does so a third time.
    const mentions = text.match(new RegExp(`\\b${field}\\b`, 'g')) ?? [];
    return mentions.length < 3;
  });
  expect(forgotten.map(([, , name]) => name)).toEqual([]);
});
