import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { SAMPLE } from '../bench/report/sample.ts';
import { sample } from '../lab/report/sample.ts';
import { runCli } from './run-cli.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-'));
  const made = folder;
  onTestFinished(() => rmSync(made, { recursive: true }));
});

function written(name: string, content: unknown): string {
  const file = join(folder, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

test('without a place to write, the page lies in the current folder, and the command says so', async () => {
  const { code, stdout, stderr } = await runCli(['report', written('run.json', sample())], { cwd: folder });
  expect([code, stdout, stderr]).toEqual([0, 'wrote outrigger-report.html\n', '']);
  expect(readFileSync(join(folder, 'outrigger-report.html'), 'utf8')).toMatch(/^<!doctype html>/);
});

test('Markdown shows the pictures from where it lies', async () => {
  const run = written('run.json', sample());
  const args = ['--title', 'Mine & yours', '--markdown', 'docs/report.md', '--pictures', 'docs/pictures'];
  const { code, stdout } = await runCli(['report', run, ...args], { cwd: folder });
  expect(code).toBe(0);
  expect(stdout.trim().split('\n').at(-1)).toBe('wrote docs/report.md');
  const markdown = readFileSync(join(folder, 'docs/report.md'), 'utf8');
  expect(markdown).toMatch(/^# Mine &amp; yours\n/);
  const shown = Array.from(markdown.matchAll(/^!\[.*\]\(pictures\/(.*)\)$/gm), ([, name]) => name);
  expect(shown.toSorted()).toEqual(readdirSync(join(folder, 'docs/pictures')).toSorted());
  expect(readdirSync(folder)).not.toContain('outrigger-report.html');
});

test('a report of the benchmark becomes a section with its tables and plots', async () => {
  const run = written('run.json', sample());
  const bench = written('bench.json', SAMPLE);
  const { code, stderr } = await runCli(['report', bench, run, bench, '--html', join(folder, 'r.html')]);
  expect([code, stderr]).toEqual([0, '']);
  const html = readFileSync(join(folder, 'r.html'), 'utf8');
  expect(html).toContain('id="benchmark-heading"');
  expect(html).toContain('id="benchmark-2-heading"');
  expect(html).toContain('Latency by percentile at fixed rates');
  expect(html).toContain('Resident memory, MiB');
});

test('a page is never written over what it is made of, nor over another', async () => {
  const run = written('run.json', sample());
  for (const [args, what] of [
    [['--html', run], 'reads'],
    [['--html', join(folder, 'a'), '--markdown', join(folder, 'b', '..', 'a')], 'writes there too'],
  ] as const) {
    const { code, stderr } = await runCli(['report', run, ...args]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(`would be written over what this command ${what}\n$`)]);
  }
  expect(readdirSync(folder)).toEqual(['run.json']);
});

test('where nothing was measured, the command that measures is named', async () => {
  const { code, stderr } = await runCli(['report', join(folder, 'none.json')]);
  expect(code).toBe(2);
  expect(stderr).toBe(
    `outrigger: there is no ${join(folder, 'none.json')}\n  outrigger characterize   measures, and writes .bench/characterization.json\n`,
  );
});

test.each([
  ['a folder', (): string[] => [folder], /cannot be read: it is a folder/],
  ['half a file', () => [written('a.json', '{"schema": "outrig')], /a\.json ends in the middle \(18 characters\)/],
  [
    'another document',
    () => [written('a.json', { schema: 'outrigger.plan/1' })],
    /a\.json: expected outrigger\.characterization\/1 or outrigger\.bench\/1, found "outrigger\.plan\/1"/,
  ],
  [
    'a characterization without its peers',
    () => [written('a.json', { ...sample(), peers: 'none' })],
    /a\.json is no outrigger\.characterization\/1:\n {2}peers: expected Array, found "none"/,
  ],
  [
    'a report of the benchmark that is none',
    () => [written('a.json', sample()), written('b.json', { ...SAMPLE, rounds: 'three' })],
    /b\.json is no outrigger\.bench\/1:\n {2}rounds: expected number, found "three"/,
  ],
  [
    'two characterizations',
    () => [written('a.json', sample()), written('b.json', sample())],
    /a\.json and .*b\.json are both characterizations: a report is of one/,
  ],
  [
    'the benchmark alone',
    () => [written('b.json', SAMPLE)],
    /none of the files is a characterization: .*outrigger bench --html\n {2}outrigger characterize writes/,
  ],
])('%s is refused, with what was expected and what was found', async (_, files, message) => {
  const { code, stderr, stdout } = await runCli(['report', ...files(), '--html', join(folder, 'r.html')]);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, '']);
  expect(readdirSync(folder)).not.toContain('r.html');
});

test('a folder that cannot be written is told', async () => {
  const run = written('run.json', sample());
  const { code, stderr } = await runCli(['report', run, '--html', join(run, 'r.html')]);
  expect(code).toBe(2);
  expect(stderr).toContain(resolve(run));
});
