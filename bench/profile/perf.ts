import { spawn } from 'node:child_process';
import {
  type Counted,
  type CountedEvent,
  type CounterKind,
  HARDWARE_KINDS,
  isSupported,
  parsePerfStat,
  SOFTWARE_EVENTS,
} from '../../src/lab/profile/counters.ts';
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

/** Counts events of the processes for so long under the names that this machine has for them. */
export async function countEvents(
  perf: string,
  pids: readonly number[],
  seconds: number,
  cores: readonly number[],
): Promise<Counted> {
  const { events, absent } = await countableEvents(perf);
  // One after the other: with more events at a time than there are counters, each is counted for a part of the time.
  const software = await countGroup(perf, SOFTWARE_EVENTS, pids, seconds, cores);
  if (events.length === 0) return { events: software, absent };
  const hardware = await countGroup(perf, events, pids, seconds, cores);
  const silent = HARDWARE_KINDS.filter(({ events: names }) =>
    hardware.some(({ name, value }) => value === undefined && names.includes(name)),
  );
  return { events: [...software, ...hardware], absent: [...absent, ...silent] };
}

let countable: ReturnType<typeof eventsHere> | undefined;

/** What this machine counts: found out once, and before the load to be counted, since it takes longer than that may. */
export function countableEvents(perf: string): ReturnType<typeof eventsHere> {
  countable ??= eventsHere((event) => isCountable(perf, event));
  return countable;
}

/** Of each kind the first name that this machine counts. */
export async function eventsHere(
  counts: (event: string) => Promise<boolean>,
): Promise<{ readonly events: string[]; readonly absent: CounterKind[] }> {
  const events: string[] = [];
  const absent: CounterKind[] = [];
  for (const kind of HARDWARE_KINDS) {
    let found: string | undefined;
    for (const event of kind.events) {
      if (await counts(event)) {
        found = event;
        break;
      }
    }
    if (found === undefined) absent.push(kind);
    else events.push(found);
  }
  return { events, absent };
}

/** perf writes numbers as the locale has them. */
const ENGLISH = { LC_ALL: 'C' };

async function countGroup(
  perf: string,
  events: readonly string[],
  pids: readonly number[],
  seconds: number,
  cores: readonly number[],
): Promise<CountedEvent[]> {
  // perf stat writes to standard error, unless it is told otherwise.
  const args = ['stat', '-x', ';', '--log-fd', '1', '-e', events.join(','), '-p', pids.join(',')];
  const command = { command: perf, args: [...args, '--', 'sleep', String(seconds)], env: ENGLISH };
  return parsePerfStat(await runToEnd(command, cores));
}

/** Whether perf knows the name, and the machine has the counter. */
async function isCountable(perf: string, event: string): Promise<boolean> {
  const args = ['stat', '-x', ';', '--log-fd', '1', '-e', event, 'true'];
  try {
    // What counts nothing of so short a program may count something of another: the run shows it.
    return isSupported(await runToEnd({ command: perf, args, env: ENGLISH }, []));
  } catch {
    return false;
  }
}
