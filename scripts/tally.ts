/**
 * Adds up what the suites of a CI run reported and prints `N passed, N failed, N skipped`; exit code 1 on any failure.
 * A folder is given: vitest's JSON reports (`*.json`), those of files that failed and were run once more by themselves
 * (`*.again.json`), and one line per other check in `checks.tsv` (name, exit code). A test that failed and then passed has
 * passed, and is named as unsteady.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly TestFile[];
}

interface TestFile {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
}

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: tally.ts FOLDER');

let passed = 0;
let failed = 0;
let skipped = 0;

for (const name of globSync('*.json', { cwd: folder }).sort()) {
  if (name.endsWith('.again.json')) continue;
  const report = read(join(folder, name));
  const mended = steadied(report, join(folder, name.replace(/json$/, 'again.json')));
  // A file that could not even be loaded has no failed test, yet is no success.
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failedHere = report.numFailedTests + broken - mended.length;
  const skippedHere = report.numPendingTests + report.numTodoTests;
  console.log(`${name}: ${report.numPassedTests + mended.length} passed, ${failedHere} failed, ${skippedHere} skipped`);
  for (const test of mended) console.log(`  unsteady, passed when run again: ${test}`);
  passed += report.numPassedTests + mended.length;
  failed += failedHere;
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

function read(file: string): VitestReport {
  return JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
}

/** The tests that failed first, and passed in the report of the second run. */
function steadied(report: VitestReport, again: string): string[] {
  if (!existsSync(again)) return [];
  const second = new Map(read(again).testResults.map((file) => [file.name, file.assertionResults]));
  return report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status, fullName }) => {
        const retried = second.get(name)?.filter((test) => test.fullName === fullName) ?? [];
        return status === 'failed' && retried.length > 0 && retried.every((test) => test.status === 'passed');
      })
      .map(({ fullName }) => `${relative('.', name)} > ${fullName}`),
  );
}
