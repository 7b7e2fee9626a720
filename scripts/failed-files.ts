/**
 * Prints the test files of a vitest report that failed, relative to the checkout; nothing when all passed, when there is no
 * report, or when so many failed that running them again would prove nothing.
 */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const MAX_FILES = 5;

const report = process.argv[2];
if (report === undefined) throw new Error('usage: failed-files.ts REPORT');

if (existsSync(report)) {
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
    testResults: readonly { readonly name: string; readonly status: string }[];
  };
  const failed = testResults.filter(({ status }) => status === 'failed').map(({ name }) => relative('.', name));
  if (failed.length <= MAX_FILES) process.stdout.write(failed.join(' '));
}
