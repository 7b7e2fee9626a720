import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RunningCli } from './run-cli.ts';

/** A running proxy and its signals, from the outside. */

let folder: string;
let file: string;
let app: Server;
let proxy: RunningCli | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-serve-'));
  file = join(folder, 'sidecar.yaml');
  app = createServer((request, response) => {
    if (request.url === '/slow') setTimeout(() => response.end('slow'), 500);
    else if (request.url !== '/never') response.end('ok');
  });
  await new Promise<void>((done) => app.listen(0, '127.0.0.1', done));
});

afterEach(async () => {
  await proxy?.kill();
  app.closeAllConnections();
  app.close();
  rmSync(folder, { recursive: true, force: true });
});

function write(port: number, extra = ''): void {
  const { port: appPort } = app.address() as AddressInfo;
  writeFileSync(`${file}.new`, `listen: 127.0.0.1:${port}\napp: 127.0.0.1:${appPort}\n${extra}`);
  renameSync(`${file}.new`, file);
}

/** Only a fixed port stays the same over a reload. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}

async function start(...args: string[]): Promise<{ url: string; cli: RunningCli; port: number }> {
  proxy = new RunningCli(['run', '-c', file, '--admin', '127.0.0.1:0', ...args]);
  const [, port] = await proxy.output(/listening on 127\.0\.0\.1:(\d+)/);
  return { url: `http://127.0.0.1:${port}`, cli: proxy, port: Number(port) };
}

const DENY = 'filters: [{ rbac: { deny: [{ name: all, any: true }] } }]\n';

describe('reload', () => {
  test('SIGHUP takes over a changed file', async () => {
    write(await freePort());
    const { url, cli } = await start();
    expect((await fetch(url)).status).toBe(200);
    write(Number(new URL(url).port), DENY);
    cli.child.kill('SIGHUP');
    await cli.output(/SIGHUP: configuration updated/);
    // The connection that is open is answered by the old file once more, and told to close.
    await expect.poll(async () => (await fetch(url)).status).toBe(403);
  });

  test('--watch takes over a file that was replaced', async () => {
    write(await freePort());
    const { url, cli } = await start('--watch');
    write(Number(new URL(url).port), DENY);
    await cli.output(/file changed: configuration updated/);
    expect((await fetch(url)).status).toBe(403);
  });

  test('a bad file is refused with its problems, and the old configuration goes on serving', async () => {
    write(await freePort());
    const { url, cli } = await start('--watch');
    write(Number(new URL(url).port), 'filtres: []\n');
    await cli.output(/configuration refused, the old one goes on serving/);
    await cli.output(new RegExp(`${file}:3:1 {2}filtres`));
    expect((await fetch(url)).status).toBe(200);
    write(Number(new URL(url).port), DENY);
    await cli.output(/configuration updated/);
  });
});

describe('ending', () => {
  test('SIGTERM lets a running request finish and refuses new connections', async () => {
    write(0);
    const { url, cli, port } = await start();
    const slow = fetch(`${url}/slow`);
    await new Promise((done) => setTimeout(done, 150));
    cli.child.kill('SIGTERM');
    await cli.output(/SIGTERM: draining/);
    await new Promise((done) => setTimeout(done, 50));
    await expect(tryConnect(port)).rejects.toThrow('ECONNREFUSED');
    expect(await (await slow).text()).toBe('slow');
    expect((await cli.ended()).code).toBe(0);
  });

  test('the drain time is the deadline', async () => {
    write(0);
    const { url, cli } = await start('--drain-time', '0.3');
    const never = fetch(`${url}/never`).catch(() => 'cut');
    await new Promise((done) => setTimeout(done, 150));
    const startMs = performance.now();
    cli.child.kill('SIGTERM');
    expect((await cli.ended()).code).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(await never).toBe('cut');
  });

  test('a second signal ends at once', async () => {
    write(0);
    const { url, cli } = await start('--drain-time', '60');
    const never = fetch(`${url}/never`).catch(() => 'cut');
    await new Promise((done) => setTimeout(done, 150));
    cli.child.kill('SIGTERM');
    await cli.output(/draining/);
    await new Promise((done) => setTimeout(done, 400));
    cli.child.kill('SIGTERM');
    expect((await cli.ended()).code).toBe(1);
    expect(await never).toBe('cut');
  });
});

test('SIGUSR1 opens the access log anew, and no debugger', async () => {
  const log = join(folder, 'access.log');
  write(0, `access_log: ${log}\n`);
  const { url, cli } = await start();
  await fetch(`${url}/before`);
  for (let i = 0; i < 300 && !(existsSync(log) && readFileSync(log, 'utf8').includes('/before')); i++) await pause();
  renameSync(log, `${log}.1`);
  cli.child.kill('SIGUSR1');
  await fetch(`${url}/after`);
  for (let i = 0; i < 300 && !(existsSync(log) && readFileSync(log, 'utf8').includes('/after')); i++) await pause();
  expect(readFileSync(`${log}.1`, 'utf8')).toContain('/before');
  expect(readFileSync(log, 'utf8')).toContain('/after');
  expect(cli.stderr).not.toContain('Debugger');
});

test('a port in use ends the start with its address', async () => {
  const { port } = app.address() as AddressInfo;
  write(port);
  proxy = new RunningCli(['run', '-c', file, '--admin', '127.0.0.1:0']);
  const { code, stderr } = await proxy.ended();
  expect(code).toBe(1);
  expect(stderr).toContain(`127.0.0.1:${port}`);
  expect(stderr).toContain('in use');
});

test('--mode validate reads the file and ends', async () => {
  write(0);
  proxy = new RunningCli(['run', '-c', file, '--mode', 'validate']);
  const { code, stderr } = await proxy.ended();
  expect([code, stderr]).toEqual([0, `${file}: OK\n`]);
});

function pause(): Promise<void> {
  return new Promise((done) => setTimeout(done, 20));
}

function tryConnect(port: number): Promise<void> {
  return new Promise((done, fail) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      done();
    });
    socket.on('error', fail);
  });
}
