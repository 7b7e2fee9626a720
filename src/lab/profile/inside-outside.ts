import { PROBE, UNATTRIBUTED } from './attribute.ts';
import type { InsideView } from './profile-report.ts';

/** One line of both accounts. */
export interface ComparedRow {
  readonly title: string;
  /** Microseconds per request. */
  readonly inside: number;
  readonly outside: number;
  /** Inside to outside, less 1; null where nothing is outside. */
  readonly deviation: number | null;
  /** Of the whole, seen from outside. */
  readonly share: number;
}

/** Both accounts of one load. */
export interface InsideOutside {
  readonly rows: readonly ComparedRow[];
  readonly total: ComparedRow;
  /** The largest one, either way, of the rows that have at least `LARGE_SHARE` of the whole. */
  readonly largestDeviation: number;
}

/** Rows below this share are shown, and say little: a few dozen samples of one account, a few rows of the other. */
export const LARGE_SHARE = 0.05;

type Row = readonly [title: string, ...components: string[]];

/** What the probes cannot tell apart is compared as one: a write call is timed as a whole, and so is what comes before an event. */
const ROWS: readonly Row[] = [
  ['Read and poll, both sides', 'os_read', 'sidecar_read', 'event_poll'],
  ['Write, both sides', 'os_write', 'os_ipc', 'sidecar_write'],
  ['Parsing and headers', 'http_parse', 'header_codec'],
  ['Packets and routing', 'packet_processing', 'routing'],
  ['Filters', 'filter'],
];

/** With TLS, decryption is a part of reading, and encryption of writing, to the probes. */
const TLS_ROWS: readonly Row[] = [
  ['Read, poll, write and TLS', ...ROWS.slice(0, 2).flatMap(([, ...components]) => components), 'tls'],
  ...ROWS.slice(2),
];

const TLS_SHARE = 0.005;

/**
 * Compares what the probes saw with samples of the same load.
 *
 * @param samples - samples of the serving thread by part, each given to the component that it interrupted
 * @param threadUs - CPU time of that thread, microseconds per request
 */
export function compareInsideOutside(
  inside: InsideView,
  samples: ReadonlyMap<string, number>,
  threadUs: number,
): InsideOutside {
  const count = sum(samples.values());
  const shareOf = (components: readonly string[]): number =>
    sum([...samples].filter(([part]) => isAmong(part, components)).map(([, value]) => value)) / count;
  const within = Object.entries(inside.usPerRequest);
  const insideOf = (components: readonly string[]): number =>
    sum(within.filter(([part]) => isAmong(part, components)).map(([, value]) => value));
  const row = ([title, ...components]: Row): ComparedRow =>
    compared(title, insideOf(components), shareOf(components) * threadUs, threadUs);
  const rows = (shareOf(['tls']) > TLS_SHARE ? TLS_ROWS : ROWS).map(row);
  const known = 1 - shareOf([UNATTRIBUTED, PROBE]);
  return {
    rows,
    total: compared('All', sum(within.map(([, value]) => value)), known * threadUs, threadUs),
    largestDeviation: Math.max(
      0,
      ...rows.filter(({ share }) => share >= LARGE_SHARE).map(({ deviation }) => Math.abs(deviation ?? 0)),
    ),
  };
}

function compared(title: string, inside: number, outside: number, total: number): ComparedRow {
  return { title, inside, outside, deviation: outside === 0 ? null : inside / outside - 1, share: outside / total };
}

function isAmong(part: string, components: readonly string[]): boolean {
  return components.includes(part.split('/')[0] as string);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
