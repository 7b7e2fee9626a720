import { expect, test } from 'vitest';
import { CONFIGURATIONS, type Configuration } from '../../../bench/characterize/configurations.ts';
import { type Profiled, partsByDifference } from '../../../bench/characterize/differences.ts';
import { figureOf } from '../../../bench/characterize/figures.ts';
import { type ProfileReport, partsOfSamples } from '../../../src/lab/profile/profile-report.ts';

/** A proxy without symbols: half of its time, in whatever configuration, is user space. */
function stripped(name: string, values: readonly number[], rest: Partial<Profiled> = {}): Profiled {
  const [cpuUsPerRequest = 0] = values;
  const samples = new Map([
    ['os_write', 500],
    ['user', 500],
  ]);
  const report = { parts: partsOfSamples(samples, cpuUsPerRequest), cpuUsPerRequest, notes: [] };
  const configuration = CONFIGURATIONS.find((one) => one.name === name) as Configuration;
  const cpuMicros = figureOf(values);
  return { peer: 'envoy', configuration, cpuMicros, report: report as unknown as ProfileReport, ...rest };
}

const TCP = stripped('tcp', [20, 20]);
const HTTP = stripped('http', [50, 50]);
const RATELIMIT = stripped('ratelimit', [54, 54]);
const ALL = [TCP, HTTP, RATELIMIT, stripped('tls', [30, 30]), stripped('tls_http', [60, 60])];

function times(one: Profiled, all: readonly Profiled[] = ALL): Record<string, number> {
  return Object.fromEntries(partsByDifference(one, all).map(({ part, usPerRequest }) => [part, usPerRequest]));
}

test('user space without symbols is what the base lacks, and what TCP lacks', () => {
  expect(times(TCP)).toEqual({ os_write: 10, user: 10 });
  expect(times(HTTP)).toEqual({ os_write: 25, http_parse: 15, user: 10 });
  expect(times(RATELIMIT)).toEqual({ os_write: 27, http_parse: 15, filter: 2, user: 10 });
  expect(times(ALL[4] as Profiled)).toEqual({ os_write: 30, http_parse: 15, tls: 5, user: 10 });
});

test('only the same proxy with messages of the same size is compared', () => {
  const others = [stripped('http', [10, 10], { peer: 'nginx' }), stripped('http', [10, 10], { bytes: 16_384 })];
  expect(times(RATELIMIT, [RATELIMIT, ...others])).toEqual({ os_write: 27, user: 27 });
});

test('differences are taken within a round: other rounds than those of the base say nothing', () => {
  expect(times(RATELIMIT, [RATELIMIT, stripped('http', [50])])).toEqual({ os_write: 27, user: 27 });
});

test('parts that symbols tell stay as they are', () => {
  const parts = partsOfSamples(new Map([['http_parse', 10]]), 50);
  const one = { ...HTTP, report: { ...HTTP.report, parts } };
  expect(partsByDifference(one, [TCP, one])).toBe(parts);
});
