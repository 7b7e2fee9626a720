import { existsSync } from 'node:fs';
import type { SystemCallTimes } from '../../src/lab/profile/profile-report.ts';
import { runToEnd } from '../run/children.ts';
import { findProgram } from '../run/root.ts';

const TRACEFS = '/sys/kernel/tracing';

/** Numbers of the calls that a proxy makes; others are shown by number. */
const NAMES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  x64: {
    0: 'read',
    1: 'write',
    3: 'close',
    9: 'mmap',
    11: 'munmap',
    19: 'readv',
    20: 'writev',
    28: 'madvise',
    41: 'socket',
    42: 'connect',
    44: 'sendto',
    45: 'recvfrom',
    46: 'sendmsg',
    47: 'recvmsg',
    202: 'futex',
    232: 'epoll_wait',
    233: 'epoll_ctl',
    281: 'epoll_pwait',
    288: 'accept4',
  },
  arm64: {
    21: 'epoll_ctl',
    22: 'epoll_pwait',
    57: 'close',
    63: 'read',
    64: 'write',
    65: 'readv',
    66: 'writev',
    98: 'futex',
    198: 'socket',
    203: 'connect',
    206: 'sendto',
    207: 'recvfrom',
    211: 'sendmsg',
    212: 'recvmsg',
    215: 'munmap',
    222: 'mmap',
    233: 'madvise',
    242: 'accept4',
  },
};

export interface RawCall {
  readonly name: string;
  readonly count: number;
  readonly ns: number;
}

/** Times every system call of the processes for so long, by eBPF at its entry and exit. */
export async function traceSystemCalls(
  pids: readonly number[],
  seconds: number,
  cores: readonly number[],
): Promise<Pick<SystemCallTimes, 'tool' | 'note'> & { readonly calls: readonly RawCall[] }> {
  const bpftrace = findProgram('bpftrace');
  if (bpftrace === undefined) return { tool: null, note: 'bpftrace is not installed', calls: [] };
  if (process.getuid?.() !== 0) return { tool: null, note: 'bpftrace needs root', calls: [] };
  // The map is cleared when the probes are off: bpftrace ends itself where an entry is gone before it gets there.
  const mine = pids.map((pid) => `pid == ${pid}`).join(' || ');
  const program = `tracepoint:raw_syscalls:sys_enter /${mine}/ { @begun[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit {
  $begun = @begun[tid];
  if ($begun) { @count[args->id] = count(); @ns[args->id] = sum(nsecs - $begun); delete(@begun[tid]); }
}
interval:s:${seconds} { exit(); }
END { clear(@begun); }`;
  const args = ['-f', 'json', '-e', program];
  const isMounted = existsSync(`${TRACEFS}/events`);
  // In a mount namespace of its own: nothing of it stays on the machine.
  const script = `mount -t tracefs nodev ${TRACEFS} && exec "$0" "$@"`;
  const command = isMounted
    ? { command: bpftrace, args }
    : { command: findProgram('unshare') ?? 'unshare', args: ['-m', 'sh', '-c', script, bpftrace, ...args] };
  try {
    return { tool: 'bpftrace', note: '', calls: parseMaps(await runToEnd(command, cores)) };
  } catch (error) {
    return { tool: null, note: reasonOf((error as Error).message), calls: [] };
  }
}

/** The line that says why: bpftrace warns of a limit on locked memory that it could not lift, and goes on. */
export function reasonOf(message: string): string {
  const lines = message.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => !line.includes('RLIMIT_MEMLOCK')) ?? lines[0] ?? '';
}

/** Reads the two maps of bpftrace's JSON lines. */
export function parseMaps(text: string): RawCall[] {
  const counts = new Map<string, number>();
  const times = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue;
    const { type, data } = JSON.parse(line) as { type: string; data: Record<string, Record<string, number>> };
    if (type !== 'map') continue;
    for (const [call, value] of Object.entries(data['@count'] ?? {})) counts.set(call, value);
    for (const [call, value] of Object.entries(data['@ns'] ?? {})) times.set(call, value);
  }
  return [...counts]
    .map(([call, count]) => ({ name: nameOf(call), count, ns: times.get(call) ?? 0 }))
    .sort((a, b) => b.ns - a.ns);
}

function nameOf(call: string): string {
  return NAMES[process.arch]?.[Number(call)] ?? `call ${call}`;
}
