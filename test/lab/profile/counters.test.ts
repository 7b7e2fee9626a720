import { expect, test } from 'vitest';
import { eventsHere } from '../../../bench/profile/perf.ts';
import { counterValues, HARDWARE_KINDS, isSupported, parsePerfStat } from '../../../src/lab/profile/counters.ts';

/** perf 6.1 on an Intel server, with more events than counters: from the fourth on they share them. */
const INTEL = `
1840.12;msec;task-clock;1840121223;100.00;0.919;CPUs utilized
8693016215;;cycles;1840121223;83.30;2.100;GHz
16934571004;;instructions;1840121223;83.31;1.95;insn per cycle
;;;;;0.41;stalled cycles per insn
211870532;;L1-icache-load-misses;1840121223;83.35;;
84672855;;l2_rqsts.miss;1840121223;66.70;;
8467285;;iTLB-load-misses;1840121223;66.68;12.4;of all iTLB cache accesses
`;

/** perf 6.8 on a laptop with two kinds of cores: the process ran on one of them. */
const HYBRID = `# started on Fri Oct  2 21:45:16 2026

903558000;;cpu_core/cycles/;206225000;100.00;4.381;GHz
<not counted>;;cpu_atom/cycles/;0;0.00;;
1807116000;;cpu_core/instructions/;206225000;100.00;2.00;insn per cycle
<not counted>;;cpu_atom/instructions/;0;0.00;;
1000;;cpu_core/L1-icache-load-misses/u;206225000;100.00;;
500;;cpu_atom/L1-icache-load-misses/u;206225000;100.00;;
<not supported>;;cpu_atom/l2_rqsts.miss/;0;100.00;;
`;

/** A user without rights to the kernel's side: perf adds the modifier itself. Arm. */
const ARM = `1032845;;cycles:u;1032845;100.00;;
2114632;;instructions:u;1032845;100.00;2.05;insn per cycle
21146;;l2d_cache_refill:u;1032845;100.00;;
<not supported>;;L1-icache-load-misses:u;0;100.00;;
`;

/** A virtual machine without counters. */
const VIRTUAL = `1840.12;msec;task-clock;1840121223;100.00;0.919;CPUs utilized
41;;context-switches;1840121223;100.00;22.281;/sec
<not supported>;;cycles;0;100.00;;
<not supported>;;instructions;0;100.00;;
`;

const NOTHING_ABSENT = { absent: [] };

test('what was counted is read, metrics and comments are not', () => {
  const events = parsePerfStat(INTEL);
  expect(events.map(({ name }) => name)).toEqual([
    'task-clock',
    'cycles',
    'instructions',
    'L1-icache-load-misses',
    'l2_rqsts.miss',
    'iTLB-load-misses',
  ]);
  expect(events[1]).toEqual({ name: 'cycles', value: 8693016215, runningPercent: 83.3 });
});

test('rates follow from the counts, and what was scaled up is said', () => {
  const { kind, note, perRequest, derived } = counterValues({ events: parsePerfStat(INTEL), ...NOTHING_ABSENT }, 1e6);
  expect(kind).toBe('hardware');
  expect(derived.ipc).toBeCloseTo(1.948, 3);
  expect(derived.l1i_mpki).toBeCloseTo(12.511, 3);
  expect(derived.l2_mpki).toBeCloseTo(5, 3);
  expect(derived.itlb_walks_per_kilo_instruction).toBeCloseTo(0.5, 3);
  expect(perRequest['task-clock-ms']).toBeCloseTo(0.00184);
  expect(note).toContain('cycles 83 %');
  expect(note).toContain('l2_rqsts.miss 67 %');
  expect(note).not.toContain('task-clock');
});

test('kinds of cores are added up; one that the process never ran on takes nothing away', () => {
  const events = parsePerfStat(HYBRID);
  expect(events.find(({ name }) => name === 'cycles')).toMatchObject({ value: 903558000, runningPercent: 100 });
  expect(events.find(({ name }) => name === 'L1-icache-load-misses')?.value).toBe(1500);
  expect(events.find(({ name }) => name === 'l2_rqsts.miss')?.value).toBeUndefined();
  const { kind, derived, note } = counterValues({ events, ...NOTHING_ABSENT }, 1000);
  expect(kind).toBe('hardware');
  expect(derived).toEqual({ ipc: 2, l1i_mpki: expect.closeTo(0.00083, 5) });
  expect(note).toBe('');
});

test('names of other makers are known, and modifiers say nothing', () => {
  const { derived, perRequest } = counterValues({ events: parsePerfStat(ARM), ...NOTHING_ABSENT }, 1);
  expect(derived.l2_mpki).toBeCloseTo(10, 2);
  expect(derived).not.toHaveProperty('l1i_mpki');
  expect(perRequest.l2d_cache_refill).toBe(21146);
});

test('without both cycles and instructions nothing is called hardware', () => {
  for (const text of [
    VIRTUAL,
    '2114632;;instructions;1;100.00;;',
    '2114632;;cycles;1;100.00;;\n0;;instructions;1;100.00;;',
  ]) {
    const { kind, derived, note } = counterValues({ events: parsePerfStat(text), ...NOTHING_ABSENT }, 1);
    expect(kind).toBe('software');
    expect(derived).toEqual({});
    expect(note).toContain('nobody count both cycles and instructions');
  }
});

test('of each kind the first name that the machine counts is taken; what it lacks is named', async () => {
  const has = new Set(['cycles', 'instructions', 'l2_cache_misses_from_dc_misses', 'branch-misses']);
  const { events, absent } = await eventsHere(async (event) => has.has(event));
  expect(events).toEqual(['cycles', 'instructions', 'l2_cache_misses_from_dc_misses', 'branch-misses']);
  const { note, absent: titles } = counterValues({ events: parsePerfStat(ARM), absent }, 1);
  expect(titles).toEqual(['L1 instruction cache misses', 'iTLB walks']);
  expect(note).toContain('iTLB walks (iTLB-load-misses');
});

test('every kind that has a rate has names of Intel, AMD and Arm', () => {
  const namesOf = (rate: string) => HARDWARE_KINDS.find(({ perKilo }) => perKilo === rate)?.events ?? [];
  expect(namesOf('l2_mpki')).toEqual(
    expect.arrayContaining(['l2_rqsts.miss', 'l2_cache_misses_from_dc_misses', 'l2d_cache_refill']),
  );
  expect(namesOf('itlb_walks_per_kilo_instruction')).toEqual(expect.arrayContaining(['iTLB-load-misses', 'itlb_walk']));
});

test('an event that one kind of cores lacks is supported all the same', () => {
  expect(isSupported('<not supported>;;cpu_atom/x/;0;100.00;;\n12;;cpu_core/x/;1;100.00;;\n')).toBe(true);
  expect(isSupported('<not counted>;;cycles;0;0.00;;\n')).toBe(true);
  expect(isSupported('<not supported>;;cycles;0;100.00;;\n')).toBe(false);
  expect(isSupported('')).toBe(false);
});
