import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { httpConfig } from '../../support/proxy.ts';
import { QUICK } from './checks.ts';

const PROXY = join(import.meta.dirname, '..', '..', 'support', 'proxy.ts');

/** Files of src/upstream/health that a fresh process with this configuration has loaded. */
function loadedBy(cluster: string): string[] {
  const script = `
    const { registerHooks } = await import('node:module');
    const loaded = [];
    registerHooks({
      load(url, context, next) {
        loaded.push(url);
        return next(url, context);
      },
    });
    const { startTestProxy } = await import(${JSON.stringify(PROXY)});
    const proxy = await startTestProxy(${JSON.stringify(httpConfig(1, { cluster }))});
    console.log(JSON.stringify(loaded));
    await proxy[Symbol.asyncDispose]();`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 60_000 });
  if (run.status !== 0) throw new Error(run.stderr);
  const urls = JSON.parse(run.stdout) as string[];
  expect(urls.some((url) => url.includes('/src/upstream/cluster.ts'))).toBe(true);
  return urls.flatMap((url) => /\/upstream\/health\/(.*)\.ts/.exec(url)?.[1] ?? []);
}

const checks = (kind: object): string => `health_checks: [${JSON.stringify({ ...QUICK, ...kind })}]`;

test('without health checks, nothing of them is loaded', { timeout: 120_000 }, () => {
  expect(loadedBy('')).toEqual([]);
});

test('a kind of check loads what it needs, and nothing of the others', { timeout: 120_000 }, () => {
  const tcp = loadedBy(checks({ tcp_health_check: {} }));
  expect(tcp).toContain('tcp-probe');
  expect(tcp.filter((name) => /^(http|grpc)/.test(name))).toEqual([]);
  const http = loadedBy(checks({ http_health_check: { path: '/' } }));
  expect(http).toContain('http1-probe-client');
  expect(http.filter((name) => /^(tcp|grpc|http2)/.test(name))).toEqual([]);
});
