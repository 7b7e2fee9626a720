import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Characterization } from '../../../src/lab/characterize/characterization.ts';
import { characterizationReport } from '../../../src/lab/report/characterization-report.ts';
import { renderHtml } from '../../../src/lab/report/html.ts';
import { pictures } from '../../../src/lab/report/pictures.ts';
import { Browser, CHROMIUM } from '../../support/browser.ts';
import { hostile } from './hostile.ts';
import { sample } from './sample.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

interface Look {
  readonly width: number;
  readonly scheme: 'light' | 'dark';
  readonly media: 'screen' | 'print';
}

const LOOKS: readonly Look[] = [
  { width: 1200, scheme: 'light', media: 'screen' },
  { width: 1200, scheme: 'dark', media: 'screen' },
  { width: 400, scheme: 'light', media: 'screen' },
  { width: 400, scheme: 'dark', media: 'screen' },
  { width: 700, scheme: 'dark', media: 'print' },
];

async function open(file: string): Promise<Browser> {
  const browser = await Browser.open('about:blank', join(folder, 'profile'));
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await browser.call(`${domain}.enable`);
  await browser.call('Page.navigate', { url: pathToFileURL(file).href });
  await expect.poll(() => browser.events('Page.loadEventFired').length, { timeout: 30_000 }).toBeGreaterThan(0);
  return browser;
}

async function look(browser: Browser, { width, scheme, media }: Look): Promise<void> {
  await browser.call('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: false });
  const features = [{ name: 'prefers-color-scheme', value: scheme }];
  await browser.call('Emulation.setEmulatedMedia', { media, features });
  await browser.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
}

/** In the page: texts of charts that leave their picture or lie upon each other, and whatever makes the page wider. */
const LAYOUT_FAULTS = `(() => {
  const faults = [];
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) faults.push('the page is ' + page.scrollWidth + ' wide, the window ' + page.clientWidth);
  for (const svg of document.querySelectorAll('svg.chart')) {
    const frame = svg.getBoundingClientRect();
    if (frame.width === 0) continue;
    const name = svg.querySelector('title').textContent;
    const texts = [...svg.querySelectorAll('text')].map((text) => ({ text: text.lastChild.data, box: text.getBoundingClientRect() }));
    for (const { text, box } of texts) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push(name + ': "' + text + '" leaves the picture');
    }
    texts.forEach((one, i) => {
      for (const other of texts.slice(i + 1)) {
        const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
        const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
        // The boxes have the font's whole height; letters fill the middle of it.
        if (across > 1 && down > 4) faults.push(name + ': "' + one.text + '" lies upon "' + other.text + '"');
      }
    });
  }
  return faults;
})()`;

/** In the page: texts with less contrast to their ground than WCAG 2 AA asks for, and how many were looked at. */
const CONTRAST = `(() => {
  const luminance = ([r, g, b]) => {
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const groundOf = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  let count = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === '' || element.closest('title, desc, style') || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const ink = luminance(parse(element.closest('svg') ? style.fill : style.color));
    const ground = luminance(groundOf(element));
    const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
    count++;
    if (contrast < 4.5) poor.add(contrast.toFixed(2) + ' ' + element.tagName + '.' + element.getAttribute('class') + ' ' + node.data.slice(0, 40));
  }
  return { count, poor: [...poor] };
})()`;

async function written(characterization: Characterization): Promise<Browser> {
  const file = join(folder, 'report.html');
  writeFileSync(file, renderHtml(characterizationReport(characterization)));
  return open(file);
}

/** Whatever the page complained about or asked for. */
function complaints(browser: Browser): unknown[] {
  const asked = browser.events('Network.requestWillBeSent').map(({ request }) => (request as { url: string }).url);
  return [
    ...browser.events('Runtime.consoleAPICalled'),
    ...browser.events('Runtime.exceptionThrown'),
    ...browser.events('Log.entryAdded'),
    ...asked.filter((url) => !/^(file|data):/.test(url)),
    ...asked.filter((url) => url.startsWith('file:') && !url.endsWith('report.html')),
  ];
}

test('the page fits into windows wide and narrow, in light, dark and print, and can be read', {
  timeout: 120_000,
}, async (context) => {
  if (CHROMIUM === undefined) context.skip('needs Chromium');
  await using browser = await written(sample());
  for (const form of LOOKS) {
    await look(browser, form);
    const name = `${form.width} ${form.scheme} ${form.media}`;
    expect({ [name]: await browser.evaluate(LAYOUT_FAULTS) }).toEqual({ [name]: [] });
    const { count, poor } = (await browser.evaluate(CONTRAST)) as { count: number; poor: string[] };
    expect(count).toBeGreaterThan(300);
    expect({ [name]: poor }).toEqual({ [name]: [] });
    const ground = await browser.evaluate('getComputedStyle(document.body).backgroundColor');
    // On paper nobody can unfold a table.
    const folded = `[...document.querySelectorAll('details table')].filter((table) => !table.checkVisibility({ contentVisibilityAuto: true })).length`;
    expect([name, await browser.evaluate(folded)]).toEqual([name, form.media === 'print' ? 0 : 11]);
    expect(ground).toBe(form.scheme === 'dark' && form.media === 'screen' ? 'rgb(22, 24, 27)' : 'rgb(255, 255, 255)');
  }
  expect(complaints(browser)).toEqual([]);
});

test('each figure has its command, its numbers behind a summary, and a name for those who hear it', {
  timeout: 60_000,
}, async (context) => {
  if (CHROMIUM === undefined) context.skip('needs Chromium');
  await using browser = await written(sample());
  await look(browser, { width: 1200, scheme: 'light', media: 'screen' });
  const figures = (await browser.evaluate(`[...document.querySelectorAll('figure')].map((figure) => ({
    command: figure.querySelector('.command code')?.textContent ?? '',
    rows: figure.querySelectorAll('details tbody tr').length,
    name: document.getElementById(figure.getAttribute('aria-labelledby'))?.textContent ?? '',
    shown: [...figure.querySelectorAll('svg.chart')].filter((svg) => svg.getBoundingClientRect().width > 0).length,
    named: [...figure.querySelectorAll('svg.chart')].every((svg) => svg.getAttribute('aria-labelledby').split(' ').every((id) => document.getElementById(id).textContent.length > 20)),
  }))`)) as { command: string; rows: number; name: string; shown: number; named: boolean }[];
  expect(figures).toHaveLength(8);
  for (const { command, rows, name, shown, named } of figures) {
    expect(command).toMatch(/^outrigger characterize/);
    expect(rows).toBeGreaterThan(1);
    expect(name).toMatch(/^Figure \d+\. /);
    expect(shown).toBe(1);
    expect(named).toBe(true);
  }
  const ids = (await browser.evaluate(`[...document.querySelectorAll('[id]')].map(({ id }) => id)`)) as string[];
  expect(ids.toSorted()).toEqual([...new Set(ids)].sort());
});

test('numbers and names that nobody expects break neither the page nor a picture', {
  timeout: 120_000,
}, async (context) => {
  if (CHROMIUM === undefined) context.skip('needs Chromium');
  await using browser = await written(hostile());
  for (const form of LOOKS) {
    await look(browser, form);
    const name = `${form.width} ${form.scheme} ${form.media}`;
    expect({ [name]: await browser.evaluate(LAYOUT_FAULTS) }).toEqual({ [name]: [] });
  }
  expect(await browser.evaluate(`document.querySelectorAll('script, img, iframe, b').length`)).toBe(0);
  expect(complaints(browser)).toEqual([]);
});

test('a picture of its own has a ground and text that can be read in both colour schemes', {
  timeout: 60_000,
}, async (context) => {
  if (CHROMIUM === undefined) context.skip('needs Chromium');
  const [first] = pictures(characterizationReport(sample()));
  const file = join(folder, 'report.html.svg');
  writeFileSync(file, first!.svg);
  await using browser = await open(file);
  for (const [scheme, ground, ink] of [
    ['light', 'rgb(255, 255, 255)', 'rgb(27, 27, 27)'],
    ['dark', 'rgb(22, 24, 27)', 'rgb(232, 232, 232)'],
  ] as const) {
    await look(browser, { width: 900, scheme, media: 'screen' });
    expect(
      await browser.evaluate(`getComputedStyle(document.querySelector('rect.ground[height]')).fill`),
    ).toBeDefined();
    expect(await browser.evaluate(`getComputedStyle(document.querySelector('svg > rect.ground')).fill`)).toBe(ground);
    expect(await browser.evaluate(`getComputedStyle(document.querySelector('text.label')).fill`)).toBe(ink);
  }
});
