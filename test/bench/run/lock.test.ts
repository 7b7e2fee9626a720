import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from '../../../bench/run/lock.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('the lock', () => {
  it('lets one benchmark run at a time', () => {
    const file = join(folder, 'lock');
    const release = takeLock(file);
    expect(() => takeLock(file)).toThrow(new RegExp(`another benchmark is running \\(pid ${process.pid}`));
    release();
    expect(existsSync(file)).toBe(false);
    takeLock(file)();
  });

  it('is taken over from a process that is gone', () => {
    const file = join(folder, 'lock');
    // Above the highest pid that Linux gives out.
    writeFileSync(file, '4194305\n');
    takeLock(file)();
  });
});
