import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogSink } from '../../../src/observe/access-log/sink.ts';
import { flushAll, flushAllSync, openSink, reopenAll } from '../../../src/observe/access-log/sink.ts';
import { StatsStore } from '../../../src/observe/stats.ts';

let folder: string;
let open: LogSink[];
let warnings: string[];
const log = { warn: (message: string) => void warnings.push(message) };
let stats: StatsStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sink-'));
  open = [];
  warnings = [];
  stats = new StatsStore();
});

afterEach(async () => {
  for (const sink of open) await sink.close();
  rmSync(folder, { recursive: true, force: true });
});

function sinkOf(path: string): LogSink {
  const sink = openSink(path, { log, stats });
  open.push(sink);
  return sink;
}

describe('LogSink', () => {
  it('writes nothing at once, and everything in order when flushed', async () => {
    const path = join(folder, 'a.log');
    const sink = sinkOf(path);
    const lines = Array.from({ length: 5000 }, (_, i) => `line ${i} ${'x'.repeat(i % 90)}\n`);
    sink.write(lines[0] as string);
    expect(readFileSync(path, 'utf8')).toBe('');
    for (const line of lines.slice(1)) sink.write(line);
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
  });

  it('writes what waits within about a second by itself', async () => {
    const path = join(folder, 'a.log');
    sinkOf(path).write('one\n');
    await expect.poll(() => readFileSync(path, 'utf8'), { timeout: 4000 }).toBe('one\n');
  });

  it('keeps bytes as they are and takes lines longer than its chunks', async () => {
    const path = join(folder, 'a.log');
    const sink = sinkOf(path);
    sink.write('h\xc3\xa9\n');
    sink.write(`${'y'.repeat(200_000)}\n`);
    sink.write('end\n');
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe(`hé\n${'y'.repeat(200_000)}\nend\n`);
  });

  it('is one sink for all users of a path, and is closed by the last', async () => {
    const path = join(folder, 'a.log');
    const [first, second] = [openSink(path, { log, stats }), openSink(join(folder, '.', 'a.log'), { log, stats })];
    expect(second).toBe(first);
    await first.close();
    second.write('still open\n');
    await second.close();
    expect(readFileSync(path, 'utf8')).toBe('still open\n');
    expect(sinkOf(path)).not.toBe(first);
  });

  it('is waited for at the end of the process although its last user has closed it already', async () => {
    const path = join(folder, 'a.log');
    const sink = openSink(path, { log, stats });
    sink.write('last words\n');
    void sink.close();
    await flushAll();
    expect(readFileSync(path, 'utf8')).toBe('last words\n');
  });

  it('goes to the new file after a rotation, without losing a line', async () => {
    const path = join(folder, 'a.log');
    const rotated = join(folder, 'a.log.1');
    const sink = sinkOf(path);
    sink.write('before\n');
    await flushAll();
    renameSync(path, rotated);
    sink.write('between\n');
    reopenAll();
    await flushAll();
    sink.write('after\n');
    await flushAll();
    expect(readFileSync(rotated, 'utf8') + readFileSync(path, 'utf8')).toBe('before\nbetween\nafter\n');
    expect(readFileSync(path, 'utf8')).toContain('after\n');
  });

  it('writes at once from an exit handler', () => {
    const path = join(folder, 'a.log');
    sinkOf(path).write('last words\n');
    flushAllSync();
    expect(readFileSync(path, 'utf8')).toBe('last words\n');
  });

  it('holds nothing up when the path cannot be opened, and recovers when it can', async () => {
    const path = join(folder, 'later', 'a.log');
    const sink = sinkOf(path);
    sink.write('kept\n');
    await sink.flush();
    await sink.flush();
    expect(sink.failures).toBeGreaterThan(0);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(path);
    mkdirSync(join(folder, 'later'));
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe('kept\n');
  });

  it('bounds what waits for a path that never opens, and counts what it drops', async () => {
    const sink = sinkOf(join(folder, 'never', 'a.log'));
    const line = `${'z'.repeat(999)}\n`;
    for (let i = 0; i < 6000; i++) sink.write(line);
    expect(sink.droppedLines).toBeGreaterThan(1500);
    expect(sink.droppedLines).toBeLessThan(2500);
    expect(stats.counter('filesystem.lines_dropped').value).toBe(sink.droppedLines);
  });

  it('survives a full disk and says so once', async (context) => {
    if (!existsSync('/dev/full')) context.skip('there is no /dev/full here');
    const sink = sinkOf('/dev/full');
    for (let i = 0; i < 3; i++) {
      sink.write('no room\n');
      await sink.flush();
    }
    expect(stats.counter('filesystem.write_failed').value).toBe(3);
    expect(warnings).toEqual([expect.stringContaining('ENOSPC')]);
  });

  it('writes to standard output of the process', () => {
    const module = JSON.stringify(new URL('../../../src/observe/access-log/sink.ts', import.meta.url).href);
    const script = `import { openSink, flushAll } from ${module}; openSink('/dev/stdout', { log: console }).write('to stdout\\n'); await flushAll();`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(output).toBe('to stdout\n');
  });
});
