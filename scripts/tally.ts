/**
 * Adds up what the suites of a CI run reported and prints `N passed, N failed, N skipped`; exit code 1 on any failure.
 * A folder is given: vitest's JSON reports (`*.json`), and one line per other check in `checks.tsv` (name, exit code).
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: tally.ts FOLDER');

let passed = 0;
let failed = 0;
let skipped = 0;

for (const name of globSync('*.json', { cwd: folder }).sort()) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8')) as VitestReport;
  // A file that could not even be loaded has no failed test, yet is no success.
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const skippedHere = report.numPendingTests + report.numTodoTests;
  console.log(
    `${name}: ${report.numPassedTests} passed, ${report.numFailedTests + broken} failed, ${skippedHere} skipped`,
  );
  passed += report.numPassedTests;
  failed += report.numFailedTests + broken;
  skipped += skippedHere;
}

const checks = join(folder, 'checks.tsv');
for (const line of existsSync(checks) ? readFileSync(checks, 'utf8').split('\n') : []) {
  const [name, code] = line.split('\t');
  if (code === undefined) continue;
  console.log(`${name}: ${code === '0' ? 'passed' : `failed (exit ${code})`}`);
  if (code === '0') passed++;
  else failed++;
}

console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
