import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fourProtocolConfig } from '../support/four-protocol-config.ts';
import { startEchoApp, startProtocolLoad } from '../support/protocol-load.ts';
import { unusedPort } from '../support/proxy-process.ts';
import { RunProcess } from '../support/run-process.ts';

/** The whole count is asked for by CI; every run does some. */
const isFull = process.env.OUTRIGGER_HOT_RESTART_FULL === '1';
const RELOADS = isFull ? 50 : 6;
const RESTARTS = isFull ? 10 : 4;

/** How many threads the processes have, one after the other, and again from the first. */
const THREADS = [1, 2, 2, 3];

test(`no request fails over ${RELOADS} reloads and ${RESTARTS} hot restarts under load of all protocols`, {
  timeout: isFull ? 240_000 : 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-restarts-'));
  const ports = {
    http: await unusedPort(),
    steady: await unusedPort(),
    tcp: await unusedPort(),
    admin: await unusedPort(),
  };
  await using app = await startEchoApp();
  const file = join(folder, 'envoy.yaml');
  writeFileSync(file, fourProtocolConfig(ports, app));
  const processes: RunProcess[] = [];
  const start = (n: number): RunProcess => {
    const concurrency = String(THREADS[n % THREADS.length]);
    const flags = ['--hot-restart', join(folder, 'restart.sock'), '--concurrency', concurrency];
    // Long enough for a client that a busy machine keeps waiting: what is left at the deadline is cut.
    flags.push('--drain-time', '10', '--drain-strategy', n % 2 === 0 ? 'gradual' : 'immediate');
    const started = new RunProcess(['-c', file, ...flags]);
    processes.push(started);
    return started;
  };
  try {
    let serving = start(0);
    await serving.until('tcp listening');
    const load = await startProtocolLoad(ports);
    let reloads = 0;
    for (let n = 1; n <= RESTARTS; n++) {
      serving = start(n);
      await serving.until('took over');
      for (let before = 0; reloads < (RELOADS * n) / RESTARTS; before++) {
        writeFileSync(file, fourProtocolConfig(ports, app, ++reloads));
        serving.child.kill('SIGHUP');
        await serving.until('configuration updated', before + 1);
      }
    }
    await Promise.all(Object.values(load).map((one) => one.stop()));
    expect(Object.fromEntries(Object.entries(load).map(([name, { failures }]) => [name, failures]))).toEqual(
      Object.fromEntries(Object.keys(load).map((name) => [name, []])),
    );
    for (const { ok } of Object.values(load)) expect(ok).toBeGreaterThan(20);
    // All but the last end by themselves, once nobody uses them.
    for (const old of processes.slice(0, -1)) expect(await old.ended()).toBe(0);
    // Counters go on from process to process: none of them has reset a stream.
    const stats = await (await fetch(`http://127.0.0.1:${ports.admin}/stats?filter=`)).text();
    expect(stats).not.toMatch(/^http2\.tx_reset: [1-9]/m);
    const requests = Number(/^http\.changing\.downstream_rq_total: (\d+)$/m.exec(stats)?.[1]);
    expect(requests).toBeGreaterThanOrEqual((load['HTTP/1.1']?.ok ?? 0) + (load['HTTP/2']?.ok ?? 0));
    console.log(
      `${Object.entries(load)
        .map(([name, { ok }]) => `${name}: ${ok}`)
        .join(', ')}, no failure`,
    );
    serving.child.kill('SIGTERM');
    expect(await serving.ended()).toBe(0);
  } finally {
    for (const one of processes) await one.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});
