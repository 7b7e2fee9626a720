/**
 * Adds a run to docs/benchmark.json, the figures that `outrigger policy explain` and the pages of filters tell:
 *
 *   npm run bench -- … --json report.json --markdown report.md
 *   bin/node scripts/publish-figures.ts report.json
 *
 * The tables of report.md belong into docs/benchmark.md in the same commit: a test compares the two.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PublishedRun, publishedRun } from '../bench/report/figures.ts';
import type { BenchReport } from '../bench/report/result.ts';

const FILE = join(import.meta.dirname, '..', 'docs', 'benchmark.json');

const published = JSON.parse(readFileSync(FILE, 'utf8')) as { runs: PublishedRun[] };
for (const file of process.argv.slice(2)) {
  published.runs.push(publishedRun(JSON.parse(readFileSync(file, 'utf8')) as BenchReport));
}
writeFileSync(FILE, `${JSON.stringify(published, undefined, 2)}\n`);
