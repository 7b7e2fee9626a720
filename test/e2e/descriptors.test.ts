import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { httpConfig } from '../support/proxy.ts';
import { unusedPort } from '../support/proxy-process.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, sleep, startApp } from '../support/story.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', 'bin', 'outrigger');

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test.each([
  { threads: 1, limit: 80 },
  { threads: 2, limit: 80 },
  { threads: 2, limit: 200 },
  { threads: 2, limit: 200, clients: 'later' },
])(
  'with $limit descriptors for $threads thread(s) and more clients than that, the proxy neither dies nor spins, and serves again when they have gone',
  {
    timeout: 60_000,
  },
  async ({ threads, limit, clients: when = 'early' }) => {
    await using app = await startApp((_request, response) => response.end('ok'));
    const port = await unusedPort();
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-descriptors-'));
    const file = join(folder, 'config.yaml');
    writeFileSync(file, httpConfig(app.port).replace('port_value: 0', `port_value: ${port}`));
    const limited = `ulimit -n ${limit}; exec "$0" run -c "$1" --concurrency ${threads} -l info`;
    const child = spawn('sh', ['-c', limited, LAUNCHER, file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    for (const output of [child.stdout, child.stderr]) {
      output.on('data', (part) => {
        log += part;
      });
    }
    onTestFinished(() => {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    });
    await expect
      .poll(
        () =>
          ask(port).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(200);
    // The first thread serves before the others have started.
    if (when === 'later') await expect.poll(() => log, { timeout: 20_000 }).toContain('listening on');
    const clients = await Promise.all(Array.from({ length: 3 * limit }, () => TestClient.connect(port)));
    // An event loop that spins takes every second whole.
    await expect
      .poll(
        async () => {
          const before = cpuMs(child.pid as number);
          await sleep(1000);
          return cpuMs(child.pid as number) - before;
        },
        { timeout: 20_000 },
      )
      .toBeLessThan(500);
    expect(child.exitCode).toBeNull();
    for (const client of clients) client.destroy();
    await expect
      .poll(
        () =>
          ask(port).then(
            ({ status }) => status,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(200);
  },
);
