import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** As many as `--concurrency` takes. */
const MAX_THREADS = 128;

/** Reads a file; undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

/**
 * The threads that this process can keep busy: the processors that it may run on (affinity, cpuset), or the time that its
 * cgroup gives it (cpu.max, cpu.cfs_quota_us), whichever is less; a part of a processor counts as one.
 */
export function usableProcessors(read: ReadText = readText): number {
  const processors = allowedProcessors(read) ?? 1;
  return Math.min(Math.max(Math.ceil(Math.min(processors, quota(read))), 1), MAX_THREADS);
}

/** From `Cpus_allowed_list`, such as `0-3,8`. */
function allowedProcessors(read: ReadText): number | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(read('/proc/self/status') ?? '')?.[1];
  if (list === undefined) return undefined;
  let count = 0;
  for (const range of list.split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number);
    count += last - first + 1;
  }
  return count;
}

/** Processors' worth of time; infinite without a limit. Those of the groups above hold as well. */
function quota(read: ReadText): number {
  let least = Number.POSITIVE_INFINITY;
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined) continue;
    const limitOf = controllers === '' ? limitOfVersion2 : limitOfVersion1;
    const roots = controllers === '' ? ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'] : [`/sys/fs/cgroup/${controllers}`];
    if (controllers !== '' && !controllers?.split(',').includes('cpu')) continue;
    if (controllers?.includes(',')) roots.push('/sys/fs/cgroup/cpu');
    for (const root of roots) {
      // In a container the path is that of the host, and the group's own files lie at the root.
      for (let at = path; ; at = dirname(at)) {
        least = Math.min(least, limitOf(join(root, at), read));
        if (at === '/' || at === '.') break;
      }
    }
  }
  return least;
}

function limitOfVersion2(folder: string, read: ReadText): number {
  const [time = 'max', period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(' ');
  return perPeriod(Number(time), Number(period));
}

function limitOfVersion1(folder: string, read: ReadText): number {
  return perPeriod(
    Number(read(join(folder, 'cpu.cfs_quota_us')) ?? -1),
    Number(read(join(folder, 'cpu.cfs_period_us')) ?? -1),
  );
}

function perPeriod(time: number, period: number): number {
  return time > 0 && period > 0 ? time / period : Number.POSITIVE_INFINITY;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
