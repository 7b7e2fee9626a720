import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { type NodeBackend, startNodeBackend } from '../../../../bench/backend/node-backend.ts';
import { startNodeHttp2Backend } from '../../../../bench/backend/node-http2-backend.ts';
import { runClosedLoop } from '../../../../bench/load/closed-loop.ts';
import type { LoadTarget } from '../../../../bench/load/load-target.ts';
import { type OpenLoopOptions, runOpenLoop } from '../../../../bench/load/open-loop.ts';

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function backend(): Promise<NodeBackend> {
  const started = await startNodeHttp2Backend();
  cleanUp.push(() => started.close());
  return started;
}

/** A server of the test's own; its sessions end with the test. */
async function serve(
  onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  settings: Settings = {},
): Promise<{ port: number; sessions: Set<ServerHttp2Session> }> {
  const sessions = new Set<ServerHttp2Session>();
  const server: Http2Server = createServer({ settings });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    onStream(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(async () => {
    for (const session of sessions) session.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { port: (server.address() as { port: number }).port, sessions };
}

function target(port: number, rest: Partial<LoadTarget> = {}): LoadTarget {
  return {
    host: '127.0.0.1',
    port,
    version: 'http2',
    path: '/100',
    connections: 2,
    streams: 16,
    bodyBytes: 0,
    expectStatus: 200,
    headers: { accept: '*/*', 'x-tenant': 'blue' },
    ...rest,
  };
}

function options(port: number, rest: Partial<OpenLoopOptions> = {}): OpenLoopOptions {
  return { ...target(port), rate: 500, durationMs: 400, warmupMs: 100, ...rest };
}

const GRPC = {
  path: '/bench.Echo/Echo',
  bodyBytes: 100,
  headers: { 'content-type': 'application/grpc', te: 'trailers' },
} as const;

describe('open-loop load over HTTP/2', () => {
  it('has a stall of the backend in its percentiles, for every request that should have been sent meanwhile', async () => {
    const { port, stall } = await backend();
    const load = options(port, { rate: 1000, durationMs: 1000, onMeasure: () => setTimeout(() => stall(300), 300) });
    const { latency, requests, errors, unanswered } = await runOpenLoop(load);
    expect(requests).toBe(1000);
    expect(errors + unanswered).toBe(0);
    expect(latency.max).toBeGreaterThan(280_000);
    // 300 of 1000 requests fell due during the stall and waited 0 to 300 ms. A closed loop would have noticed 32.
    expect(latency.p99).toBeGreaterThan(250_000);
    expect(latency.p90).toBeGreaterThan(150_000);
  });

  it('counts a stall that outlasts the load', async () => {
    const { port, stall } = await backend();
    const load = options(port, { drainMs: 300, onMeasure: () => setTimeout(() => stall(60_000), 100) });
    const { latency, unanswered, requests } = await runOpenLoop(load);
    expect(requests).toBe(200);
    expect(unanswered).toBeGreaterThan(50);
    expect(latency.max).toBeGreaterThan(450_000);
  });

  it.each(['unary', 'stream'] as const)('has a stall of a gRPC backend in its percentiles: %s', async (grpc) => {
    const { port, stall } = await backend();
    const load = options(port, { ...GRPC, grpc, onMeasure: () => setTimeout(() => stall(200), 100) });
    const { latency, requests, errors, unanswered } = await runOpenLoop(load);
    expect({ requests, errors, unanswered }).toEqual({ requests: 200, errors: 0, unanswered: 0 });
    expect(latency.p99).toBeGreaterThan(150_000);
  });

  it('says so when nobody speaks HTTP/2 there', async () => {
    const http1 = await startNodeBackend();
    cleanUp.push(() => http1.close());
    const load = options(http1.port, { connections: 1, connectTimeoutMs: 200 });
    await expect(runOpenLoop(load)).rejects.toThrow(/0 of 1 connections/);
  });
});

describe('the HTTP/2 client', () => {
  it.each([
    ['with a dynamic table', {}],
    ['without one', { headerTableSize: 0 }],
  ])('sends the same request each time, to a peer %s', async (_peer, settings) => {
    const seen = new Set<string>();
    let requests = 0;
    const { port } = await serve((stream, headers) => {
      requests++;
      seen.add(JSON.stringify({ ...headers }));
      stream.respond({ ':status': 200 }, { endStream: true });
    }, settings);
    const { errors } = await runOpenLoop(options(port, { durationMs: 200 }));
    expect(errors).toBe(0);
    expect(requests).toBeGreaterThan(100);
    expect([...seen].map((text) => JSON.parse(text))).toEqual([
      {
        ':method': 'GET',
        ':scheme': 'http',
        ':authority': `127.0.0.1:${port}`,
        ':path': '/100',
        accept: '*/*',
        'x-tenant': 'blue',
      },
    ]);
  });

  it('keeps as many streams under way as it was told, and as the peer allows', async () => {
    for (const [maxConcurrentStreams, expected] of [
      [100, 16],
      [3, 3],
    ] as const) {
      let most = 0;
      const open = new Map<unknown, number>();
      const { port } = await serve(
        (stream) => {
          const now = (open.get(stream.session) ?? 0) + 1;
          open.set(stream.session, now);
          most = Math.max(most, now);
          setTimeout(() => {
            open.set(stream.session, (open.get(stream.session) ?? 0) - 1);
            if (!stream.destroyed) stream.respond({ ':status': 200 }, { endStream: true });
          }, 5);
        },
        { maxConcurrentStreams },
      );
      const { requests, errors } = await runClosedLoop(target(port), 300);
      expect(most).toBe(expected);
      expect(requests).toBeGreaterThan(expected * 2);
      expect(errors).toBe(0);
    }
  });

  it('reads long bodies to their end', async () => {
    const { port } = await backend();
    const load = options(port, { path: `/${3 * 1024 * 1024}`, rate: 20, durationMs: 500 });
    const { requests, errors, unanswered } = await runOpenLoop(load);
    expect({ requests, errors, unanswered }).toEqual({ requests: 10, errors: 0, unanswered: 0 });
  });

  it('waits for windows, of streams and of the connection', async () => {
    const { port } = await serve(
      (stream, headers) => {
        expect(headers[':path']).toBe(GRPC.path);
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.pipe(stream);
      },
      { initialWindowSize: 1200 },
    );
    // 64 KiB, which the connection takes at first, are through after 62 messages of 1 KiB; a stream's window holds one.
    const load = target(port, { ...GRPC, grpc: 'stream', bodyBytes: 1024, connections: 1, streams: 4 });
    const { requests, errors } = await runClosedLoop(load, 500);
    expect(requests).toBeGreaterThan(80);
    expect(errors).toBe(0);
  });

  it('ends a gRPC stream after its messages, and begins the next', async () => {
    const messagesOfCall: number[] = [];
    const { port } = await serve((stream) => {
      let bytes = 0;
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        stream.write(chunk);
      });
      stream.on('end', () => {
        messagesOfCall.push(bytes / 105);
        stream.end();
      });
    });
    const load = options(port, { ...GRPC, grpc: 'stream', connections: 1, streams: 1, rate: 1000, durationMs: 400 });
    const { requests, errors, unanswered } = await runOpenLoop(load);
    expect({ requests, errors, unanswered }).toEqual({ requests: 400, errors: 0, unanswered: 0 });
    expect(messagesOfCall.slice(0, 4)).toEqual([100, 100, 100, 100]);
  });
});

describe('an answer counts as an error', () => {
  it('with another status', async () => {
    const { port } = await backend();
    expect((await runOpenLoop(options(port, { path: '/nothing', durationMs: 200 }))).errors).toBe(100);
  });

  it('when its stream is reset', async () => {
    const { port } = await serve((stream) => stream.close(2));
    expect((await runOpenLoop(options(port, { durationMs: 200 }))).errors).toBe(100);
  });

  it('when a unary call has no message, though its status is 200', async () => {
    const { port } = await serve((stream) =>
      stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true }),
    );
    const load = options(port, { ...GRPC, grpc: 'unary', durationMs: 200 });
    expect((await runOpenLoop(load)).errors).toBe(100);
  });

  it('when a gRPC stream ends before its messages do', async () => {
    const { port } = await serve((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
      stream.on('data', (chunk: Buffer) => stream.end(chunk));
    });
    const load = options(port, { ...GRPC, grpc: 'stream', durationMs: 200 });
    expect((await runOpenLoop(load)).errors).toBeGreaterThan(10);
  });

  it('when its connection is lost, which is opened again', async () => {
    let requests = 0;
    const { port } = await serve((stream) => {
      requests++;
      if (requests === 100) stream.session?.destroy();
      else stream.respond({ ':status': 200 }, { endStream: true });
    });
    const { errors, unanswered } = await runOpenLoop(options(port, { connections: 1 }));
    expect(errors).toBeGreaterThan(0);
    expect(errors).toBeLessThan(50);
    expect(unanswered).toBe(0);
  });
});
