import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tally-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A vitest report of one file with these tests. */
function report(name: string, tests: Record<string, 'passed' | 'failed'>): string {
  const assertionResults = Object.entries(tests).map(([fullName, status]) => ({ fullName, status }));
  const count = (status: string) => assertionResults.filter((each) => each.status === status).length;
  const path = join(folder, name);
  const file = {
    name: join(ROOT, 'test/a.test.ts'),
    status: count('failed') > 0 ? 'failed' : 'passed',
    assertionResults,
  };
  const totals = {
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: 1,
    numTodoTests: 0,
  };
  writeFileSync(path, JSON.stringify({ ...totals, testResults: [file] }));
  return path;
}

function run(script: string, argument: string): { status: number | null; stdout: string } {
  return spawnSync('bin/node', [join('scripts', script), argument], { cwd: ROOT, encoding: 'utf8' });
}

test('adds up the reports and the checks, and fails when anything failed', () => {
  report('unit.json', { one: 'passed', two: 'passed' });
  writeFileSync(join(folder, 'checks.tsv'), 'lint\t0\n');
  expect(run('tally.ts', folder)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/3 passed, 0 failed, 1 skipped\n$/),
  });
  writeFileSync(join(folder, 'checks.tsv'), 'lint\t1\n');
  expect(run('tally.ts', folder)).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/2 passed, 1 failed, 1 skipped\n$/),
  });
});

test('a test that passes when it is run again is named as unsteady; one that fails again has failed', () => {
  report('unit.json', { good: 'passed', shaky: 'failed', bad: 'failed' });
  report('unit.again.json', { good: 'passed', shaky: 'passed', bad: 'failed' });
  const { status, stdout } = run('tally.ts', folder);
  expect(stdout).toContain('unsteady, passed when run again: test/a.test.ts > shaky\n');
  expect(stdout).toMatch(/2 passed, 1 failed, 1 skipped\n$/);
  expect(status).toBe(1);
});

test('the files to run again are those that failed', () => {
  expect(run('failed-files.ts', report('unit.json', { bad: 'failed' })).stdout).toBe('test/a.test.ts');
  expect(run('failed-files.ts', report('unit.json', { good: 'passed' })).stdout).toBe('');
  expect(run('failed-files.ts', join(folder, 'none.json'))).toMatchObject({ status: 0, stdout: '' });
});
