import { libc } from './libc.ts';

/** CLOCK_THREAD_CPUTIME_ID of linux/time.h. */
const THREAD_CPU = 3;

/**
 * A clock of the CPU time that the calling thread has used, in milliseconds with a resolution of nanoseconds; undefined
 * where libc is not reachable. `process.threadCpuUsage()` is no substitute: within a scheduler tick it stands still.
 */
export function threadCpuClock(): (() => number) | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const words = new Int32Array(4);
  const address = c.addressOf(words);
  const read = (): number => {
    c.clock_gettime(THREAD_CPU, address);
    // Low halves: CPU seconds fit 31 bits, nanoseconds 30.
    return (words[0] as number) * 1000 + (words[2] as number) / 1e6;
  };
  return read() > 0 ? read : undefined;
}
