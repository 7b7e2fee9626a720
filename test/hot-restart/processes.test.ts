import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fromPredecessor, HOT_RESTART_VERSION, send } from '../../src/hot-restart/messages.ts';
import { closeAll, DescriptorChannel, MAX_DESCRIPTORS } from '../../src/kernel/descriptor-passing.ts';
import { libc } from '../../src/kernel/libc.ts';
import { unusedPort } from '../support/proxy-process.ts';
import { RunProcess } from '../support/run-process.ts';
import { ask } from '../support/story.ts';

// Each test starts several processes.
vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let file: string;
let place: string;
let pipe: string;
let port: number;
let admin: number;
const processes: RunProcess[] = [];

beforeEach(async (context) => {
  if (libc() === undefined) return context.skip('needs Linux and node:ffi');
  folder = mkdtempSync(join(tmpdir(), 'outrigger-hot-'));
  file = join(folder, 'envoy.yaml');
  place = join(folder, 'restart.sock');
  pipe = join(folder, 'proxy.sock');
  port = await unusedPort();
  admin = await unusedPort();
  writeFileSync(file, config('one'));
});

afterEach(async () => {
  for (const one of processes.splice(0)) await one.kill();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** A port and a pipe that answer with a text. */
function config(text: string): string {
  const listener = (name: string, address: string): string => `
  - name: ${name}
    address: ${address}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: "${text}" } } }]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${admin} } } }
static_resources:
  listeners:${listener('port', `{ socket_address: { address: 127.0.0.1, port_value: ${port} } }`)}${listener('pipe', `{ pipe: { path: ${pipe} } }`)}
`;
}

function start(...args: string[]): RunProcess {
  const started = new RunProcess(['-c', file, '--hot-restart', place, '--drain-time', '1', ...args]);
  processes.push(started);
  return started;
}

async function serving(...args: string[]): Promise<RunProcess> {
  const started = start(...args);
  await started.until('pipe listening');
  return started;
}

async function answer(): Promise<string> {
  return (await ask(port)).body;
}

/** Asks the running process for its sockets, as a new one does. */
async function beginTakeover(): Promise<{ channel: DescriptorChannel; descriptors: readonly number[] }> {
  const socket = net.connect({ path: place }).pause();
  await new Promise<void>((done, fail) => socket.once('connect', () => done()).once('error', fail));
  const channel = new DescriptorChannel(socket);
  await send(channel, { type: 'take-over', version: HOT_RESTART_VERSION, pid: process.pid });
  const answered = await fromPredecessor(channel, 5000);
  if (answered?.message.type !== 'sockets') throw new Error(JSON.stringify(answered?.message));
  const sockets = await fromPredecessor(channel, 5000, MAX_DESCRIPTORS);
  return { channel, descriptors: sockets?.descriptors ?? [] };
}

/** The same, as soon as the process has found out that the one before is gone. */
async function beginTakeoverOnceFree(): ReturnType<typeof beginTakeover> {
  for (;;) {
    try {
      return await beginTakeover();
    } catch (error) {
      if (!(error as Error).message.includes('is taking over already')) throw error;
    }
  }
}

function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

test('a new process takes over port, pipe, admin server and counters; the old one ends', async () => {
  const old = await serving();
  expect(await answer()).toBe('one');
  writeFileSync(file, config('two'));
  const next = await serving();
  expect(await old.ended()).toBe(0);
  expect(await answer()).toBe('two');
  expect((await ask(0, { socketPath: pipe })).body).toBe('two');
  const stats = (await ask(admin, { path: '/stats' })).body;
  expect(stats).toMatch(/^http\.in\.downstream_rq_total: 3$/m);
  expect(stats).toMatch(/^server\.hot_restart_generation: 2$/m);
  expect((await ask(admin, { path: '/hot_restart_version' })).body).toBe(`${HOT_RESTART_VERSION}\n`);
  await next.kill('SIGTERM');
  expect(next.exitCode).toBe(0);
  expect(readdirSync(folder).sort()).toEqual(['envoy.yaml', 'restart.sock.lock']);
});

test('the path of a pipe can be connected to at every moment', async () => {
  await serving();
  let isOver = false;
  const failures: string[] = [];
  let asked = 0;
  const asking = (async () => {
    while (!isOver) {
      await ask(0, { socketPath: pipe }).then(
        () => asked++,
        (error: Error) => failures.push(error.message),
      );
    }
  })();
  await serving();
  await serving('--concurrency', '2');
  await serving();
  isOver = true;
  await asking;
  expect(failures).toEqual([]);
  expect(asked).toBeGreaterThan(20);
});

test('a new process whose configuration does not load leaves the old one alone', async () => {
  const old = await serving();
  writeFileSync(file, config('two').replace('domains', 'domain'));
  const wrong = start();
  expect(await wrong.ended()).toBe(2);
  writeFileSync(file, `${config('two')}    listener_filters: [{ name: unknown }]`);
  expect(await start().ended()).not.toBe(0);
  expect(await answer()).toBe('one');
  expect((await ask(0, { socketPath: pipe })).body).toBe('one');
  expect(old.said).not.toContain('has taken over');
});

test('a new process that cannot bind what is new leaves the old one alone', async () => {
  const old = await serving();
  const taken = net.createServer();
  await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done));
  const { port: takenPort } = taken.address() as net.AddressInfo;
  writeFileSync(
    file,
    config('two').replace('{ pipe: ', `{ socket_address: { address: 127.0.0.1, port_value: ${takenPort} } } #`),
  );
  const wrong = start('--concurrency', '2');
  expect(await wrong.ended()).toBe(1);
  expect(wrong.said).toContain('in use');
  await old.until('did not take over');
  expect(await answer()).toBe('one');
  taken.close();
});

test('processes that die half way leave the old one serving, reloading and without their descriptors', async () => {
  const old = await serving();
  const half = await beginTakeover();
  expect(half.descriptors).toHaveLength(3);
  closeAll(half.descriptors);
  half.channel.close();
  await old.until('did not take over');
  const before = openDescriptors(old.pid);
  for (let i = 0; i < 20; i++) {
    const { channel, descriptors } = await beginTakeoverOnceFree();
    if (i % 2 === 0) await send(channel, { type: 'prepared' });
    closeAll(descriptors);
    channel.close();
  }
  await expect.poll(() => openDescriptors(old.pid)).toBeLessThanOrEqual(before);
  expect(await answer()).toBe('one');
  writeFileSync(file, config('three'));
  old.child.kill('SIGHUP');
  await expect.poll(answer).toBe('three');
});

test('a reload that comes during a takeover waits for its end', async () => {
  const old = await serving();
  const { channel, descriptors } = await beginTakeover();
  writeFileSync(file, config('three'));
  old.child.kill('SIGHUP');
  expect(await answer()).toBe('one');
  closeAll(descriptors);
  channel.close();
  await expect.poll(answer, { timeout: 10_000 }).toBe('three');
});

test('new processes that come at once take over one after the other', async () => {
  const old = await serving();
  const [one, two] = [start(), start()];
  await Promise.all([one.until('took over'), two.until('took over')]);
  expect(await old.ended()).toBe(0);
  const first = one.said.includes(`from process ${old.pid} `) ? one : two;
  expect(await first.ended()).toBe(0);
  expect([one, two].filter((process) => process.isRunning)).toHaveLength(1);
  expect(await answer()).toBe('one');
});

test('an old process that is frozen is named, and serves on when it thaws', async () => {
  const old = await serving();
  old.child.kill('SIGSTOP');
  const next = start();
  expect(await next.ended()).toBe(1);
  expect(next.said).toContain(`process ${old.pid}, which serves, does not answer`);
  old.child.kill('SIGCONT');
  expect(await answer()).toBe('one');
  await serving();
  expect(await old.ended()).toBe(0);
});

test('without the consent of the process that serves, a new one ends and has served nobody', async () => {
  const server = net.createServer({ pauseOnConnect: true }, async (socket) => {
    const channel = new DescriptorChannel(socket);
    const limits = { timeoutMs: 20_000, maxPayloadBytes: 10_000, maxDescriptors: 0 };
    await channel.receive(limits);
    const before = { pid: process.pid, epoch: 0, generation: 1, firstStartedAtEpochMs: 0, sockets: [] };
    await send(channel, { type: 'sockets', ...before });
    // Prepared, it asks; nobody answers.
    await channel.receive(limits);
  });
  await new Promise<void>((done) => server.listen(place, done));
  const next = start();
  expect(await next.ended()).toBe(1);
  expect(next.said).toContain('does not answer');
  await expect(answer()).rejects.toThrow('ECONNREFUSED');
  server.close();
});

test('garbage, silence and strangers at the restart socket change nothing', async () => {
  const old = await serving();
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    '\0'.repeat(64),
    '\xff'.repeat(64),
    '{"type":"open"}',
    '\x10\0\0\0\0\0\0\0{"type":"open"} ',
  ]) {
    const socket = net.connect({ path: place });
    socket.on('error', () => {});
    socket.write(Buffer.from(bytes, 'latin1'));
    socket.end();
    await new Promise((done) => socket.once('close', done));
  }
  const silent = net.connect({ path: place });
  silent.on('error', () => {});
  const odd = net.connect({ path: place }).pause();
  await new Promise<void>((done) => odd.once('connect', () => done()));
  const channel = new DescriptorChannel(odd);
  await send(channel, { type: 'take-over', version: '0', pid: 1 });
  expect((await fromPredecessor(channel, 5000))?.message).toMatchObject({ type: 'refused' });
  channel.close();
  silent.destroy();
  expect(await answer()).toBe('one');
  await serving();
  expect(await old.ended()).toBe(0);
});

test('a process of another user gets no descriptor, even where the socket’s mode lets it connect', async (context) => {
  if (process.getuid?.() !== 0) return context.skip('needs root');
  const old = await serving();
  chmodSync(folder, 0o755);
  chmodSync(place, 0o777);
  const script = `
    const socket = require('net').connect(${JSON.stringify(place)});
    let got = 0;
    socket.on('data', (chunk) => { got += chunk.length; });
    socket.on('error', () => {});
    socket.on('close', () => console.log('got ' + got));
    const text = JSON.stringify({ type: 'take-over', version: '${HOT_RESTART_VERSION}', pid: process.pid });
    const head = Buffer.alloc(8);
    head.writeUInt32LE(text.length);
    socket.write(Buffer.concat([head, Buffer.from(text)]));`;
  const stranger = spawnSync(process.execPath, ['-e', script], { uid: 65534, encoding: 'utf8', cwd: '/' });
  expect(stranger.stdout.trim()).toBe('got 0');
  await old.until('belongs to another user (65534)');
  expect(await answer()).toBe('one');
});

test('a folder that others may write is no place for a restart socket', async () => {
  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const refused = new RunProcess(['-c', file, '--hot-restart', join(open, 'restart.sock')]);
  processes.push(refused);
  expect(await refused.ended()).toBe(1);
  expect(refused.said).toContain('can be written by others');
});

test('SIGTERM ends a process that finishes what runs, and its client is not kept waiting', async () => {
  const old = await serving();
  const client = net.connect(port, '127.0.0.1');
  client.on('error', () => {});
  await new Promise<void>((done) => client.once('connect', () => done()));
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await new Promise((done) => client.once('data', done));
  await serving('--drain-time', '3600');
  await old.until('has taken over');
  old.child.kill('SIGTERM');
  expect(await old.ended()).toBe(0);
  expect(await answer()).toBe('one');
  client.destroy();
});

test('after kill -9 the next start binds everything again at once, and takes over from nobody', async () => {
  const first = await serving('--concurrency', '2');
  // A connection that the server ends leaves its port in TIME_WAIT.
  const client = net.connect(port, '127.0.0.1');
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await new Promise((done) => client.once('data', done));
  await first.kill('SIGKILL');
  expect(existsSync(pipe) && existsSync(place)).toBe(true);
  const second = await serving('--concurrency', '2');
  expect(second.said).not.toContain('took over');
  expect(await answer()).toBe('one');
  expect((await ask(0, { socketPath: pipe })).body).toBe('one');
  // Memory that threads share has no name that a killed process could leave behind.
  expect(readFileSync(`/proc/${second.pid}/maps`, 'latin1')).not.toContain('/dev/shm');
  await second.kill('SIGTERM');
  expect(existsSync(pipe) || existsSync(place)).toBe(false);
});

test('Envoy’s options: epochs follow each other at the place of their base id', async () => {
  const environment = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = folder;
  try {
    const run = (...args: string[]): RunProcess => {
      const started = new RunProcess(['-c', file, '--base-id', '7', '--drain-time-s', '1', ...args]);
      processes.push(started);
      return started;
    };
    const early = run('--restart-epoch', '1');
    expect(await early.ended()).toBe(1);
    expect(early.said).toContain('no process serves');
    const first = run();
    await first.until('pipe listening');
    const twice = run('--restart-epoch', '0');
    expect(await twice.ended()).toBe(1);
    const jump = run('--restart-epoch', '2');
    expect(await jump.ended()).toBe(1);
    expect(jump.said).toContain('the next one is 1, not 2');
    const next = run('--restart-epoch', '1', '--parent-shutdown-time-s', '60', '--drain-strategy', 'immediate');
    await next.until('took over');
    expect(await first.ended()).toBe(0);
    expect((await ask(admin, { path: '/server_info' })).body).toMatch(/"restart_epoch": 1/);
  } finally {
    if (environment === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = environment;
  }
});
