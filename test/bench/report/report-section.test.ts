import { expect, test } from 'vitest';
import { checkBenchReport } from '../../../bench/report/bench-form.ts';
import { benchSection } from '../../../bench/report/report-section.ts';
import type { BenchReport } from '../../../bench/report/result.ts';
import { SAMPLE } from './sample.ts';

test('a report of the benchmark comes back as it was written', () => {
  expect(checkBenchReport('bench.json', JSON.parse(JSON.stringify(SAMPLE)))).toEqual(SAMPLE);
});

test('a run is a section with its ratios, a plot for each rate, memory and start', () => {
  const { id, tables, figures } = benchSection(SAMPLE, 0);
  expect(id).toBe('benchmark');
  expect(tables[0]?.title).toMatch(/^Ratios to Envoy/);
  expect(tables.every(({ command }) => command !== undefined)).toBe(true);
  expect(figures.map((figure) => figure.id)).toEqual(['benchmark-latency', 'benchmark-memory', 'benchmark-start']);
  const latency = figures[0]!.charts[0]!.draw(820).body;
  expect(latency).toContain('>http, 50 %<');
  expect(latency.match(/<path class="line /g)!.length).toBeGreaterThan(4);
  expect(figures[1]!.charts[0]!.draw(820).body).toContain('>150 MiB<');
});

test('several runs have names of their own, and what a run lacks has no figure', () => {
  const bare: BenchReport = { ...SAMPLE, scenarios: [], memory: [], idle: [], start: [], scaling: [] };
  expect(benchSection(bare, 1)).toMatchObject({ id: 'benchmark-2', tables: [], figures: [] });
  const ids = [0, 1].flatMap((index) => benchSection(SAMPLE, index).figures.map((figure) => figure.id));
  expect(new Set(ids).size).toBe(6);
});
