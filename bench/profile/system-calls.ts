import { existsSync } from 'node:fs';
import type { SystemCallTimes } from '../../src/lab/profile/profile-report.ts';
import { type Command, start } from '../run/children.ts';
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

/** What bpftrace gives up after, should nobody end it. */
const AT_MOST_S = 60;
/** It compiles and attaches in less than two seconds. */
const ATTACHED_WITHIN_MS = 15_000;
/** It prints what it has counted when it is ended. */
const PRINTED_WITHIN_MS = 10_000;

export type Traced = Pick<SystemCallTimes, 'tool' | 'note'> & { readonly calls: readonly RawCall[] };

/**
 * Times every system call of the processes while a load runs, by eBPF at its entry and exit. The load lies wholly between
 * the first and the last call that is counted: a mean rate of a longer one would be higher than what a traced proxy does.
 */
export async function traceSystemCalls<T>(
  pids: readonly number[],
  cores: readonly number[],
  load: () => Promise<T>,
): Promise<{ readonly load: T; readonly traced: Traced }> {
  const bpftrace = findProgram('bpftrace');
  const untraced = async (note: string) => ({ load: await load(), traced: { tool: null, note, calls: [] } });
  if (bpftrace === undefined) return untraced('bpftrace is not installed');
  if (process.getuid?.() !== 0) return untraced('bpftrace needs root');
  const tracer = start(traceCommand(bpftrace, pids), cores);
  let output = '';
  const attached = new Promise<boolean>((resolve) => {
    tracer.onStdout((text) => {
      output += text;
      if (output.includes('"attached_probes"')) resolve(true);
    });
    void tracer.closed.then(() => resolve(false));
    setTimeout(() => resolve(false), ATTACHED_WITHIN_MS).unref();
  });
  try {
    if (!(await attached)) return await untraced(reasonOf(tracer.stderrTail() || 'bpftrace did not attach'));
    const result = await load();
    await tracer.stop(PRINTED_WITHIN_MS);
    await tracer.closed;
    return { load: result, traced: { tool: 'bpftrace', note: '', calls: parseMaps(output) } };
  } finally {
    await tracer.stop();
  }
}

function traceCommand(bpftrace: string, pids: readonly number[]): Command {
  // The map is cleared when the probes are off: bpftrace ends itself where an entry is gone before it gets there.
  const mine = pids.map((pid) => `pid == ${pid}`).join(' || ');
  const program = `tracepoint:raw_syscalls:sys_enter /${mine}/ { @begun[tid] = nsecs; }
tracepoint:raw_syscalls:sys_exit {
  $begun = @begun[tid];
  if ($begun) { @count[args->id] = count(); @ns[args->id] = sum(nsecs - $begun); delete(@begun[tid]); }
}
interval:s:${AT_MOST_S} { exit(); }
END { clear(@begun); }`;
  const args = ['-f', 'json', '-e', program];
  if (existsSync(`${TRACEFS}/events`)) return { command: bpftrace, args };
  // In a mount namespace of its own: nothing of it stays on the machine.
  const script = `mount -t tracefs nodev ${TRACEFS} && exec "$0" "$@"`;
  return { command: findProgram('unshare') ?? 'unshare', args: ['-m', 'sh', '-c', script, bpftrace, ...args] };
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
