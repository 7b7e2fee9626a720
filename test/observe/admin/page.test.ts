import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AdminServer } from '../../../src/observe/admin/index.ts';
import { startAdminServer } from '../../../src/observe/admin/index.ts';
import { createLogger } from '../../../src/observe/log.ts';
import { CHROMIUM, CHROMIUM_FLAGS } from '../../support/browser.ts';
import { fakeStream } from '../fake-stream.ts';
import { FakeView } from './fake-view.ts';
import { playTraffic } from './traffic.ts';

let server: AdminServer;
let view: FakeView;
let profile: string;

beforeEach(async () => {
  view = new FakeView();
  server = await startAdminServer({ host: '127.0.0.1', port: 0, view, log: createLogger({ write: () => {} }) });
  profile = mkdtempSync(join(tmpdir(), 'chromium-'));
});

afterEach(async () => {
  await server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

async function render(...flags: string[]): Promise<{ dom: string; console: string }> {
  const url = `http://127.0.0.1:${server.port}/`;
  const { stdout, stderr } = await promisify(execFile)(
    CHROMIUM as string,
    [
      ...CHROMIUM_FLAGS,
      '--enable-logging=stderr',
      `--user-data-dir=${profile}`,
      '--virtual-time-budget=6000',
      '--dump-dom',
      ...flags,
      url,
    ],
    { maxBuffer: 1e7, timeout: 60_000 },
  );
  return {
    dom: stdout,
    console: stderr
      .split('\n')
      .filter((line) => line.includes('CONSOLE'))
      .join('\n'),
  };
}

describe('the home page', () => {
  it('is one document without other resources, under a policy that allows none', async () => {
    const response = await fetch(`http://127.0.0.1:${server.port}/`);
    const html = await response.text();
    expect(response.headers.get('content-type')).toBe('text/html; charset=UTF-8');
    expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'sha256-/);
    expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(html).toContain('<html lang="en">');
    expect(html).toContain('<noscript>');
  });

  it('shows listeners, chains, clusters, rates and denials in a browser, without errors', {
    timeout: 90_000,
  }, async (context) => {
    if (CHROMIUM === undefined) context.skip('there is no Chromium here');
    playTraffic(view, 300);
    const { dom, console } = await render();
    expect(console).toBe('');
    for (const shown of [
      'LIVE',
      'inbound',
      '127.0.0.1:15006',
      'stamp-request-id',
      'Where the time goes',
      'shop/app',
      '2.1 µs',
      'OS write',
      '/failed_active_hc',
      'no endpoint',
      'rbac_access_denied_matched_policy[no-admin-from-outside]',
      'local_rate_limited',
    ]) {
      expect(dom).toContain(shown);
    }
    expect(dom).toMatch(/Requests<\/dt><dd>\d+<small>\/s/);
    expect(dom).toMatch(/id="trouble" role="alert" hidden/);
  });

  it('shows what clients send as text', { timeout: 90_000 }, async (context) => {
    if (CHROMIUM === undefined) context.skip('there is no Chromium here');
    const info = fakeStream({ fields: { responseCode: 403, responseCodeDetails: '<img src=x onerror=alert(1)>' } });
    (info.request as { path: string }).path = '/<script>document.title="owned"</script>';
    view.denialLog.record(info, 'inbound', 'rbac');
    const { dom } = await render();
    expect(dom).toContain('&lt;script&gt;document.title="owned"&lt;/script&gt;');
    expect(dom).toContain('&lt;img src=x onerror=alert(1)&gt;');
    expect(dom).toContain('<title>Outrigger</title>');
  });
});
