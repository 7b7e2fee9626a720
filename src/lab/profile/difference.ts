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
export function byDifference(report: ProfileReport, { whole, filters, plain }: Rounds): ProfileReport {
  const total = report.cpuUsPerRequest;
  const user = userUs(report);
  // The rounds are other runs than the report's: what they show is the share of user space.
  const scale = user / median(whole);
  const part = (name: string, us: number): ProfilePart => profilePart(name, us / total, total, 'by difference');
  const found = filters.map((variant) => part(variant.part, scale * medianDifference(whole, variant.userUs)));
  if (plain !== undefined) found.push(part('http_parse', scale * medianDifference(plain.http, plain.tcp)));
  const left = user - found.reduce((sum, { usPerRequest }) => sum + usPerRequest, 0);
  const parts = inOrder([...report.parts.filter((one) => one.part !== USER), ...found, part(USER, left)]);
  const count = whole.length;
  const notes = [
    `Parts “by difference” are user space of one configuration less that of another: the median of ${count} round${count === 1 ? '' : 's'}.`,
  ];
  if (plain !== undefined)
    notes.push('HTTP parse is all that HTTP costs more than TCP: headers and routing are in it.');
  return { ...report, parts, ...paperSums(parts), notes: [...report.notes, ...notes] };
}

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
