import { availableParallelism } from 'node:os';
import { expect, onTestFinished, test, vi } from 'vitest';
import { usableProcessors } from '../../src/cli/cpu-limit.ts';
import { readConcurrency } from '../../src/cli/serve-options.ts';

const STATUS = (list: string) => ({ '/proc/self/status': `Name:\tnode\nCpus_allowed_list:\t${list}\n` });
const files =
  (all: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    all[path];

test.each([
  ['affinity alone', STATUS('0-3,8'), 5],
  ['one processor', STATUS('2'), 1],
  [
    'cpu.max, rounded up',
    { ...STATUS('0-7'), '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '150000 100000\n' },
    2,
  ],
  [
    'less than one processor',
    { ...STATUS('0-7'), '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '20000 100000\n' },
    1,
  ],
  ['no limit', { ...STATUS('0-7'), '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, 8],
  [
    'the limit of a group above',
    { ...STATUS('0-7'), '/proc/self/cgroup': '0::/pod/box\n', '/sys/fs/cgroup/pod/cpu.max': '300000 100000\n' },
    3,
  ],
  [
    'version 1, with the path of the host',
    {
      ...STATUS('0-7'),
      '/proc/self/cgroup': '5:cpuset:/\n4:cpu,cpuacct:/kubepods/pod1\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '250000\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    },
    3,
  ],
  [
    'version 1 without a limit',
    {
      ...STATUS('0-1'),
      '/proc/self/cgroup': '1:cpu:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    2,
  ],
  ['more than there may be threads', STATUS('0-255'), 128],
  ['nothing to read', {}, 1],
] as const)('usable processors: %s', (_, all, expected) => {
  expect(usableProcessors(files(all))).toBe(expected);
});

test('this machine has from 1 to as many as Node sees', () => {
  expect(usableProcessors()).toBeGreaterThanOrEqual(1);
  expect(usableProcessors()).toBeLessThanOrEqual(Math.max(availableParallelism(), 1));
});

test('threads are as many as the command line says, else the environment, else the processors', () => {
  vi.stubEnv('OUTRIGGER_CONCURRENCY', '3');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect([readConcurrency('5'), readConcurrency(undefined)]).toEqual([5, 3]);
  vi.stubEnv('OUTRIGGER_CONCURRENCY', 'many');
  expect(() => readConcurrency(undefined)).toThrow("OUTRIGGER_CONCURRENCY: 'many' is not a whole number");
  vi.stubEnv('OUTRIGGER_CONCURRENCY', '');
  expect(readConcurrency(undefined)).toBe(usableProcessors());
});
