import type { CounterValues } from './profile-report.ts';

/** Something that machines count, each maker under a name of its own. */
export interface CounterKind {
  readonly title: string;
  /** Names that perf may know it by, the most widely known first. The first one that the machine counts is taken. */
  readonly events: readonly string[];
  /** Name of the figure per thousand instructions. */
  readonly perKilo?: string;
}

/** What the kernel counts without a counter in the processor. */
export const SOFTWARE_EVENTS = ['task-clock', 'context-switches', 'cpu-migrations', 'page-faults'] as const;

const CYCLES = 'cycles';
const INSTRUCTIONS = 'instructions';

/**
 * What processors count. Misses of the second cache have no name that all share: `l2_rqsts.miss` is Intel's,
 * `l2_cache_req_stat.*` and `l2_cache_misses…` AMD's, `l2d_cache_refill` Arm's (perf's pmu-events, `perf list`).
 */
export const HARDWARE_KINDS: readonly CounterKind[] = [
  { title: 'cycles', events: [CYCLES, 'cpu-cycles', 'cpu_cycles'] },
  { title: 'instructions', events: [INSTRUCTIONS, 'inst_retired'] },
  {
    title: 'L1 instruction cache misses',
    events: [
      'L1-icache-load-misses',
      'l1i_cache_refill',
      'icache_64b.iftag_miss',
      'ic_tag_hit_miss.instruction_cache_miss',
    ],
    perKilo: 'l1i_mpki',
  },
  {
    title: 'L2 cache misses',
    events: [
      'l2_rqsts.miss',
      'l2_cache_req_stat.ic_dc_miss_in_l2',
      'l2_cache_misses',
      'l2_cache_misses_from_dc_misses',
      'l2d_cache_refill',
    ],
    perKilo: 'l2_mpki',
  },
  {
    title: 'iTLB walks',
    events: ['iTLB-load-misses', 'itlb_misses.walk_completed', 'itlb_walk', 'bp_l1_tlb_miss_l2_tlb_miss'],
    perKilo: 'itlb_walks_per_kilo_instruction',
  },
  { title: 'branch misses', events: ['branch-misses', 'br_mis_pred_retired'] },
];

/** One line of `perf stat -x ';'`, lines of several kinds of cores added up. */
export interface CountedEvent {
  /** Without the core's kind and modifiers: `cpu_core/cycles/u` is `cycles`. */
  readonly name: string;
  /** Undefined where perf says `<not supported>` or `<not counted>`. */
  readonly value: number | undefined;
  /** How much of the time it was counted, %; where it is less than 100, perf has scaled the value up. */
  readonly runningPercent: number;
}

/**
 * Reads what `perf stat -x ';'` writes: value, unit, event, time that it was counted for, percentage of that, and a metric
 * and its unit since Linux 4; lines of further metrics have no event (tools/perf/Documentation/perf-stat.txt, "CSV FORMAT").
 */
export function parsePerfStat(text: string): CountedEvent[] {
  const events = new Map<string, CountedEvent>();
  for (const line of text.split('\n')) {
    const [first = '', unit = '', event = '', , percent = ''] = line.split(';');
    if (event === '' || line.startsWith('#')) continue;
    const isCounted = first !== '' && Number.isFinite(Number(first));
    if (!isCounted && !first.startsWith('<not ')) continue;
    const name = plainName(event);
    const before = events.get(name);
    const value = isCounted ? Number(first) * (name === 'task-clock' && unit === 'nsec' ? 1e-6 : 1) : undefined;
    const percentHere = percent === '' ? 100 : Number(percent);
    // Of a kind of cores that the process never ran on there is nothing to count; of two, each was counted in its turn.
    events.set(name, {
      name,
      value: value === undefined ? before?.value : value + (before?.value ?? 0),
      runningPercent:
        before?.value === undefined
          ? percentHere
          : Math.min(100, before.runningPercent + (value === undefined ? 0 : percentHere)),
    });
  }
  return [...events.values()];
}

/** Whether perf counted, or could have counted, one of the kinds of cores. */
export function isSupported(text: string): boolean {
  const lines = text.split('\n').filter((line) => line.includes(';') && !line.startsWith('#'));
  return lines.some((line) => !line.startsWith('<not supported>'));
}

function plainName(event: string): string {
  const inner = /^[\w-]+\/(.+)\/\w*$/.exec(event)?.[1] ?? event;
  return inner.replace(/:[a-zA-Z]+$/, '');
}

/** What was counted, and what could not be: by the title of its kind, with what was tried. */
export interface Counted {
  readonly events: readonly CountedEvent[];
  readonly absent: readonly CounterKind[];
}

/**
 * Counts per request, and what follows from them. They are called those of the hardware only where both cycles and
 * instructions were counted; whatever is missing is named.
 */
export function counterValues({ events, absent }: Counted, requests: number): CounterValues {
  const counts = new Map<string, number>();
  for (const { name, value } of events) if (value !== undefined) counts.set(name, value);
  const found = ({ events: names }: CounterKind): number | undefined =>
    names.map((name) => counts.get(name)).find((value) => value !== undefined);
  const [cycleKind, instructionKind] = HARDWARE_KINDS as readonly [CounterKind, CounterKind];
  const cycles = found(cycleKind) ?? 0;
  const instructions = found(instructionKind) ?? 0;
  const isHardware = cycles > 0 && instructions > 0;
  const derived: Record<string, number> = {};
  if (isHardware) {
    derived.ipc = instructions / cycles;
    for (const kind of HARDWARE_KINDS) {
      const value = found(kind);
      if (kind.perKilo !== undefined && value !== undefined) derived[kind.perKilo] = (1000 * value) / instructions;
    }
  }
  const notes: string[] = [];
  if (!isHardware) notes.push('this machine lets nobody count both cycles and instructions');
  // Where nothing is counted, no other name would help.
  const missing = absent.map(({ title, events: names }) => (isHardware ? `${title} (${names.join(', ')})` : title));
  if (missing.length > 0) notes.push(`not counted here: ${missing.join(', ')}`);
  const shared = events.filter(({ value, runningPercent }) => value !== undefined && runningPercent < WHOLE_PERCENT);
  if (shared.length > 0) {
    const names = shared.map(({ name, runningPercent }) => `${name} ${Math.round(runningPercent)} %`);
    notes.push(`counted for a part of the time only and scaled up: ${names.join(', ')}`);
  }
  return {
    kind: isHardware ? 'hardware' : 'software',
    note: notes.join('; '),
    perRequest: Object.fromEntries([...counts].map(([name, value]) => [shownName(name), value / requests])),
    derived,
    absent: absent.map(({ title }) => title),
  };
}

/** perf rounds. */
const WHOLE_PERCENT = 99.5;

/** perf counts this one in milliseconds. */
function shownName(name: string): string {
  return name === 'task-clock' ? 'task-clock-ms' : name;
}
