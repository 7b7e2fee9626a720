import { expect, test } from 'vitest';
import type { Characterization, LevelFigures, PeerCharacter } from '../../../src/lab/characterize/characterization.ts';
import {
  characterizationMarkdown,
  characterizationTables,
  characterizationText,
} from '../../../src/lab/characterize/characterization-text.ts';
import type { TextTable } from '../../../src/lab/characterize/text-table.ts';
import { breakdown, characterization, configuration, figure, paperLike, peerOf, sizes } from './characterization.ts';

function level(share: number, p50: number, rest: Partial<LevelFigures> = {}): LevelFigures {
  return {
    level: share,
    loop: 'open',
    rate: 1000,
    cpuPercent: figure(100 * share),
    cpuMicros: figure(20),
    achievedRate: figure(1000),
    p50: figure(p50),
    p90: figure(2 * p50),
    p99: figure(3 * p50),
    errors: 0,
    unanswered: 0,
    generatorLimits: [],
    ...rest,
  };
}

/** Two peers, everything measured. */
function whole(): Characterization {
  const peers = (ours: number, theirs: number, filters: number): PeerCharacter[] => [
    peerOf('outrigger', [ours, ours], {
      requestsPerSecond: figure(1e6 / ours),
      cpuPercent: 99,
      levels: [level(0.2, 100), level(1, 400, { loop: 'closed' })],
      breakdown: breakdown(ours, { http_parse: 50, os_write: 30, runtime: 10, unattributed: 5, 'filter/x': filters }),
    }),
    peerOf('envoy', [theirs, theirs], {
      requestsPerSecond: figure(1e6 / theirs),
      levels: [level(0.2, 200, { errors: 2, generatorLimits: ['the pacer was late'] })],
      breakdown: breakdown(theirs, { os_write: 30, user: 70 }),
    }),
  ];
  return characterization(
    [
      configuration('tcp', peers(10, 15, 0), { title: 'TCP', protocol: 'tcp' }),
      configuration('http', peers(30, 60, 0), { title: 'HTTP' }),
      configuration('ratelimit', peers(31, 62, 5), { base: 'http' }),
      configuration('iptag', peers(32, 64, 5), { base: 'http' }),
      configuration('iprate_iptag', peers(33, 66, 9), { base: 'http', parts: ['ratelimit', 'iptag'] }),
      configuration('sql', [], { title: 'SQL', open: 'follows with the SQL filters', base: 'tcp' }),
    ],
    {
      sizes: sizes('http', 'outrigger', { 16384: [40], 65536: [64], 1048576: [544] }),
      peers: ['outrigger', 'envoy'].map((name) => ({ name, version: '1', description: 'release' })),
    },
  );
}

function tableOf(c: Characterization, title: RegExp): TextTable {
  const found = characterizationTables(c).find((table) => title.test(table.title));
  if (found === undefined) throw new Error(`no table ${title}`);
  return found;
}

function rowOf(table: TextTable, ...words: string[]): Record<string, string> {
  const row = table.rows.find((cells) => words.every((word, i) => cells[i]?.startsWith(word)));
  if (row === undefined) throw new Error(`no row ${words.join(' ')}`);
  return Object.fromEntries(table.columns.map((name, i) => [name, row[i]!]).toReversed());
}

test('configurations: rate, CPU per request and the ratio to Envoy; what is open says why', () => {
  const table = tableOf(whole(), /saturation/);
  expect(rowOf(table, 'http (HTTP)', 'outrigger')).toMatchObject({
    'requests/s': '33,333 [2.00]',
    'CPU µs/request': '30.0 [0.50]',
    CPU: '99.0 %',
  });
  expect(rowOf(table, 'http (HTTP)', 'envoy')['CPU µs/request']).toBe('60.0');
  expect(rowOf(table, 'sql (SQL)').marks).toBe('open: follows with the SQL filters');
});

test('latency by level, with what was wrong there', () => {
  const table = tableOf(whole(), /^Latency/);
  expect(table.columns).toEqual([
    'configuration',
    'peer',
    '20 %: rate',
    'p50',
    'p99',
    '100 %: rate',
    'p50',
    'p99',
    'marks',
  ]);
  expect(table.rows.find(([name, peer]) => name === 'iptag' && peer === 'outrigger')).toEqual([
    'iptag',
    'outrigger',
    '1,000',
    '100 [0.50]',
    '300 [0.50]',
    '1,000',
    '400',
    '1,200',
    '100 %: closed loop',
  ]);
  expect(rowOf(table, 'iptag', 'envoy').marks).toBe('20 %: 2 requests failed, the pacer was late');
});

test('components by the rows of Table 2, with what is in none of them and what nobody knows', () => {
  const table = tableOf(whole(), /^Components of outrigger/);
  expect(rowOf(table, 'HTTP Protocol Parse').ratelimit).toBe('15.5 (50.0 %)');
  expect(rowOf(table, 'Sidecar Filter').ratelimit).toBe('1.55 (5.0 %)');
  expect(rowOf(table, 'Not in Table 2').ratelimit).toBe('3.10 (10.0 %)');
  expect(rowOf(table, 'Unattributed').ratelimit).toBe('1.55 (5.0 %)');
  expect(rowOf(table, 'all').ratelimit).toBe('31.0');
  expect(rowOf(tableOf(whole(), /^Components of envoy/), 'User space, not taken apart').http).toBe('42.0 (70.0 %)');
  // Shown where there is none, too.
  expect(rowOf(tableOf(whole(), /^Components of envoy/), 'Unattributed').http).toBe('–');
});

test('many configurations make several tables of components', () => {
  const titles = characterizationTables(whole()).map(({ title }) => title);
  expect(titles.filter((title) => title.startsWith('Components of outrigger'))).toHaveLength(1);
  const more = whole();
  const doubled = { ...more, configurations: [...more.configurations, ...more.configurations] };
  const names = characterizationTables(doubled).map(({ title }) => title);
  expect(names.filter((title) => title.startsWith('Components of outrigger'))).toHaveLength(2);
});

test('Table 3: filters and totals, actual and estimated, beside the paper’s own', () => {
  const table = tableOf(whole(), /^Filters of outrigger/);
  const mix = table.rows.find(([name]) => name === 'iprate_iptag')!;
  // 33 measured, 30 + 1 + 2 predicted; the paper has 12.9k and 12.68k cycles, 373.9k and 363.4k.
  expect(mix.slice(1, 3)).toEqual(['3.00', '3.00 (0.0 %)']);
  expect(mix.slice(5, 7)).toEqual(['33.0', '33.0 (0.0 %)']);
  expect(mix.slice(7, 11)).toEqual(['5.38', '5.28 (−1.7 %)', '156', '151 (−2.8 %)']);
  const single = table.rows.find(([name]) => name === 'ratelimit')!;
  expect(single[1]).toBe('1.00 [+3.3 %]');
  expect(single[3]).toBe('1.55 ± 0.69');
  expect(single[6]).toBe('31.6 (+1.8 %)');
  expect(single.slice(7, 11)).toEqual(['1.73', '–', '138', '148 (+6.9 %)']);
  expect(table.rows.find(([name]) => name!.startsWith('sql'))!.at(-1)).toBe(
    'sql is open: follows with the SQL filters',
  );
});

test('message sizes, and the line through them', () => {
  const row = rowOf(tableOf(whole(), /^Message sizes/), 'http', 'outrigger');
  expect(row).toMatchObject({
    '16 KiB': '40.0',
    '1 MiB': '544',
    'a + b·KiB': '32.0 + 0.50·KiB',
    'R²': '1.0000',
    marks: '',
  });
});

test('the paper’s statements stand beside what was found', () => {
  const { rows } = tableOf(whole(), /^What the paper says/);
  const found = rows.map(([text, , peer, here]) => [text!.split(' ').slice(0, 2).join(' '), peer, here]);
  expect(found).toContainEqual(['throughput decreases', 'outrigger', '3.00×']);
  expect(found).toContainEqual(['throughput decreases', 'envoy', '4.00×']);
  expect(found).toContainEqual(['filters contribute', 'outrigger', expect.stringMatching(/^5\.0 % to 8\.7 %/)]);
  // Its user space is not taken apart: nobody knows the share of its filters.
  expect(found).not.toContainEqual(['filters contribute', 'envoy', expect.anything()]);
  expect(found).toContainEqual(['the performance', 'envoy', 'iprate_iptag 0.0 %: 1 of 1 within 10 %']);
});

test('write calls have a place among the components, and counters are there where the processor counts', () => {
  const [statement, , peer, here] = tableOf(whole(), /^What the paper says/).rows.find(([text]) =>
    /^write/.test(text!),
  )!;
  expect([statement, peer, here]).toEqual([
    expect.stringContaining('come next with HTTP'),
    'outrigger',
    'http: place 2 with 31.6 %; tcp: place 2 with 31.6 %',
  ]);
  const counting = (ipc: number, mpki: number): PeerCharacter => {
    const profile = breakdown(30, { os_write: 100 });
    const counters = { ...profile.counters, kind: 'hardware' as const, derived: { ipc, l1i_mpki: mpki } };
    return peerOf('outrigger', [30], { breakdown: { ...profile, counters } });
  };
  const { rows } = tableOf(
    characterization([
      configuration('tcp', [counting(0.8, 50)], { protocol: 'tcp' }),
      configuration('http', [counting(0.55, 70)]),
      configuration('iptag', [counting(0.5, 75)], { base: 'http' }),
    ]),
    /^What the paper says/,
  );
  const found = rows.map(([text, , , said]) => `${text!.split(' ').at(-2)}: ${said}`);
  expect(found).toContain('TCP: 0.80 instructions per cycle');
  expect(found).toContain('HTTP: 0.50 to 0.55 instructions per cycle');
  expect(found).toContain('thousand: 50.0 to 75.0 per thousand instructions');
});

test('each table is followed by the command that makes it again', () => {
  const text = characterizationText(whole());
  const tables = characterizationTables(whole());
  expect(text.match(/^Again: outrigger characterize/gm)).toHaveLength(tables.length);
  const markdown = characterizationMarkdown(whole());
  expect(markdown.match(/^Again: `outrigger characterize/gm)).toHaveLength(tables.length);
  expect(markdown).toContain('- iptag: `outrigger characterize --configuration iptag`');
});

test('rows of a Markdown table have as many cells as its head, whatever the texts hold', () => {
  const evil = 'a | b\n<script>`x`</script> *~_[link](y)';
  const c = characterization(
    [configuration(evil, [{ peer: evil, errors: 1, levels: [], error: evil }], { base: evil })],
    {
      command: 'x `y` | z',
      warnings: [evil],
    },
  );
  const markdown = characterizationMarkdown(c);
  const cells = (line: string): number => line.replaceAll('\\|', '').split('|').length;
  const lines = markdown.split('\n').filter((line) => line.startsWith('|'));
  expect(lines.length).toBeGreaterThan(3);
  let width = 0;
  for (const [i, line] of markdown.split('\n').entries()) {
    if (!line.startsWith('|')) continue;
    if (!markdown.split('\n')[i - 1]!.startsWith('|')) width = cells(line);
    expect(cells(line), line).toBe(width);
  }
  const prose = markdown.replaceAll(/(?<!\\)(`+)(?:(?!\1).)+\1/g, '');
  expect(prose).not.toMatch(/(?<!\\)<script>/);
  expect(prose).not.toMatch(/^<script>/m);
  expect(markdown).toContain('``x `y` | z``');
});

test.each<[string, Characterization]>([
  ['nothing measured', characterization([])],
  ['only open rows', characterization([configuration('sql', [], { open: 'later' })])],
  [
    'a peer that failed',
    characterization([configuration('http', [{ peer: 'outrigger', errors: 0, levels: [], error: 'gone' }])]),
  ],
  [
    'NaN everywhere',
    characterization([
      configuration('http', [
        peerOf('outrigger', [Number.NaN], { levels: [level(0.2, Number.NaN)], breakdown: breakdown(Number.NaN, {}) }),
      ]),
    ]),
  ],
  [
    'null for NaN',
    JSON.parse(
      JSON.stringify(
        characterization([
          configuration('http', [peerOf('outrigger', [Number.NaN], { requestsPerSecond: figure(Number.NaN) })]),
        ]),
      ),
    ),
  ],
  [
    'a base that is not there',
    characterization([configuration('a', [peerOf('outrigger', [1])], { base: 'http', parts: ['b', 'c'] })]),
  ],
  [
    'a base that is itself',
    characterization([configuration('a', [peerOf('outrigger', [1])], { base: 'a', parts: ['a'] })]),
  ],
  [
    'a part that no component has',
    characterization([
      configuration('a', [
        peerOf('outrigger', [1], {
          breakdown: {
            ...breakdown(1, { os_read: 1 }),
            parts: [
              {
                part: 'magic',
                title: 'Magic',
                table2: 'Magic',
                meshInsight: null,
                basis: 'symbols',
                share: 1,
                usPerRequest: 1,
              },
            ],
          },
        }),
      ]),
    ]),
  ],
])('%s is written without a number that nobody measured', (_, c) => {
  for (const text of [characterizationText(c), characterizationMarkdown(c)]) {
    expect(text).not.toMatch(/NaN|undefined|Infinity|null|\[object/);
    expect(text).toContain('Configurations at saturation');
  }
});

test('a failure is told in its row', () => {
  const c = characterization([
    configuration('http', [{ peer: 'outrigger', errors: 4, levels: [], error: 'did not start' }]),
  ]);
  expect(rowOf(tableOf(c, /saturation/), 'http', 'outrigger').marks).toBe('4 requests failed; did not start');
});

test('figures whose rounds lie far apart are marked', () => {
  const c = paperLike();
  const wild = configuration('http', [peerOf('outrigger', [80, 100, 130])]);
  const row = rowOf(tableOf({ ...c, configurations: [wild] }, /saturation/), 'http', 'outrigger');
  expect(row['CPU µs/request']).toBe('100 ~');
});
