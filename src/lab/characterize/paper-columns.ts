/**
 * What Sahu et al., "Understanding Sidecars in Cloud Orchestration" (SESAME 2025), print about Envoy under
 * Istio 1.20.3, to stand beside what was measured here. Only numbers of its tables and sentences; nothing is read off a
 * figure. Their machine is another one: compare shares, ratios and errors, not microseconds.
 */

/** Clock of the machine that Table 3 is from: Intel Xeon Silver 4314 (Table 1). */
export const PAPER_GHZ = 2.4;

/** Cycles per request. `Estimate`s of a filter add up single filters', those of a total are HTTP's plus the filter's. */
export interface Table3Row {
  /** As the paper writes it. */
  readonly policy: string;
  readonly filterActual?: number;
  readonly filterEstimate?: number;
  readonly totalActual: number;
  readonly totalEstimate?: number;
  /** The percentages that stand behind the estimates, as they are printed. */
  readonly printed?: { readonly filter?: string; readonly total?: string };
}

/**
 * Table 3, "Actual and estimated cycles for HTTP filters", by the names of the paper's public benchmark where it has
 * the same work. Its `http_mix` is more than Table 3 adds up for Mix 2: 9.67 + 4.16 + 8.52 + 20.45 = 42.8.
 */
export const TABLE3: Readonly<Record<string, Table3Row>> = {
  http: { policy: 'HTTP', totalActual: 350_500 },
  header_read: {
    policy: 'Header Proc.',
    filterActual: 9670,
    totalActual: 364_600,
    totalEstimate: 360_200,
    printed: { total: '+1.22%' },
  },
  ratelimit: {
    policy: 'Rate Limit',
    filterActual: 4160,
    totalActual: 331_700,
    totalEstimate: 354_700,
    printed: { total: '-8.2%' },
  },
  iptag: {
    policy: 'IP Tag (1)',
    filterActual: 8520,
    totalActual: 338_700,
    totalEstimate: 359_100,
    printed: { total: '-8.7%' },
  },
  logging: {
    policy: 'Logging',
    filterActual: 20_450,
    totalActual: 358_900,
    totalEstimate: 370_900,
    printed: { total: '-9.6%' },
  },
  iprate_iptag: {
    policy: 'HTTP Mix 1',
    filterActual: 12_900,
    filterEstimate: 12_680,
    totalActual: 373_900,
    totalEstimate: 363_400,
    printed: { filter: '1.72%', total: '-0.66%' },
  },
  mix_2: {
    policy: 'HTTP Mix 2',
    filterActual: 41_830,
    filterEstimate: 42_800,
    totalActual: 439_100,
    totalEstimate: 392_300,
    printed: { filter: '-2.33%', total: '1.23%' },
  },
};

/** Names of the same work in our own benchmark. */
const SAME_WORK: Readonly<Record<string, string>> = {
  header_metadata: 'header_read',
  iptag_1: 'iptag',
  http_mix_1: 'iprate_iptag',
  mix_1: 'iprate_iptag',
  http_mix_2: 'mix_2',
};

/** The paper's row for a configuration; undefined where Table 3 has none. */
export function table3Row(configuration: string): Table3Row | undefined {
  const name = SAME_WORK[configuration] ?? configuration;
  return Object.hasOwn(TABLE3, name) ? TABLE3[name] : undefined;
}

/** Time of so many cycles on the paper's machine, microseconds. */
export function paperMicros(cycles: number): number {
  return cycles / (PAPER_GHZ * 1000);
}

/**
 * By how many percent an estimate of Table 3 is off: (estimate − actual) / actual, as our own errors are. For the filters
 * this is the printed percentage with the other sign; for the totals only the first printed one is what the row's own
 * numbers give.
 */
export function table3Error(row: Table3Row, of: 'filter' | 'total'): number | undefined {
  const [actual, estimate] =
    of === 'filter' ? [row.filterActual, row.filterEstimate] : [row.totalActual, row.totalEstimate];
  return actual === undefined || estimate === undefined ? undefined : (100 * (estimate - actual)) / actual;
}

/** Table 4, "Breakdown of branch accesses and misses per request": of the rate limit alone (§5.3). */
export const TABLE4 = [
  { branches: 'All Retired', total: 56_500, miss: 4500 },
  { branches: 'Cond. Taken', total: 12_140, miss: 1300 },
  { branches: 'Cond. Not Taken', total: 20_640, miss: 1000 },
  { branches: 'Indirect', total: 3600, miss: 2000 },
  { branches: 'Near Taken', total: 35_400, miss: 3600 },
] as const;

/** What its text says, with the words around the number. */
export interface PaperStatement {
  readonly id: keyof typeof STATEMENTS;
  readonly text: string;
  readonly source: string;
}

const STATEMENTS = {
  tcp_to_http: ['throughput decreases by 2.4× from TCP to HTTP based policies', 'Figure 6, caption'],
  filters_cycles: ['filters contribute from 1 % to 10 % of cycles', 'Figure 7, caption'],
  filters_most: ['filters can use up to 15 % of CPU cycles', '§5.2'],
  parsing: ['HTTP policies spend 50 % of CPU cycles on protocol parsing', '§5.2'],
  next_writes: ['write system calls come next with HTTP, and first with TCP', '§5.2'],
  additive: [
    'the performance overhead of filters is additive',
    '§5.2; the estimates of Table 3 are printed within 10 %',
  ],
  filters_flat: ['filters see no variance with message sizes, but TLS, which works on the payload', 'appendix B.2'],
  parsing_flat: ['protocol parsing shows low variability with message sizes', 'appendix B.2'],
  ipc_tcp: ['0.7 to 0.9 instructions per cycle with TCP policies', '§5.2'],
  ipc_http: ['less than 0.6 instructions per cycle with HTTP policies', '§5.2'],
  icache: ['up to 75 misses of the instruction cache per thousand instructions', '§5.3'],
} as const satisfies Record<string, readonly [text: string, source: string]>;

export const PAPER_STATEMENTS: readonly PaperStatement[] = Object.entries(STATEMENTS).map(([id, [text, source]]) => ({
  id: id as keyof typeof STATEMENTS,
  text,
  source,
}));

/** The numbers in them that a measurement can be held to. */
export const PAPER_NUMBERS = {
  /** Throughput of TCP by that of HTTP. */
  tcpToHttp: 2.4,
  /** Shares of cycles, from 0 to 1. */
  filterShare: { from: 0.01, to: 0.1, most: 0.15 },
  parsingShareOfHttp: 0.5,
  /** The percentages printed in Table 3 go up to 9.6; its numbers give up to 10.7. */
  additiveWithinPercent: 10,
} as const;
