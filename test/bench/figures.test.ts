import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { costLines, costOf, PUBLISHED_RUNS, type PublishedRun, publishedRun } from '../../bench/report/figures.ts';
import type { BenchReport } from '../../bench/report/result.ts';
import { formatNumber } from '../../bench/report/tables.ts';
import { SCENARIOS } from '../../bench/scenarios.ts';
import { HTTP_FILTERS } from '../../filters/index.ts';

const RUN = { command: 'npm run bench', machine: 'one' };
const micros = (outrigger: number) => ({ envoy: 3 * outrigger, outrigger });

test('every figure that is data is published in docs/benchmark.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/benchmark.md'), 'utf8');
  const lines = page.split('\n');
  const missing = PUBLISHED_RUNS.flatMap(({ command, scenarios }) => {
    if (!page.includes(command)) return [command];
    return Object.entries(scenarios).flatMap(([name, { envoy, outrigger }]) =>
      [...lines.entries()].some(([index, line]) => {
        if (!line.replace(/^#+ /, '').startsWith(`${name}: `)) return false;
        const table = lines.slice(index, index + 8).join('\n');
        return [`envoy.* ${digits(envoy)} `, `outrigger.* ${digits(outrigger)} `].every((one) =>
          new RegExp(one).test(`${table} `),
        );
      })
        ? []
        : [`${name} ${envoy} ${outrigger}`],
    );
  });
  expect(missing).toEqual([]);
});

function digits(micros: number): string {
  return formatNumber(micros).replace('.', '\\.');
}

test('a cost is that of the newest run which has the plain router too', () => {
  const runs: PublishedRun[] = [
    { ...RUN, date: '2026-01-01', scenarios: { http: micros(20), cors: micros(22) } },
    { ...RUN, date: '2026-01-02', scenarios: { http: micros(21), cors: micros(24) } },
    { ...RUN, date: '2026-01-03', scenarios: { cors: micros(23) } },
  ];
  expect(costOf('envoy.filters.http.cors', runs)).toMatchObject({
    scenario: 'cors',
    whole: micros(24),
    base: micros(21),
    run: runs[1],
  });
  expect(costOf('envoy.filters.http.cors', runs.slice(2))).toMatchObject({ whole: micros(23), run: runs[2] });
});

test('what nobody has measured has no figure, and the command that measures it', () => {
  expect(costOf('envoy.filters.http.cors', [])).toEqual({
    scenario: 'cors',
    command: 'outrigger bench --scenario http,cors --peer envoy,outrigger',
  });
  expect(costOf('something else', [])).toEqual({ scenario: undefined, command: undefined });
});

test('a cost in words is a difference within one run, or says that it is not measured', () => {
  const run = { ...RUN, date: '2026-01-02', scenarios: { http: micros(20), cors: micros(24), tcp: micros(10) } };
  const words = (part: string, runs: readonly PublishedRun[]) => costLines(part, costOf(part, runs));
  expect(words('envoy.filters.http.cors', [run])).toEqual([
    'envoy.filters.http.cors: 4.0 µs of CPU per request, in Envoy 12.0 µs (scenario cors, 2026-01-02, less the router alone)',
  ]);
  expect(words('envoy.filters.network.tcp_proxy', [run])).toEqual([
    'envoy.filters.network.tcp_proxy: a request costs 10 µs of CPU in all, in Envoy 30 µs (scenario tcp, 2026-01-02)',
  ]);
  expect(words('envoy.filters.http.cors', [])).toEqual([
    'envoy.filters.http.cors: not measured; measure it with `outrigger bench --scenario http,cors --peer envoy,outrigger`',
  ]);
  const alone = [{ ...run, scenarios: { cors: micros(24) } }];
  expect(words('envoy.filters.http.cors', alone)[1]).toContain('its own share is not measured');
  expect(words('something else', [run])).toEqual([
    'something else: not measured; the benchmark has no scenario for it',
  ]);
});

test('a run is published with its scenarios that both proxies finished', () => {
  const peer = (name: string, median?: number) => ({
    peer: name,
    ...(median === undefined ? { error: 'crashed' } : { saturation: { processMicros: { median } } }),
  });
  const report = {
    startedAt: '2026-01-02T03:04:05Z',
    command: 'npm run bench',
    machine: { cpu: 'CPU', cores: 2, memoryMiB: 1024, kernel: '6.1' },
    scenarios: [
      { scenario: { name: 'http' }, peers: [peer('envoy', 60.04), peer('outrigger', 22.76), peer('nginx', 9)] },
      { scenario: { name: 'cors' }, peers: [peer('envoy', 61), peer('outrigger')] },
    ],
  };
  expect(publishedRun(report as unknown as BenchReport)).toEqual({
    date: '2026-01-02',
    command: 'npm run bench',
    machine: 'CPU, 2 cores, 1024 MiB, Linux 6.1',
    scenarios: { http: { envoy: 60, outrigger: 22.8 } },
  });
});

test('an HTTP filter that has a scenario of its name is measured by some scenario', () => {
  const names = HTTP_FILTERS.map(({ name }) => name);
  const without = names.filter((name) => {
    const own = name.slice(name.lastIndexOf('.') + 1);
    return SCENARIOS.some((scenario) => scenario.name === own) && costOf(name, []).scenario === undefined;
  });
  expect(without).toEqual([]);
});
