import { readdirSync, readFileSync } from 'node:fs';

/** Linux reports times in /proc in units of 1/100 s (USER_HZ) on every architecture that this runs on. */
const MICROS_PER_TICK = 10_000;

/** CPU time that has been used, µs. */
export interface CpuReading {
  /** User and system time of the process, its threads and its children. */
  readonly processMicros: number;
  /** Time in which a core of the machine was not idle, interrupts included. */
  readonly machineMicros: number;
  /** Time that the hypervisor gave to others. */
  readonly stolenMicros: number;
}

/** @throws when the process is gone. */
export function readCpu(pid: number | undefined): CpuReading {
  const fields = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  let processMicros = 0;
  if (pid !== undefined) for (const member of processTree(pid)) processMicros += processCpuMicros(member);
  return {
    processMicros,
    machineMicros: (user + nice + system + irq + softirq) * MICROS_PER_TICK,
    stolenMicros: steal * MICROS_PER_TICK,
  };
}

export function cpuBetween(from: CpuReading, to: CpuReading): CpuReading {
  return {
    processMicros: to.processMicros - from.processMicros,
    machineMicros: to.machineMicros - from.machineMicros,
    stolenMicros: to.stolenMicros - from.stolenMicros,
  };
}

/** Resident memory of the process and its children, KiB. */
export function readRssKiB(pid: number): number {
  let total = 0;
  for (const member of processTree(pid)) {
    const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${member}/status`, 'latin1'));
    total += Number(line?.[1] ?? 0);
  }
  return total;
}

/** The process and all that it has started, as far as they still run. */
export function processTree(pid: number): number[] {
  const pids = [pid];
  for (let i = 0; i < pids.length; i++) {
    for (const task of readTasks(pids[i] as number)) {
      const text = readFileSync(`/proc/${pids[i]}/task/${task}/children`, 'latin1').trim();
      if (text !== '') pids.push(...text.split(' ').map(Number));
    }
  }
  return pids;
}

function readTasks(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`);
}

function processCpuMicros(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The command's name, in parentheses, may hold spaces: fields count from behind it (proc(5): utime 14, stime 15).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}
