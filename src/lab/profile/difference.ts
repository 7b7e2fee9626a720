import { USER } from './attribute.ts';
import { inOrder, type ProfilePart, type ProfileReport, paperSums, profilePart } from './profile-report.ts';

/** User space of one request, microseconds, round by round: index by index those of the others. */
export type UserTimes = readonly number[];

/** The same work with one thing less. */
export interface Variant {
  /** What the whole has and this one lacks. */
  readonly part: string;
  readonly userUs: UserTimes;
}

/** The rounds of a differenced profile. */
export interface Rounds {
  readonly whole: UserTimes;
  /** The whole without each filter. */
  readonly filters: readonly Variant[];
  /** The whole in clear text; undefined where it is. */
  readonly withoutTls?: UserTimes | undefined;
  /** Without any filter, and through the TCP proxy; undefined leaves HTTP in user space. */
  readonly plain: { readonly http: UserTimes; readonly tcp: UserTimes } | undefined;
}

/**
 * Takes user space of a program without symbols apart: what a configuration costs more than the one without a filter, or
 * without HTTP, is that filter's, or HTTP's. What is left stays together. Differences are taken within a round, since
 * machines drift; the median of the rounds counts.
 *
 * A difference may come out below 0 where the thing costs less than two runs differ by; it is shown as it is.
 */
export function byDifference(report: ProfileReport, { whole, filters, withoutTls, plain }: Rounds): ProfileReport {
  const total = report.cpuUsPerRequest;
  const user = userUs(report);
  // The rounds are other runs than the report's: what they show is the share of user space.
  const scale = user / median(whole);
  const part = (name: string, us: number): ProfilePart => profilePart(name, us / total, total, 'by difference');
  const found = filters.map((variant) => part(variant.part, scale * medianDifference(whole, variant.userUs)));
  if (withoutTls !== undefined) found.push(part('tls', scale * medianDifference(whole, withoutTls)));
  if (plain !== undefined) found.push(part('http_parse', scale * medianDifference(plain.http, plain.tcp)));
  const left = user - found.reduce((sum, { usPerRequest }) => sum + usPerRequest, 0);
  const parts = inOrder([...report.parts.filter((one) => one.part !== USER), ...found, part(USER, left)]);
  const count = whole.length;
  const notes = [
    `Parts “by difference” are user space of one configuration less that of another: the median of ${count} round${count === 1 ? '' : 's'}.`,
  ];
  if (withoutTls !== undefined)
    notes.push('TLS is what encryption costs user space; its larger writes and reads are in the rows of the kernel.');
  if (plain !== undefined)
    notes.push('HTTP parse is all that HTTP costs more than TCP: headers and routing are in it.');
  return { ...report, parts, ...paperSums(parts), notes: [...report.notes, ...notes] };
}

/** One size of messages: bytes of a body, and the reports of its rounds. */
export interface SizeRounds {
  readonly bytes: number;
  readonly reports: readonly Pick<ProfileReport, 'parts' | 'cpuUsPerRequest'>[];
}

/** What a part costs for each message, and for each of its bytes. */
export interface SizeShare {
  /** A part, or `all`. */
  readonly part: string;
  readonly title: string;
  /** For a message without a body. */
  readonly fixedUs: number;
  readonly usPerKib: number;
  /** Medians as they were measured, in the order of `bytes`. */
  readonly measuredUs: readonly number[];
}

export interface SizeShares {
  readonly basis: 'by difference';
  /** Bodies of the messages, smallest first. */
  readonly bytes: readonly number[];
  readonly rows: readonly SizeShare[];
  /**
   * How far sizes in between lie off the line through the smallest and the largest, at most, as a share of what was
   * measured; null with two sizes. Buffers that are filled several times make steps.
   */
  readonly largestBend: number | null;
}

/**
 * Tells what depends on the size of messages from what does not: the line through the smallest and the largest size, taken
 * round by round. @throws Error with less than two sizes
 */
export function bySize(sizes: readonly SizeRounds[]): SizeShares {
  const sorted = sizes.toSorted((a, b) => a.bytes - b.bytes);
  const first = sorted[0];
  const last = sorted.at(-1);
  if (first === undefined || last === undefined || first.bytes === last.bytes)
    throw new Error('one size tells nothing');
  const span = last.bytes - first.bytes;
  const names = [
    ...new Set(sorted.flatMap(({ reports }) => reports.flatMap(({ parts }) => parts.map(({ part }) => part)))),
  ];
  const times = ({ reports }: SizeRounds, name: string): number[] =>
    reports.map(({ parts, cpuUsPerRequest }) =>
      name === ALL ? cpuUsPerRequest : (parts.find(({ part }) => part === name)?.usPerRequest ?? 0),
    );
  const share = (part: string, title: string): SizeShare => {
    const small = times(first, part);
    const perByte = medianDifference(times(last, part), small) / span;
    return {
      part,
      title,
      fixedUs: median(small) - perByte * first.bytes,
      usPerKib: 1024 * perByte,
      measuredUs: sorted.map((size) => median(times(size, part))),
    };
  };
  const parts = inOrder(names.map((name) => profilePart(name, 0, 0, 'by difference')));
  const whole = share(ALL, 'All');
  const bends = sorted.slice(1, -1).map(({ bytes }, index) => {
    const measured = whole.measuredUs[index + 1] as number;
    return Math.abs(whole.fixedUs + (whole.usPerKib * bytes) / 1024 - measured) / measured;
  });
  return {
    basis: 'by difference',
    bytes: sorted.map(({ bytes }) => bytes),
    rows: [...parts.map(({ part, title }) => share(part, title)), whole],
    largestBend: bends.length === 0 ? null : Math.max(...bends),
  };
}

const ALL = 'all';

/** Time of user space in a report, microseconds per request. */
export function userUs({ parts }: ProfileReport): number {
  return parts.find(({ part }) => part === USER)?.usPerRequest ?? 0;
}

function medianDifference(a: UserTimes, b: UserTimes): number {
  return median(a.map((value, round) => value - (b[round] ?? Number.NaN)));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
