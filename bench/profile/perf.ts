import { spawn } from 'node:child_process';
import { type Sample, StackReader } from '../../src/lab/profile/stack-reader.ts';
import { runToEnd } from '../run/children.ts';
import { findProgram } from '../run/root.ts';

/** A software event: the clock of the CPU, which every machine has. */
export const SAMPLED_EVENT = 'cpu-clock';
/** Not a divisor of the kernel's own rhythms. */
export const SAMPLE_HZ = 1999;

export function findPerf(): string | undefined {
  return findProgram('perf');
}

/** Samples the processes for so long, with stacks by frame pointers. @throws with what perf said */
export async function recordStacks(
  perf: string,
  pids: readonly number[],
  seconds: number,
  file: string,
  cores: readonly number[],
): Promise<void> {
  const what = ['-k', 'mono', '-e', SAMPLED_EVENT, '-F', String(SAMPLE_HZ), '-g', '-p', pids.join(','), '-o', file];
  await runToEnd({ command: perf, args: ['record', ...what, '--', 'sleep', String(seconds)] }, cores);
}

/** Hands over every sample of a recording. */
export async function readStacks(perf: string, file: string, onSample: (sample: Sample) => void): Promise<void> {
  const args = ['script', '-i', file, '-F', 'tid,time,ip,sym,dso', '--ns', '--no-inline'];
  const child = spawn(perf, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const reader = new StackReader(onSample);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => reader.write(text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  reader.end();
  if (code !== 0) throw new Error(`perf script ended with ${code}: ${said.trim()}`);
}

const HARDWARE = [
  'cycles',
  'instructions',
  'L1-icache-load-misses',
  'l2_rqsts.miss',
  'iTLB-load-misses',
  'branch-misses',
];
const SOFTWARE = ['task-clock', 'context-switches', 'cpu-migrations', 'page-faults'];

/** Counts events; one that the machine lacks is not in the result. */
export async function countEvents(
  perf: string,
  pids: readonly number[],
  seconds: number,
  cores: readonly number[],
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const events of [SOFTWARE, HARDWARE]) {
    for (const [name, value] of await countGroup(perf, events, pids, seconds, cores)) counts.set(name, value);
  }
  return counts;
}

async function countGroup(
  perf: string,
  events: readonly string[],
  pids: readonly number[],
  seconds: number,
  cores: readonly number[],
): Promise<Map<string, number>> {
  const known: string[] = [];
  for (const event of events) if (await isCountable(perf, event)) known.push(event);
  const counts = new Map<string, number>();
  if (known.length === 0) return counts;
  // perf stat writes to standard error, unless it is told otherwise.
  const args = ['stat', '-x', ';', '--log-fd', '1', '-e', known.join(','), '-p', pids.join(',')];
  const text = await runToEnd({ command: perf, args: [...args, '--', 'sleep', String(seconds)] }, cores);
  for (const line of text.split('\n')) {
    const [value = '', , name = ''] = line.split(';');
    if (value !== '' && Number.isFinite(Number(value))) counts.set(eventName(name), Number(value));
  }
  return counts;
}

/** perf counts this one in milliseconds; modifiers such as `:u` say nothing here. */
function eventName(name: string): string {
  const plain = name.replace(/:.*$/, '');
  return plain === 'task-clock' ? 'task-clock-ms' : plain;
}

async function isCountable(perf: string, event: string): Promise<boolean> {
  try {
    const text = await runToEnd({ command: perf, args: ['stat', '-x', ';', '--log-fd', '1', '-e', event, 'true'] }, []);
    return !/not supported|not counted/.test(text);
  } catch {
    return false;
  }
}
