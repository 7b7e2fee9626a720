import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { makeFolder } from '../src/make-folder.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'folder-'));
  const made = folder;
  onTestFinished(() => rmSync(made, { recursive: true }));
});

test('folders are made with the mode that is asked for, and those that are there are left alone', () => {
  makeFolder(join(folder, 'a/b'), 0o700);
  makeFolder(join(folder, 'a/b/../c'), 0o755);
  makeFolder(folder, 0o700);
  const modes = ['a', 'a/b', 'a/c'].map((name) => statSync(join(folder, name)).mode & 0o777);
  expect(modes.map((mode) => mode.toString(8))).toEqual(['700', '700', '755']);
});

test('a link to a folder is a folder', () => {
  symlinkSync('.', join(folder, 'link'));
  makeFolder(join(folder, 'link/a'));
  makeFolder(join(folder, 'link'));
  expect(statSync(join(folder, 'a')).isDirectory()).toBe(true);
});

test('where nothing can be made, it ends with an error that has the path', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => makeFolder('/proc/outrigger/a')).toThrow(expect.objectContaining({ path: '/proc/outrigger' }));
  expect(() => makeFolder(join(folder, 'file'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
  expect(() => makeFolder(join(folder, 'file/a'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
});
