import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { withWorkFolder } from '../../../bench/run/work-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'work-folder-'));

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('the folder is there while it is used, and gone with all in it afterwards', async () => {
  const seen = await withWorkFolder(folder, 'run-', async (workFolder) => {
    writeFileSync(join(workFolder, 'file'), 'x');
    return workFolder;
  });
  expect(seen.startsWith(join(folder, 'run-'))).toBe(true);
  expect(existsSync(seen)).toBe(false);
  expect(readdirSync(folder)).toEqual([]);
});

test('a failure leaves neither folder nor lock, nor listeners of the process', async () => {
  const before = process.listenerCount('exit');
  const failing = withWorkFolder(folder, 'run-', async () => {
    throw new Error('no backend');
  });
  await expect(failing).rejects.toThrow('no backend');
  expect(readdirSync(folder)).toEqual([]);
  expect(process.listenerCount('exit')).toBe(before);
});

test('a second benchmark is refused while the first runs', async () => {
  await withWorkFolder(folder, 'run-', async () => {
    await expect(withWorkFolder(folder, 'run-', async () => undefined)).rejects.toThrow('another benchmark is running');
  });
  expect(await withWorkFolder(folder, 'run-', async () => 'free again')).toBe('free again');
});
