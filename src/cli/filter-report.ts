import type { TestBody, TestHeaders, TestOutcome, TestRequest, TestResponse } from '../filter/harness.ts';
import type { NetworkOutcome, TestConnection } from '../filter/harness-network.ts';
import type { FilterKind } from '../filter/loader-check.ts';
import { placeInFilter } from '../filter/loader-owners.ts';

/** What became of one canned request or connection. */
export interface CallReport {
  readonly title: string;
  /** `forwarded 200`, `replied 401 api_key_missing`, `stopped …`, `passed`. */
  readonly verdict: string;
  /** Differences that the filter made: `request + x-a: 1`. */
  readonly changes: readonly string[];
  readonly errors: readonly string[];
  /** Time in its hooks, milliseconds. */
  readonly hookMs: number;
}

/** What became of all of them. */
export interface FilterReport {
  readonly name: string;
  readonly kind: FilterKind;
  readonly calls: readonly CallReport[];
  /** Median time in its hooks for an everyday request or connection, once warm; microseconds. */
  readonly medianUs: number;
  readonly logged: number;
  /** Counters that it incremented. */
  readonly counters: readonly string[];
}

/** `answer` is what the app said to the request as it was forwarded. */
export function requestReport(
  title: string,
  sent: TestRequest,
  answer: TestResponse,
  outcome: TestOutcome,
): CallReport {
  const changes: string[] = [];
  const { forwarded } = outcome;
  if (forwarded !== undefined) {
    const pseudo: [string, string, string][] = [
      ['method', sent.method ?? 'GET', forwarded.method],
      ['path', sent.path ?? '/', forwarded.path],
      ['host', sent.authority ?? 'app.test', forwarded.authority],
    ];
    for (const [name, before, after] of pseudo) {
      if (before !== after) changes.push(`request ~ ${name}: ${short(before)} → ${short(after)}`);
    }
    changes.push(...headerChanges('request', sent.headers ?? {}, forwarded.headers));
    changes.push(...bodyChange('request', bodyText(sent.body), forwarded.body));
    changes.push(...headerChanges('request trailers', sent.trailers ?? {}, forwarded.trailers));
  }
  if (outcome.verdict === 'forwarded') {
    const status = answer.status ?? 200;
    if (outcome.status !== status) changes.push(`response ~ status: ${status} → ${outcome.status}`);
    changes.push(...headerChanges('response', answer.headers ?? {}, outcome.headers));
    changes.push(...bodyChange('response', bodyText(answer.body), outcome.body));
    changes.push(...headerChanges('response trailers', answer.trailers ?? {}, outcome.trailers));
  } else if (outcome.verdict === 'replied') {
    changes.push(...headerChanges('response', {}, outcome.headers), ...bodyChange('response', '', outcome.body));
  }
  if (outcome.routeCacheCleared) changes.push('routes are matched again');
  const flags = outcome.flags === '-' ? '' : ` ${outcome.flags}`;
  const why = outcome.verdict === 'forwarded' ? '' : ` ${outcome.details}`;
  const status = outcome.verdict === 'stopped' ? '' : ` ${outcome.status}`;
  return {
    title,
    verdict: `${outcome.verdict}${status}${why}${flags}`,
    changes,
    errors: outcome.errors.map(errorText),
    hookMs: total(outcome.hookMs),
  };
}

export function connectionReport(title: string, sent: TestConnection, outcome: NetworkOutcome): CallReport {
  const flags = outcome.flags === '-' ? '' : ` ${outcome.flags}`;
  const changes =
    outcome.verdict === 'stopped'
      ? []
      : [
          ...bodyChange('to app', bodyText(sent.client), outcome.toApp),
          ...bodyChange('to client', bodyText(sent.app), outcome.toClient),
        ];
  return {
    title,
    verdict: `${outcome.verdict}${outcome.details === '' ? '' : ` ${outcome.details}`}${flags}`,
    changes,
    errors: outcome.errors.map(errorText),
    hookMs: total(outcome.hookMs),
  };
}

/** The report for people. */
export function reportText(report: FilterReport): string {
  const width = Math.max(...report.calls.map(({ title }) => title.length));
  const verdictWidth = Math.max(...report.calls.map(({ verdict }) => verdict.length));
  const usual = commonChanges(report.calls);
  const lines = report.calls.flatMap(({ title, verdict, changes, errors, hookMs }) => [
    `  ${title.padEnd(width)}  ${verdict.padEnd(verdictWidth)} ${hookMs.toFixed(3).padStart(8)} ms`,
    ...changes.filter((change) => !usual.includes(change)).map((change) => `      ${change}`),
    ...errors.map((error) => `      ! ${error}`),
  ]);
  if (usual.length > 0) lines.push('  on each of them', ...usual.map((change) => `      ${change}`));
  const thrown = report.calls.filter(({ errors }) => errors.length > 0).length;
  const summary = [
    `${report.medianUs.toFixed(1)} µs in its hooks per ${report.kind === 'http' ? 'request' : 'connection'} (median, warm)`,
    ...(report.counters.length > 0 ? [`counts ${report.counters.join(', ')}`] : []),
    ...(report.logged > 0 ? [`logged ${report.logged} lines`] : []),
    ...(thrown > 0 ? [`threw in ${thrown} of ${report.calls.length}`] : []),
  ];
  return `\nfilter     ${report.name} (${report.kind})\n${lines.join('\n')}\n  ${summary.join('; ')}\n`;
}

/** What it changed every time, so that the rest can be seen. */
function commonChanges(calls: readonly CallReport[]): readonly string[] {
  return (calls[0]?.changes ?? []).filter((change) => calls.every(({ changes }) => changes.includes(change)));
}

function headerChanges(where: string, before: TestHeaders, after: Readonly<Record<string, string>>): string[] {
  const changes: string[] = [];
  for (const [name, value] of Object.entries(before)) {
    const old = typeof value === 'string' ? value : value.join(',');
    const now = after[name];
    if (now === undefined) changes.push(`${where} - ${name}`);
    else if (now !== old) changes.push(`${where} ~ ${name}: ${short(old)} → ${short(now)}`);
  }
  for (const [name, value] of Object.entries(after)) {
    if (before[name] === undefined) changes.push(`${where} + ${name}: ${short(value)}`);
  }
  return changes;
}

function bodyChange(where: string, before: string, after: string): string[] {
  if (before === after) return [];
  return [
    `${where} ~ body: ${sizeOf(before)} → ${sizeOf(after)}${after.length <= 60 ? ` ${JSON.stringify(after)}` : ''}`,
  ];
}

function sizeOf(text: string): string {
  return `${Buffer.byteLength(text)} B`;
}

function bodyText(body: TestBody | undefined): string {
  if (body === undefined) return '';
  const list = typeof body === 'string' || body instanceof Uint8Array ? [body] : body;
  return Buffer.concat(list.map((chunk) => Buffer.from(chunk as string))).toString();
}

function short(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`;
}

function errorText(error: unknown): string {
  const place = placeInFilter(error);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return place === undefined ? text : `${place.file}:${place.line}:${place.column}: ${text}`;
}

function total(times: Readonly<Record<string, number>>): number {
  return Object.values(times).reduce((sum, time) => sum + time, 0);
}
