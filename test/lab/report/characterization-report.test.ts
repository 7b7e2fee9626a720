import { expect, test } from 'vitest';
import type { Characterization } from '../../../src/lab/characterize/characterization.ts';
import { characterizationReport } from '../../../src/lab/report/characterization-report.ts';
import type { Table } from '../../../src/lab/report/document.ts';
import { renderHtml } from '../../../src/lab/report/html.ts';
import { renderMarkdown } from '../../../src/lab/report/markdown.ts';
import { pictures } from '../../../src/lab/report/pictures.ts';
import { hostile } from './hostile.ts';
import { sample } from './sample.ts';
import { xmlFault } from './well-formed.ts';

function tableOf(c: Characterization, title: RegExp): Table {
  const tables = characterizationReport(c).sections.flatMap(({ tables: own, figures }) => [
    ...own,
    ...figures.flatMap((figure) => figure.tables),
  ]);
  return tables.find((table) => title.test(table.title))!;
}

function rowsOf(table: Table): string[] {
  return table.rows.map((row) => row.map(({ text }) => text).join(' | '));
}

test('the table of ratios is that of the same rounds', () => {
  expect(rowsOf(tableOf(sample(), /^Ratios to Envoy/)).slice(0, 3)).toEqual([
    'TCP | Outrigger | 0.86 | 1.17 | 0.98 | 0.99',
    'RBAC: Accept All | Outrigger | 0.81 | 1.23 | 0.97 | 0.98',
    'RBAC: Reject 1000 | Outrigger | 0.17 | 5.86 | 0.58 | 0.71',
  ]);
});

test('a latency that may be the load generator’s own has no ratio', () => {
  const c = sample();
  const late = c.configurations.map((one) => ({
    ...one,
    peers: one.peers.map((row) => ({
      ...row,
      levels: row.levels.map((level) => ({
        ...level,
        generatorLimits: one.name === 'tcp' && row.peer === 'envoy' ? ['sent late'] : [],
      })),
    })),
  }));
  expect(rowsOf(tableOf({ ...c, configurations: late }, /^Ratios to Envoy/)).slice(0, 2)).toEqual([
    'TCP | Outrigger | 0.86 | 1.17 | – | –',
    'RBAC: Accept All | Outrigger | 0.81 | 1.23 | 0.97 | 0.98',
  ]);
});

test('an open row is in the picture and in the table, with its reason', () => {
  expect(rowsOf(tableOf(sample(), /^At saturation/)).at(-1)).toBe(
    'SQL | open | – | – | – | – | the MySQL filter is not there yet',
  );
  const cpu = pictures(characterizationReport(sample())).find(({ figure }) => figure === 'cpu')!;
  expect(cpu.svg).toContain('>open: the MySQL filter is not there yet<');
});

test('components have the rows of Table 2; what is not taken apart, and not attributed, is a row of its own', () => {
  const { columns, rows } = tableOf(sample(), /^Envoy: µs per request/);
  expect(columns.slice(2)).toEqual([
    'OS Read',
    'HTTP Protocol Parse',
    'Sidecar Filter',
    'Event Poll',
    'OS Write',
    'User space, not taken apart',
    'Unattributed',
  ]);
  expect(rows[0]?.map(({ text }) => text).slice(0, 5)).toEqual([
    'TCP',
    '14.0',
    '1.12 (8 %)',
    '4.34 (31 %) Δ',
    '−0.14 (−1 %) Δ',
  ]);
  const { svg } = pictures(characterizationReport(sample())).find(({ figure }) => figure === 'components')!;
  for (const part of ['part-user', 'part-unattributed', 'part-beside'])
    expect(svg.match(new RegExp(`class="part ${part}"`, 'g'))?.length).toBeGreaterThan(2);
});

test('what came out below zero is said beside its bar', () => {
  const c = sample();
  expect(pictures(characterizationReport(c)).find(({ figure }) => figure === 'components')!.svg).not.toContain('(less');
  const [first, ...others] = c.configurations;
  const [own, envoy] = first!.peers;
  const parts = envoy!.breakdown!.parts.map((part) =>
    part.basis === 'by difference' && part.part !== 'http_parse' ? { ...part, usPerRequest: -3.5 } : part,
  );
  const spoiled = { ...first!, peers: [own!, { ...envoy!, breakdown: { ...envoy!.breakdown!, parts } }] };
  const report = characterizationReport({ ...c, configurations: [spoiled, ...others] });
  expect(pictures(report).find(({ figure }) => figure === 'components')!.svg).toContain('>14.0 µs (less 3.50)<');
  expect(renderHtml(report)).toContain('what came out below zero');
});

test('mixes have predictions with errors, and the paper’s Table 3 stands beside them', () => {
  expect(rowsOf(tableOf(sample(), /^Predicted and measured/))[0]).toMatch(
    /^HTTP Mix 1: Rate Limit and IP Tag \| Outrigger \| Rate Limit \+ IP Tag 1 \| 24\.0 \(.*\) \| 24\.3 \(.*\) \| −1\.2 %/,
  );
  const paper = rowsOf(tableOf(sample(), /^The paper’s Table 3/));
  expect(paper).toContain('Rate Limit | ratelimit | 4.2k | – | – | 331.7k | 354.7k | +6.9 % | -8.2%');
});

test('sizes have a line for each proxy, and a plot for each component', () => {
  expect(rowsOf(tableOf(sample(), /^By size/))[0]).toBe(
    'HTTP | 16 KiB | Outrigger | 24.8 [0.52] | 24.1 to 25.5 | 40,323 [1.94] | ',
  );
  const names = pictures(characterizationReport(sample())).map(({ fileName }) => fileName);
  expect(names).toEqual([
    'cpu.svg',
    'throughput-latency.svg',
    'components.svg',
    'filters.svg',
    'additivity.svg',
    'sizes.svg',
    'sizes-outrigger.svg',
    'sizes-envoy.svg',
  ]);
});

test('what was not measured has no section', () => {
  const bare = {
    ...sample(),
    sizes: [],
    configurations: sample().configurations.map((one) => ({
      ...one,
      base: undefined as never,
      parts: [],
      peers: one.peers.map(({ breakdown: _, ...row }) => ({ ...row, levels: [] })),
    })),
  };
  expect(tableOf(bare, /^Ratios to Envoy/).columns).toEqual([
    'configuration',
    'proxy',
    'CPU per request',
    'requests/s',
  ]);
  expect(pictures(characterizationReport(bare)).map(({ figure }) => figure)).toEqual(['cpu']);
  const ids = characterizationReport(bare).sections.map(({ id }) => id);
  expect(ids).toEqual(['beside-envoy', 'paper', 'configurations']);
  expect(renderHtml(characterizationReport(bare))).toContain('No fixed rates were measured');
});

test('the page is one file that asks for nothing, runs nothing, and stays small', () => {
  const html = renderHtml(characterizationReport(sample(), { title: 'A <title> of mine' }));
  expect(html.length).toBeLessThan(2e6);
  expect(html).toContain('<title>A &lt;title&gt; of mine</title>');
  expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`);
  expect(html).not.toMatch(/<script|<link[^>]*href="(?!data:)|(?:src|href)="(?!#|data:)|@import|url\((?!#)/);
});

test.each([
  ['as a run writes them', sample()],
  ['that nobody expects', hostile()],
])('pictures of numbers %s are well-formed and have no coordinate that is not a number', (_, c) => {
  const made = pictures(characterizationReport(c));
  expect(made.length).toBeGreaterThan(4);
  for (const { fileName, svg } of made) {
    expect([fileName, xmlFault(svg)]).toEqual([fileName, undefined]);
    expect([fileName, /="[^"]*(?:NaN|Infinity|undefined)/.exec(svg)?.[0]]).toEqual([fileName, undefined]);
    expect(svg).toMatch(/^<svg xmlns=/);
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).not.toContain('<script');
  }
});

test('Markdown has each figure with its picture, command and tables, and takes no text for markup', () => {
  const markdown = renderMarkdown(characterizationReport(sample()), (figure) =>
    figure === 'cpu' ? 'pictures/c p u.svg' : undefined,
  );
  expect(markdown).toContain('![CPU time per request at saturation](pictures/c%20p%20u.svg)');
  expect(markdown.match(/^### Figure \d+\./gm)).toHaveLength(8);
  expect(markdown.match(/^Reproduce: `outrigger characterize/gm)?.length).toBeGreaterThanOrEqual(8);
  expect(markdown).toContain('| TCP | Outrigger | 0.86 | 1.17 | 0.98 | 0.99 |');
  const spoiled = renderMarkdown(characterizationReport(hostile()));
  expect(spoiled.replaceAll(/`[^`]*`/g, '')).not.toMatch(/(?<!\\)<[a-z]/);
  // A bar within a name would begin another column.
  const rows = renderMarkdown(
    characterizationReport({
      ...sample(),
      configurations: sample().configurations.map((one) => ({ ...one, title: `a|b ${one.name}` })),
    }),
  );
  expect(rows).toContain('| a\\|b tcp | Outrigger | 0.86 |');
});
