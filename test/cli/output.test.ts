import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { checkOutput, makeOutputFolder, writeOutput } from '../../src/cli/output.ts';
import { sample } from '../lab/report/sample.ts';
import { runCli } from './run-cli.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'output-'));
  const made = folder;
  onTestFinished(() => rmSync(made, { recursive: true }));
});

test('folders that are missing are made', () => {
  const file = join(folder, 'a/b/c.txt');
  writeOutput(file, 'text');
  expect(readFileSync(file, 'utf8')).toBe('text');
});

describe('a place that will not do is named, with the reason', () => {
  test.each([
    ['in /proc', '/proc/outrigger/x', 'no folder can be made there (/proc/outrigger)'],
    ['below a file', 'file/x', 'a part of the path is a file, not a folder'],
    ['deep below a file', 'file/x/y', 'a part of the path is a file, not a folder'],
    ['a folder', '.', 'it is a folder'],
    ['a link that leads to itself', 'loop', 'symbolic links lead in a circle'],
    ['a name that no file system takes', 'n'.repeat(300), 'the name is too long'],
  ])('%s', (_name, path, reason) => {
    writeFileSync(join(folder, 'file'), '');
    symlinkSync('loop', join(folder, 'loop'));
    const file = path.startsWith('/') ? path : path === '.' ? folder : join(folder, path);
    for (const act of [() => writeOutput(file, ''), () => checkOutput(file)])
      expect(act).toThrow(expect.objectContaining({ name: 'UsageError', message: expect.stringContaining(reason) }));
    expect(() => writeOutput(file, '')).toThrow(file);
  });

  test('a link that leads nowhere, in place of a folder', () => {
    symlinkSync(join(folder, 'none'), join(folder, 'dangling'));
    expect(() => makeOutputFolder(join(folder, 'dangling/x'))).toThrow('something that is no folder is there already');
  });

  test('a full disk is no fault of the command line', (context) => {
    if (!existsSync('/dev/full')) context.skip('needs /dev/full');
    expect(() => writeOutput('/dev/full', 'text')).toThrow(
      expect.objectContaining({ name: 'Error', message: '/dev/full cannot be written: the disk is full' }),
    );
  });
});

test('looking whether a file can be written leaves nothing behind, and nothing out', () => {
  const file = join(folder, 'there');
  writeFileSync(file, 'kept');
  checkOutput(file);
  checkOutput(join(folder, 'new'));
  checkOutput('/dev/null');
  checkOutput(undefined);
  expect(readFileSync(file, 'utf8')).toBe('kept');
  expect(readdirSync(folder)).toEqual(['there']);
});

describe('every command that writes says where it cannot', () => {
  const commands: Readonly<Record<string, (out: string) => string[]>> = {
    'plan --output': (out) => ['plan', 'examples/call-graphs/shop.yaml', '--output', out],
    'report --html': (out) => ['report', join(folder, 'run.json'), '--html', join(out, 'a.html')],
    'report --pictures': (out) => ['report', join(folder, 'run.json'), '--pictures', out],
    'policy apply --limits': (out) => {
      const limits = join(out, 'limits.yaml');
      const to = join(folder, 'sidecar.yaml');
      return ['policy', 'apply', 'examples/policies/rate-limit.yaml', '--to', to, '--limits', limits];
    },
    'certs ca': (out) => ['certs', 'ca', '--trust-domain', 'shop.test', '--out', out],
    'filter new': (out) => ['filter', 'new', 'greeting', '--dir', out],
    'characterize --json': (out) => ['characterize', '--configuration', 'http', '--json', join(out, 'run.json')],
    'bench --html': (out) => ['bench', '--quick', '--peer', 'outrigger', '--html', join(out, 'bench.html')],
  };

  test.each(Object.entries(commands))('%s, before anything is measured', { timeout: 60_000 }, async (_name, args) => {
    writeFileSync(join(folder, 'run.json'), JSON.stringify(sample()));
    writeFileSync(join(folder, 'sidecar.yaml'), 'listen: 127.0.0.1:8080\napp: 127.0.0.1:3000\n');
    mkdirSync(join(folder, 'empty'));
    writeFileSync(join(folder, 'empty/file'), '');
    for (const [out, reason] of [
      ['/proc/outrigger', 'no folder can be made there'],
      [join(folder, 'empty/file/below'), 'a part of the path is a file, not a folder'],
    ] as const) {
      const { code, stdout, stderr } = await runCli(args(out));
      expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(reason) });
      expect(stderr).toContain(out);
    }
  });
});
