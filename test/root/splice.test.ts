import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { startTestProxy, tcpConfig } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { spliceProblem } from '../support/splice.ts';
import { eventually } from '../support/story.ts';
import { bytesOf, randomStory, StoryTheatre, seeded } from '../support/tcp-story.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', 'bin', 'outrigger');
const SIDECAR_UID = 1337;
const problem = spliceProblem();

beforeEach((context) => {
  if (problem !== undefined) context.skip(`needs bpf(2): ${problem}`);
  if (process.getuid?.() !== 0) context.skip('needs root');
});

describe.for(['off', 'on'] as const)('random sessions, splice %s', (mode) => {
  test('every byte arrives in order, then the FIN, whatever sizes, waits, slow readers and ends', async () => {
    const { outcomes } = await play(300, 11, false);
    expect(outcomes.filter(({ story, client, app }) => !isWhole(story, client, app)).map(summary)).toEqual([]);
  });

  test('with resets among them, what arrives is what was written, as far as it came', async () => {
    const { outcomes } = await play(300, 12, true);
    expect(outcomes.filter(({ client, app }) => client.wrongAt >= 0 || app.wrongAt >= 0)).toEqual([]);
    const ended = outcomes.filter(({ story }) => story.client.end !== 'reset' && story.app.end !== 'reset');
    expect(ended.length).toBeGreaterThan(100);
    expect(ended.filter(({ story, client, app }) => !isWhole(story, client, app)).map(summary)).toEqual([]);
  });

  async function play(count: number, seed: number, resets: boolean) {
    await using theatre = await StoryTheatre.open();
    await using proxy = await startTestProxy(tcpConfig(theatre.app.port), { splice: { mode } });
    const outcomes: ({ story: ReturnType<typeof randomStory> } & Awaited<ReturnType<StoryTheatre['play']>>)[] = [];
    let next = 0;
    const player = async (): Promise<void> => {
      while (next < count) {
        const story = randomStory(++next, seeded(seed * 10_000 + next), resets);
        outcomes.push({ story, ...(await theatre.play(story, proxy.port)) });
      }
    };
    await Promise.all(Array.from({ length: 30 }, player));
    await eventually('all sessions are over', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
    expect(proxy.stat('tcp.test.spliced_cx_active')).toBe(0);
    if (mode === 'on') expect(proxy.stat('tcp.test.spliced_cx_total')).toBeGreaterThan(count / 4);
    return { outcomes };
  }
});

test('an app whose client does not read is stopped before much lies in the kernel', async () => {
  const size = 100_000_000;
  let written = 0;
  await using app = await listen((socket) => {
    const piece = Buffer.alloc(65_536);
    const push = (): void => {
      while (written < size) {
        written += piece.length;
        if (!socket.write(piece)) {
          socket.once('drain', push);
          return;
        }
      }
      socket.end();
    };
    push();
  });
  await using proxy = await startTestProxy(tcpConfig(app.port), { splice: { mode: 'on' } });
  const client = await TestClient.connect(proxy.port);
  client.socket.removeAllListeners('data');
  client.socket.pause();
  let before = -1;
  await eventually('the app writes no more', () => {
    const isSame = written > 0 && written === before;
    before = written;
    return isSame;
  });
  expect(written).toBeLessThan(40_000_000);
  let received = 0;
  client.socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  client.socket.resume();
  await client.until((one) => one.ended, 30_000);
  expect(received).toBe(written);
});

test('nothing stays in the kernel when the proxy is killed', async (context) => {
  if (bpfObjects() === undefined) context.skip('needs bpftool');
  const before = bpfObjects();
  const proxy = await Sidecar.start(['--splice', 'on']);
  const ids = bpfObjects()?.filter((id) => before?.includes(id) !== true) ?? [];
  expect(ids.map((id) => id.split(' ')[0])).toEqual(['map', 'map', 'map', 'map', 'prog']);
  const client = await TestClient.connect(proxy.port);
  client.write('hello');
  await client.untilText('hello');
  await proxy.kill('SIGKILL');
  await client.untilClosed();
  await expect.poll(() => bpfObjects()?.filter((id) => ids.includes(id))).toEqual([]);
});

test('two threads splice, each with maps of its own', async () => {
  const proxy = await Sidecar.start(['--splice', 'on', '--concurrency', '2']);
  const clients = await Promise.all(Array.from({ length: 40 }, () => TestClient.connect(proxy.port)));
  for (const client of clients) client.write('hello');
  for (const client of clients) await client.untilText('hello');
  expect(await proxy.stat('tcp.test.spliced_cx_active')).toBe(40);
  for (const client of clients) client.socket.end();
  for (const client of clients) await client.untilClosed();
  for (const way of ['rx', 'tx']) {
    await expect.poll(() => proxy.stat(`tcp.test.downstream_cx_${way}_bytes_total`), { timeout: 5000 }).toBe(200);
  }
  // An answer that comes while its session is still being handed over passes through user space.
  expect(await proxy.stat('tcp.test.spliced_bytes_total')).toBeGreaterThan(200);
});

test('a thread has more sets of maps as more sessions come, and uses slots again', async () => {
  await using app = await listen((socket) => socket.pipe(socket));
  const limit = 'circuit_breakers: { thresholds: [{ max_connections: 100000 }] }';
  // A busy machine may take its time to connect so many.
  const text = tcpConfig(app.port, '', limit).replace('connect_timeout: 1s', 'connect_timeout: 30s');
  await using proxy = await startTestProxy(text, { splice: { mode: 'on' } });
  const count = 2500;
  for (const round of [1, 2]) {
    const clients: TestClient[] = [];
    while (clients.length < count) {
      const more = Array.from({ length: 50 }, () => TestClient.connect(proxy.port));
      clients.push(...(await Promise.all(more)));
      await eventually('all are open', () => proxy.stat('tcp.test.spliced_cx_active') === clients.length, 30_000);
    }
    for (const [index, client] of clients.entries()) client.write(`hello ${index}`);
    for (const [index, client] of clients.entries()) await client.untilText(`hello ${index}`, 30_000);
    expect(proxy.stat('tcp.test.spliced_cx_active')).toBe(count);
    for (const client of clients) client.destroy();
    await eventually('all are gone', () => proxy.stat('tcp.test.spliced_cx_active') === 0, 30_000);
    expect(proxy.stat('tcp.test.spliced_cx_total')).toBe(round * count);
  }
}, 90_000);

test('without capabilities the proxy says once that it serves in user space, and does', async () => {
  const proxy = await Sidecar.start(['--concurrency', '2'], { drop: true });
  expect(proxy.said.match(/TCP sessions are served in user space/g)?.length).toBe(1);
  expect(proxy.said).toContain('EPERM');
  const client = await TestClient.connect(proxy.port);
  client.write('hello');
  await client.untilText('hello');
  client.destroy();
  expect(await proxy.stat('tcp.test.spliced_cx_total')).toBe(0);
});

test('without capabilities the node agent’s maps serve, also after the agent has ended', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-node-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'agent.sock');
  execFileSync('chmod', ['755', folder]);
  const agent = spawn(LAUNCHER, ['node-agent', '--socket', path, '--allow-uid', String(SIDECAR_UID)]);
  onTestFinished(() => void agent.kill('SIGKILL'));
  const said = collect(agent);
  await eventually('the agent listens', () => said().includes('listening'), 15_000);
  const proxy = await Sidecar.start(['--splice', 'on', '--node-agent', path], { drop: true });
  const client = await TestClient.connect(proxy.port);
  client.write('hello');
  await client.untilText('hello');
  agent.kill('SIGTERM');
  await once(agent, 'exit');
  client.write(' again');
  await client.untilText('hello again');
  const other = await TestClient.connect(proxy.port);
  other.write('later');
  await other.untilText('later');
  expect(await proxy.stat('tcp.test.spliced_cx_active')).toBe(2);
  other.destroy();
  client.destroy();
});

/** One line, to find the story again by its number. */
function summary({
  story,
  client,
  app,
}: {
  story: ReturnType<typeof randomStory>;
  client: object;
  app: object;
}): string {
  const due = `client ${bytesOf(story.app)}, app ${bytesOf(story.client)}`;
  return `story ${story.id}: due ${due}; ${JSON.stringify({ client, app })}`;
}

function isWhole(
  story: ReturnType<typeof randomStory>,
  client: { received: number; wrongAt: number; sawFin: boolean },
  app: { received: number; wrongAt: number; sawFin: boolean },
): boolean {
  const sides = [
    [client, bytesOf(story.app)],
    [app, bytesOf(story.client)],
  ] as const;
  return sides.every(([side, bytes]) => side.received === bytes && side.wrongAt < 0 && side.sawFin);
}

/** What the kernel has of this proxy's bpf maps and programs; undefined without bpftool. */
function bpfObjects(): string[] | undefined {
  try {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    return ['map', 'prog'].flatMap((kind) => {
      const all = JSON.parse(execFileSync('bpftool', ['--json', kind, 'show'], { encoding: 'utf8', env })) as {
        id: number;
        name?: string;
      }[];
      return all.filter(({ name }) => name?.startsWith('splice_') === true).map(({ id }) => `${kind} ${id}`);
    });
  } catch {
    return undefined;
  }
}

async function unusedPort(): Promise<number> {
  const server = await listen(() => {});
  await server[Symbol.asyncDispose]();
  return server.port;
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += String(chunk)));
  return () => text;
}

/** `outrigger run` in a process of its own, in front of an app that echoes. */
class Sidecar {
  readonly pid: number;
  port = 0;
  private admin = 0;
  private readonly child: ChildProcess;
  private readonly text: () => string;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.pid = child.pid as number;
    this.text = collect(child);
  }

  static async start(args: readonly string[], { drop = false } = {}): Promise<Sidecar> {
    const app = await listen((socket) => socket.pipe(socket));
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-splice-'));
    const file = join(folder, 'proxy.yaml');
    writeFileSync(file, tcpConfig(app.port));
    execFileSync('chmod', ['-R', 'a+rX', folder]);
    const admin = await unusedPort();
    const command = [LAUNCHER, 'run', '-c', file, '--admin', `127.0.0.1:${admin}`, ...args];
    const user = `--reuid=${SIDECAR_UID} --regid=${SIDECAR_UID} --clear-groups --bounding-set=-all --inh-caps=-all`;
    const child = drop
      ? spawn('setpriv', [...user.split(' '), '--no-new-privs', ...command])
      : spawn(command[0] as string, command.slice(1));
    const sidecar = new Sidecar(child);
    onTestFinished(async () => {
      if (child.exitCode === null && child.signalCode === null) await sidecar.kill('SIGKILL');
      await app[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });
    await eventually('the proxy listens', () => /listening on 127.0.0.1:\d+/.test(sidecar.said), 20_000);
    sidecar.port = Number(/tcp listening on 127.0.0.1:(\d+)/.exec(sidecar.said)?.[1]);
    sidecar.admin = admin;
    return sidecar;
  }

  get said(): string {
    return this.text();
  }

  async stat(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.admin}/stats`)).text();
    return Number(new RegExp(`^${name.replaceAll('.', '\\.')}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }
}
