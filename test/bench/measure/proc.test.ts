import { execPath } from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { parseCoreList } from '../../../bench/measure/machine.ts';
import { cpuBetween, processTree, readCpu, readRssKiB } from '../../../bench/measure/proc.ts';
import { type Child, killAll, start } from '../../../bench/run/children.ts';

let child: Child | undefined;

afterEach(async () => {
  killAll();
  await child?.exited;
  child = undefined;
});

const BUSY_WORKER = "new Worker('for (;;);', { eval: true })";

describe('CPU and memory of a process', () => {
  it('include the time of its threads', async () => {
    const script = `const { Worker } = require('node:worker_threads'); ${BUSY_WORKER}; console.log('up')`;
    child = start({ command: execPath, args: ['-e', script] }, []);
    await firstOutput(child);
    const before = readCpu(child.pid);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const used = cpuBetween(before, readCpu(child.pid));
    // The main thread sleeps: without the worker's time this would be about nothing, even on a busy machine.
    expect(used.processMicros).toBeGreaterThan(100_000);
    expect(used.machineMicros).toBeGreaterThan(100_000);
  });

  it('include the processes that it started', async () => {
    child = start({ command: 'sh', args: ['-c', 'sleep 30 & echo up; wait'] }, []);
    await firstOutput(child);
    expect(processTree(child.pid)).toHaveLength(2);
    expect(readRssKiB(child.pid)).toBeGreaterThan(500);
  });
});

describe('core lists', () => {
  it('are read as Linux writes them', () => {
    expect(parseCoreList('0')).toEqual([0]);
    expect(parseCoreList('0-2,5')).toEqual([0, 1, 2, 5]);
  });
});

function firstOutput(from: Child): Promise<void> {
  return new Promise((resolve) => from.onStdout(() => resolve()));
}
