import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AttachedTap } from '../../../src/filter/taps.ts';
import type { AdminServer } from '../../../src/observe/admin/index.ts';
import { startAdminServer } from '../../../src/observe/admin/index.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { Browser, CHROMIUM } from '../../support/browser.ts';
import { FakeView } from './fake-view.ts';

let server: AdminServer;
let view: FakeView;
let profile: string;
let attached: AttachedTap[];

beforeEach(async () => {
  view = new FakeView();
  attached = [];
  view.taps.open('sidecar <1>', {
    attach: (tap) => void attached.push(tap),
    detach: (tap) => void attached.splice(attached.indexOf(tap), 1),
  });
  server = await startAdminServer({ host: '127.0.0.1', port: 0, view, log: createLogger({ write: () => {} }) });
  profile = mkdtempSync(join(tmpdir(), 'chromium-'));
});

afterEach(async () => {
  await server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

const header = (key: string, value: string): object => ({ key, value, raw_value: '' });

function trace(path: string, body: string): string {
  const request = {
    headers: [header(':method', 'POST'), header(':path', path), header('authorization', '[redacted]')],
    trailers: [],
  };
  const response = { headers: [header(':status', '418')], body: { as_string: body, truncated: true }, trailers: [] };
  return `${JSON.stringify({ http_buffered_trace: { request, response } }, undefined, 1)}\n`;
}

it('shows traces live in a browser, as text, and stops', { timeout: 90_000 }, async (context) => {
  if (CHROMIUM === undefined) context.skip('there is no Chromium here');
  await using browser = await Browser.open(`http://127.0.0.1:${server.port}/`, profile);
  const text = (id: string): Promise<unknown> => browser.evaluate(`document.getElementById('${id}')?.textContent`);
  const shown = { timeout: 20_000 };
  await expect.poll(() => text('tap-id'), shown).toBe('sidecar <1>');
  expect(await browser.evaluate("document.getElementById('tap-section').hidden")).toBe(false);

  await browser.evaluate("document.getElementById('tap-path').value = '/a'");
  await browser.evaluate("document.getElementById('tap-toggle').click()");
  await expect.poll(() => attached.length, shown).toBe(1);
  expect(JSON.stringify(attached[0]?.config.match)).toContain('"prefix":"/a"');
  expect(await text('tap-toggle')).toBe('Stop');

  const hostile = '<img src=x onerror="document.title=\'owned\'">';
  attached[0]?.submit(trace(`/a?${hostile}`, `${hostile}\n}\n`));
  attached[0]?.submit(trace('/a/2', 'x'.repeat(2000)));
  await expect.poll(() => text('tap-state'), shown).toBe('2 recorded');
  const rows = String(await text('tap'));
  expect(rows).toContain(`POST /a?${hostile}`);
  expect(rows).toContain('418');
  expect(rows).toContain('authorization: [redacted]');
  expect(rows).toContain(`${'x'.repeat(400)} …`);
  expect(await browser.evaluate("document.querySelectorAll('#tap img').length")).toBe(0);
  expect(await browser.evaluate('document.title')).toBe('Outrigger');

  await browser.evaluate("document.getElementById('tap-toggle').click()");
  await expect.poll(() => text('tap-state'), shown).toBe('stopped');
  await expect.poll(() => attached.length, shown).toBe(0);
});

it('is not shown where no filter can be tapped', { timeout: 90_000 }, async (context) => {
  if (CHROMIUM === undefined) context.skip('there is no Chromium here');
  const other = new FakeView();
  const quiet = await startAdminServer({
    host: '127.0.0.1',
    port: 0,
    view: other,
    log: createLogger({ write: () => {} }),
  });
  try {
    await using browser = await Browser.open(`http://127.0.0.1:${quiet.port}/`, profile);
    await expect
      .poll(() => browser.evaluate("document.getElementById('state')?.textContent"), { timeout: 20_000 })
      .toBe('LIVE');
    expect(await browser.evaluate("document.getElementById('tap-section').hidden")).toBe(true);
  } finally {
    await quiet.close();
  }
});
