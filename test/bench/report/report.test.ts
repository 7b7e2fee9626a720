import { describe, expect, it } from 'vitest';
import { renderConsole } from '../../../bench/report/console.ts';
import { renderHtml } from '../../../bench/report/html.ts';
import { renderMarkdown } from '../../../bench/report/markdown.ts';
import { figureCell, formatNumber, overallCpuRatio } from '../../../bench/report/tables.ts';
import { figure, SAMPLE } from './sample.ts';

describe('figures', () => {
  it('keep three digits', () => {
    expect([1.234, 12.34, 123.4, 12_345].map(formatNumber)).toEqual(['1.23', '12.3', '123', '12,345']);
    expect(formatNumber(Number.NaN)).toBe('–');
  });

  it('carry the ratio of paired rounds, and a mark when rounds differ', () => {
    expect(figureCell(figure(20, 30, 25), figure(40, 60, 50)).text).toBe('25.0 [0.50] ~');
    expect(figureCell(figure(25, 25, 26)).text).toBe('25.0');
    expect(figureCell(undefined).text).toBe('–');
  });
});

describe('the report on a terminal', () => {
  const text = renderConsole(SAMPLE);

  it('gives every peer its row, and tells the first line of a failure', () => {
    expect(text).toMatch(/^outrigger +25,000 \[2\.00\] ~ +25\.0 \[0\.50\] ~/m);
    expect(text).toMatch(/^envoy +12,500 ~ +50\.0 ~/m);
    expect(text).toMatch(/^haproxy \(failed\) +–/m);
    expect(text).toMatch(/^Failed: http, haproxy: port 80 \| taken$/m);
    expect(text).not.toContain('second line');
  });

  it('marks a saturation at which the proxy had time left', () => {
    expect(text).toMatch(/^nginx +40,000 \[3\.20\] ~? ?! +10\.0 /m);
    expect(text).not.toMatch(/^envoy +12,500 ~ !/m);
  });

  it('marks a latency that the generator may have made', () => {
    expect(text).toMatch(/^outrigger +5,000 \(50 %\).*! generator used 95 % of a core$/m);
  });

  it('has memory, start, warnings and the overall ratio', () => {
    expect(text).toMatch(/^outrigger +50\.0 \[0\.71\] +80\.0 \[0\.80\]$/m);
    expect(text).toMatch(/^outrigger +72\.0 \[0\.79\]$/m);
    expect(text).toContain('Warning: other work was running');
    expect(text).toContain("Outrigger spends 0.50 × Envoy's CPU");
    expect(overallCpuRatio(SAMPLE, 'outrigger')).toBe(0.5);
  });
});

describe('figures of envoy and outrigger alone', () => {
  const text = renderConsole(SAMPLE);

  it('are the memory of idle connections, in all and for each', () => {
    expect(text).toContain('Resident memory with 10,000 idle keep-alive connections');
    expect(text).toMatch(/^outrigger +150 \[0\.75\] +10\.0 \[0\.50\]$/m);
  });

  it('are rate and CPU by workers, the efficiency beside the last', () => {
    expect(text).toMatch(/^outrigger +1 +20,000 \[2\.00\] +20\.0 \[0\.50\] +0\.95 +– +–$/m);
    expect(text).toMatch(/^outrigger +2 +36,000 \[1\.80\] +25\.0 \[0\.63\] +1\.95 +0\.80 \[0\.80\] +0\.90 \[0\.90\]$/m);
    expect(text).toMatch(/^envoy +2 +20,000 +40\.0 +1\.95 +1\.00 +1\.00$/m);
  });

  it('say when cores were too few to compare rates', () => {
    const shared = SAMPLE.scaling.map((result) => ({ ...result, sharesCores: true }));
    expect(text).not.toContain('share them');
    expect(renderConsole({ ...SAMPLE, scaling: shared })).toContain('load and proxy share them: compare CPU');
  });

  it('are in the Markdown and HTML reports too, and their failures are told', () => {
    for (const page of [renderMarkdown(SAMPLE), renderHtml(SAMPLE)]) {
      expect(page).toContain('10,000 idle keep-alive connections');
      expect(page).toContain('Scaling of http');
    }
    const failed = { peer: 'envoy', error: 'no descriptors' } as const;
    const lines = renderConsole({
      ...SAMPLE,
      idle: [failed],
      scaling: [{ ...failed, sharesCores: false, points: [] }],
    });
    expect(lines).toMatch(/^Failed: idle, envoy: no descriptors$/m);
    expect(lines).toMatch(/^Failed: scaling, envoy: no descriptors$/m);
    expect(lines).toMatch(/^envoy \(failed\) +– +– +– +– +– +–$/m);
  });
});

describe('the Markdown report', () => {
  const text = renderMarkdown(SAMPLE);

  it('has a table of ratios and the command of every figure', () => {
    expect(text).toMatch(/^\| http \| outrigger \| 2\.00 \| 0\.50 \| 0\.50 \|/m);
    expect(text).toContain('- http: `npm run bench -- --scenario http`');
  });

  it('breaks no table by what a peer wrote', () => {
    const widths = (title: string) => {
      const table = text.slice(text.indexOf(title)).split('\n\n')[1] ?? '';
      return new Set(table.split('\n').map((line) => line.replaceAll('\\|', '').split('|').length));
    };
    expect(widths('## http: HTTP/1.1 router').size).toBe(1);
  });
});

describe('the HTML report', () => {
  const page = renderHtml(SAMPLE);

  it('needs nothing from elsewhere', () => {
    expect(page).not.toMatch(/<script|<link|src=|href=|url\(|@import/);
  });

  it('escapes what it was given', () => {
    expect(page).toContain('Test &lt;CPU&gt;');
    expect(page).not.toContain('Test <CPU>');
  });

  it('draws every peer that has figures, in each plot', () => {
    expect(page.match(/<rect class="fill outrigger"/g)).toHaveLength(2);
    expect(page.match(/<path class="line outrigger"/g)).toHaveLength(2);
    expect(page).not.toContain('class="fill haproxy"');
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('closes what it opens', () => {
    for (const tag of ['svg', 'table', 'figure', 'section', 'text', 'title', 'tr', 'th', 'td', 'div']) {
      const opened = page.match(new RegExp(`<${tag}[ >]`, 'g'))?.length ?? 0;
      expect(page.match(new RegExp(`</${tag}>`, 'g'))?.length ?? 0, tag).toBe(opened);
    }
  });
});
