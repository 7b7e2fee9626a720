import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AdminServer, startAdminServer } from '../../../src/observe/admin/index.ts';
import { createLogger } from '../../../src/observe/log.ts';
import type { ThreadTimes } from '../../../src/observe/probe.ts';
import { Browser, CHROMIUM } from '../../support/browser.ts';
import { FakeView } from './fake-view.ts';

const HOSTILE = '<img src=x onerror="document.title=\'owned\'">';

const TIMES: ThreadTimes = {
  mode: 'sampled',
  every: 200,
  events: 2000,
  timed: 1000,
  disturbed: 0,
  threadCpuNs: 10_000_000,
  probeNs: 1_000_000,
  rowScale: 1.25,
  isWarm: true,
  routes: [
    {
      route: `shop/${HOSTILE}`,
      requests: 500,
      reads: 1000,
      parts: { os_read: 1_000_000, 'filter/rbac': 500_000, [`filter/${HOSTILE}`]: 500_000, os_write: 2_000_000 },
    },
  ],
};

let server: AdminServer;
let profile: string;

beforeEach(async () => {
  const view = new FakeView();
  view.threads.push(TIMES);
  server = await startAdminServer({ host: '127.0.0.1', port: 0, view, log: createLogger({ write: () => {} }) });
  profile = mkdtempSync(join(tmpdir(), 'chromium-'));
});

afterEach(async () => {
  await server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

it('shows each route as one bar in parts, and what nobody accounts for', { timeout: 90_000 }, async (context) => {
  if (CHROMIUM === undefined) context.skip('there is no Chromium here');
  await using browser = await Browser.open(`http://127.0.0.1:${server.port}/`, profile);
  const ask = (code: string): Promise<unknown> => browser.evaluate(code);
  const shown = { timeout: 20_000 };
  await expect.poll(() => ask("document.querySelectorAll('#components .stack').length"), shown).toBe(1);
  const widths = (await ask(
    "[...document.querySelectorAll('#components .stack span')].map((piece) => piece.getBoundingClientRect().width)",
  )) as number[];
  expect(widths).toHaveLength(4);
  // os_write is as long as the three others together.
  const [longest = 0, ...others] = widths.toSorted((a, b) => b - a);
  expect(longest / others.reduce((sum, width) => sum + width)).toBeCloseTo(1, 1);
  const about = String(await ask("document.getElementById('components-about').textContent"));
  // 8 of 10 ms in parts, 1 ms of the probe's.
  expect(about).toContain('not attributed: 10.0 % of the threads’ CPU time, the probe itself: 10.0 %');
  expect(about).toContain('what was timed came to 80 % of that time, and is scaled to it');
  const text = String(await ask("document.getElementById('components').textContent"));
  expect(text).toContain(`shop/${HOSTILE}`);
  expect(text).toContain('8.0 µs per request, 1000 requests');
  expect(await ask("document.querySelectorAll('#components img').length")).toBe(0);
  expect(await ask('document.title')).toBe('Outrigger');
});
