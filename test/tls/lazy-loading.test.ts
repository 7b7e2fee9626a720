import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { httpConfig } from '../support/proxy.ts';
import { certificate, inChain, TestPki, transportSocket } from '../support/tls.ts';

const PROXY = join(import.meta.dirname, '..', 'support', 'proxy.ts');

/** Node's own modules that a fresh process with this configuration has loaded. */
function loadedBy(config: string): string[] {
  const script = `
    const { startTestProxy } = await import(${JSON.stringify(PROXY)});
    const proxy = await startTestProxy(${JSON.stringify(config)});
    console.log(JSON.stringify(process.moduleLoadList));
    await proxy[Symbol.asyncDispose]();`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 60_000 });
  if (run.status !== 0) throw new Error(run.stderr);
  return (JSON.parse(run.stdout) as string[]).filter((name) => name.endsWith(' tls'));
}

test('a proxy without TLS loads nothing of it', { timeout: 120_000 }, () => {
  expect(loadedBy(httpConfig(1))).toEqual([]);
});

test('and one with it does', { timeout: 120_000 }, () => {
  const { server } = new TestPki();
  const context = { common_tls_context: { tls_certificates: [certificate(server)] } };
  const config = inChain(httpConfig(1), transportSocket('DownstreamTlsContext', context));
  expect(loadedBy(config)).toEqual(['NativeModule tls']);
});
