import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { reply } from '../../src/filter/index.ts';
import { LoadClient } from '../support/load.ts';
import { ACTIVE_GAUGES, eventually, readAll, type Story, sleep, story } from '../support/story.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Seconds of load; `.ci/run` asks for 30. */
const SECONDS = Number(process.env.OUTRIGGER_SOAK_SECONDS ?? 4);

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const sha = (bytes: Buffer | string): string => createHash('sha1').update(bytes).digest('hex');
const BLOB = randomBytes(2_000_000);

/** An app that can be killed with all its connections, and comes back on its port. */
class MortalApp {
  port = 0;
  /** Times at which it was away, as far as a request can notice. */
  readonly deaths: { from: number; to: number }[] = [];
  private readonly tunnels = new Set<Duplex>();
  private server: Server | undefined;

  async start(): Promise<void> {
    const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      const url = new URL(request.url ?? '', 'http://app');
      const size = Number(url.searchParams.get('down') ?? 0);
      readAll(request).then(
        (body) => {
          response.setHeader('x-up', sha(body));
          if (url.searchParams.has('chunked')) response.flushHeaders();
          else response.setHeader('content-length', size);
          setTimeout(() => response.end(BLOB.subarray(0, size)), Number(url.searchParams.get('wait') ?? 0));
        },
        () => {},
      );
    });
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => {});
      this.tunnels.add(socket);
      socket.once('close', () => this.tunnels.delete(socket));
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
      socket.pipe(socket);
    });
    await new Promise<void>((done) => server.listen(this.port, '127.0.0.1', done));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
  }

  async dieFor(ms: number): Promise<void> {
    const death = { from: performance.now() - 20, to: Number.POSITIVE_INFINITY };
    this.deaths.push(death);
    await this.stop();
    await sleep(ms);
    await this.start();
    death.to = performance.now() + 100;
  }

  async stop(): Promise<void> {
    const { server } = this;
    server?.closeAllConnections();
    for (const socket of this.tunnels) socket.destroy();
    await new Promise<void>((done) => (server === undefined ? done() : server.close(() => done())));
  }

  /** Whether the app was away at some time between the two. */
  wasAway(from: number, to: number): boolean {
    return this.deaths.some((death) => from <= death.to && to >= death.from);
  }
}

interface Tally {
  ok: number;
  denied: number;
  aborted: number;
  tunnels: number;
  lostToDeath: number;
  /** Requests of which a head went out whole. */
  sent: number;
  readonly unexplained: string[];
}

/** Asks, and judges what came back. */
async function ordinary(client: LoadClient, app: MortalApp, rnd: () => number, tally: Tally): Promise<void> {
  const start = performance.now();
  const size = rnd() < 0.1 ? Math.floor(rnd() * BLOB.length) : Math.floor(rnd() * 2000);
  const up = rnd() < 0.5 ? BLOB.subarray(0, Math.floor(rnd() * (rnd() < 0.1 ? 500_000 : 2000))).toString('latin1') : '';
  const isDenied = rnd() < 0.1;
  const path = `${isDenied ? '/denied' : '/'}?down=${size}${rnd() < 0.3 ? '&chunked' : ''}`;
  const head = `${up === '' ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nhost: a\r\n${up === '' ? '' : `content-length: ${up.length}\r\n`}\r\n`;
  tally.sent++;
  try {
    const { status, body } = await client.exchange(head, up);
    if (isDenied && status === 403 && body === 'denied') tally.denied++;
    else if (status === 200 && sha(Buffer.from(body, 'latin1')) === sha(BLOB.subarray(0, size))) tally.ok++;
    else if (app.wasAway(start, performance.now()) && status === 503) tally.lostToDeath++;
    else tally.unexplained.push(`${head.split('\r')[0]}: ${status}, ${body.length} of ${size} bytes`);
  } catch (error) {
    // A response that was cut, or a denied upload whose connection the proxy closes.
    if (app.wasAway(start, performance.now())) tally.lostToDeath++;
    else if (isDenied && up !== '') tally.denied++;
    else tally.unexplained.push(`${head.split('\r')[0]}: ${(error as Error).message}`);
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Goes away at some byte of its request or of the response. */
async function abort(port: number, rnd: () => number, tally: Tally): Promise<void> {
  const socket = await open(port);
  const body = 'x'.repeat(Math.floor(rnd() * 20_000));
  const head = `POST /?down=100000&wait=${Math.floor(rnd() * 20)} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`;
  const at = Math.floor(rnd() * 1.3 * (head.length + body.length));
  socket.write((head + body).slice(0, at));
  if (at >= head.length) tally.sent++;
  else if (at > 0) tally.sent++;
  socket.resume();
  await sleep(rnd() * 15);
  if (rnd() < 0.5) socket.resetAndDestroy();
  else socket.destroy();
  tally.aborted++;
}

/** Pipelines a few requests and reads the answers slowly. */
async function slowPipeline(port: number, app: MortalApp, rnd: () => number, tally: Tally): Promise<void> {
  const start = performance.now();
  const socket = await open(port);
  const count = 1 + Math.floor(rnd() * 5);
  socket.write(`GET /?down=60000 HTTP/1.1\r\nhost: a\r\n\r\n`.repeat(count));
  let got = '';
  let over = false;
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1');
    socket.pause();
    setTimeout(() => socket.resume(), 2);
  });
  socket.on('close', () => {
    over = true;
  });
  // A 503 among the answers makes them shorter: silence is the end too.
  for (let quiet = 0, before = 0; !over && quiet < 40; before = got.length) {
    await sleep(5);
    quiet = got.length === before && got.length > 0 ? quiet + 1 : 0;
  }
  socket.destroy();
  const answers = got.split('HTTP/1.1 ').slice(1);
  tally.sent += count;
  const whole = answers.filter((text) => text.startsWith('200') && text.length > 60_000).length;
  tally.ok += whole;
  if (whole === count) return;
  if (app.wasAway(start, performance.now())) tally.lostToDeath += count - whole;
  else tally.unexplained.push(`pipeline: ${whole} of ${count} whole`);
}

/** Sends through a tunnel, gets the same back, and ends it in one way or another. */
async function tunnel(port: number, app: MortalApp, rnd: () => number, tally: Tally): Promise<void> {
  const start = performance.now();
  const socket = await open(port);
  const bytes = BLOB.subarray(0, Math.floor(rnd() * 200_000) + 1).toString('latin1');
  let got = '';
  let over = false;
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1');
  });
  socket.on('close', () => {
    over = true;
  });
  tally.sent++;
  socket.write('GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
  const wait = async (done: () => boolean): Promise<void> => {
    while (!over && !done() && performance.now() - start < 5000) await sleep(2);
  };
  await wait(() => got.includes('\r\n\r\n'));
  if (got.startsWith('HTTP/1.1 101')) {
    socket.write(bytes, 'latin1');
    await wait(() => got.length - got.indexOf('\r\n\r\n') - 4 >= bytes.length);
  }
  if (got.endsWith(bytes)) tally.tunnels++;
  else if (app.wasAway(start, performance.now())) tally.lostToDeath++;
  else tally.unexplained.push(`tunnel: ${got.length} of ${bytes.length} bytes`);
  if (rnd() < 0.3) socket.resetAndDestroy();
  else if (rnd() < 0.5) socket.destroy();
  else {
    socket.end();
    await wait(() => over);
    socket.destroy();
  }
}

const FILTERS = [
  {
    onRequest: (request: { path: string }) =>
      request.path.startsWith('/denied') ? reply(403, { body: 'denied' }) : undefined,
  },
  { onRequest: () => sleep(1), onResponse: () => undefined },
  { changesBody: true, onResponseBody: (chunk: Buffer) => Buffer.from(chunk) },
] as const;

/** Memory right after a garbage collection, bytes, at a time in seconds. */
interface Sample {
  readonly at: number;
  readonly rss: number;
  readonly live: number;
}

/** The slope of memory over the second half of the run, in MiB per second. */
function slopeMib(samples: readonly Sample[], of: 'rss' | 'live'): number {
  const half = samples.slice(Math.floor(samples.length / 2));
  const meanAt = half.reduce((sum, { at }) => sum + at, 0) / half.length;
  const mean = half.reduce((sum, sample) => sum + sample[of], 0) / half.length;
  const above = half.reduce((sum, sample) => sum + (sample.at - meanAt) * (sample[of] - mean), 0);
  const below = half.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0);
  return above / below / 1024 / 1024;
}

const handles = (): string[] =>
  process
    .getActiveResourcesInfo()
    .filter((kind) => kind === 'TCPSocketWrap' || kind === 'TCPServerWrap' || kind === 'PipeWrap');

test(
  `${SECONDS} s of load with aborts, slow readers and a dying app: no unexplained failure, flat memory, nothing left`,
  async () => {
    const before = handles().length;
    const app = new MortalApp();
    await app.start();
    const proxy: Story = await story({
      app: app.port,
      filters: FILTERS,
      manager: 'upgrade_configs: [{ upgrade_type: echo }]',
    });
    const tally: Tally = { ok: 0, denied: 0, aborted: 0, tunnels: 0, lostToDeath: 0, sent: 0, unexplained: [] };
    const end = performance.now() + SECONDS * 1000;
    const samples: Sample[] = [];
    const until = async (work: (rnd: () => number) => Promise<void>, seed: number): Promise<void> => {
      const rnd = random(seed);
      while (performance.now() < end) await work(rnd);
    };
    const clients = Array.from({ length: 8 }, () => new LoadClient(proxy.port));
    await Promise.all([
      ...clients.map((client, i) => until((rnd) => ordinary(client, app, rnd, tally), i + 1)),
      ...[20, 21, 22].map((seed) => until((rnd) => abort(proxy.port, rnd, tally), seed)),
      ...[30, 31].map((seed) => until((rnd) => slowPipeline(proxy.port, app, rnd, tally), seed)),
      until(async (rnd) => {
        await sleep(700 + rnd() * 500);
        if (performance.now() < end - 500) await app.dieFor(50 + rnd() * 100);
      }, 40),
      ...[60, 61].map((seed) => until((rnd) => tunnel(proxy.port, app, rnd, tally), seed)),
      until(async () => {
        collectGarbage();
        const { rss, heapUsed, external } = process.memoryUsage();
        samples.push({ at: performance.now() / 1000, rss, live: heapUsed + external });
        await sleep(500);
      }, 50),
    ]);
    for (const client of clients) client.close();
    await eventually('all active gauges are 0', () => ACTIVE_GAUGES.every((name) => proxy.stat(name) === 0), 5000);
    expect(tally.unexplained).toEqual([]);
    expect(tally.ok).toBeGreaterThan(SECONDS * 10);
    expect(tally.aborted).toBeGreaterThan(SECONDS * 4);
    expect(tally.denied).toBeGreaterThan(SECONDS);
    expect(app.deaths.length).toBeGreaterThan(Math.floor(SECONDS / 3));
    const lines = await proxy.log();
    expect(lines.length).toBe(proxy.stat('http.test.downstream_rq_total'));
    // A request that was never begun to be read has no line.
    expect(lines.length).toBeLessThanOrEqual(tally.sent);
    expect(lines.filter(({ code }) => code === 200 || code === 403).length).toBeGreaterThanOrEqual(
      tally.ok + tally.denied,
    );
    expect(tally.tunnels).toBeGreaterThan(SECONDS / 2);
    if (SECONDS >= 20) {
      expect(slopeMib(samples, 'live')).toBeLessThan(0.5);
      expect(slopeMib(samples, 'rss')).toBeLessThan(1.5);
    }
    for (const kind of ['default.cx_open', 'default.rq_open', 'default.rq_pending_open', 'default.rq_retry_open']) {
      expect(proxy.stat(`cluster.app.circuit_breakers.${kind}`)).toBe(0);
    }
    await proxy[Symbol.asyncDispose]();
    await app.stop();
    await eventually('no connection to the app is left', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
    await eventually('no handle is left', () => handles().length <= before, 5000);
  },
  SECONDS * 1000 + 30_000,
);
