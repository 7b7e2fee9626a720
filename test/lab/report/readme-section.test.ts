import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkCharacterization, parseReportInput } from '../../../src/lab/report/read-characterization.ts';
import { readmeSection, replaceSection } from '../../../src/lab/report/readme-section.ts';
import { sample } from './sample.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PUBLISHED = join(ROOT, 'docs/characterization.json');

test('a README gets the main pictures, the table of ratios and the command between its marks', () => {
  const { text, shown } = readmeSection(sample(), 'docs/pictures');
  expect(shown.map(({ fileName }) => fileName)).toEqual([
    'cpu.svg',
    'components.svg',
    'throughput-latency.svg',
    'additivity.svg',
  ]);
  expect(text).toContain('![CPU time per request at saturation](docs/pictures/cpu.svg)');
  expect(text).toContain('| TCP | Outrigger | 0.86 | 1.17 | 0.98 | 0.99 |');
  expect(text).toContain('\nbin/outrigger characterize --rounds 3\n');
  expect(text).toContain('\n- the machine has no hardware counters\n');
  const readme = 'before\n<!-- characterization:begin -->\nold\n<!-- characterization:end -->\nafter\n';
  expect(replaceSection(readme, text)).toBe(`before\n${text}\nafter\n`);
  expect(replaceSection(replaceSection(readme, text), text)).toBe(`before\n${text}\nafter\n`);
  expect(() => replaceSection('nothing', text)).toThrow(/no <!-- characterization:begin -->/);
});

test('the README and its pictures are those of the published characterization', (context) => {
  if (!existsSync(PUBLISHED)) context.skip('needs docs/characterization.json, which a full run publishes');
  const { data } = parseReportInput(PUBLISHED, readFileSync(PUBLISHED, 'utf8'));
  const { text, shown } = readmeSection(checkCharacterization(PUBLISHED, data), 'docs/pictures');
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(text);
  for (const { fileName, svg } of shown) expect(readFileSync(join(ROOT, 'docs/pictures', fileName), 'utf8')).toBe(svg);
});
