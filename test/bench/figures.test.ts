import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { costOf, PUBLISHED_RUNS, type PublishedRun } from '../../bench/report/figures.ts';

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
  return micros < 100 ? micros.toFixed(1).replace('.', '\\.') : String(micros);
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
