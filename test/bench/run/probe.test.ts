import { createServer, type ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { startNodeBackend } from '../../../bench/backend/node-backend.ts';
import { startNodeHttp2Backend } from '../../../bench/backend/node-http2-backend.ts';
import { waitForAnswer } from '../../../bench/run/probe.ts';
import { askHttp2 } from '../../../bench/run/probe-http2.ts';

const PROBE = { path: '/100', status: 200, version: 'http2', isGrpc: false } as const;

describe('the wait for a peer', () => {
  it.each([
    ['HTTP/1.1', startNodeBackend, { ...PROBE, version: 'http1' }],
    ['HTTP/2', startNodeHttp2Backend, PROBE],
    ['gRPC', startNodeHttp2Backend, { ...PROBE, path: '/bench.Echo/Echo', isGrpc: true }],
  ] as const)('ends with its first answer: %s', async (_protocol, startBackend, probe) => {
    const backend = await startBackend();
    try {
      const before = performance.now();
      expect(await waitForAnswer({ ...probe, port: backend.port })).toBeGreaterThan(before);
    } finally {
      await backend.close();
    }
  });

  it('takes no gRPC call for answered that failed, in trailers alone or after a message', async () => {
    let hasMessage = false;
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream) => {
      const head = { ':status': 200, 'content-type': 'application/grpc' };
      if (!hasMessage) return stream.respond({ ...head, 'grpc-status': '14' }, { endStream: true });
      stream.respond(head, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '13' }));
      stream.end('x');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      const probe = { ...PROBE, port, isGrpc: true };
      expect(await askHttp2(probe)).toBe('status 200, grpc-status 14');
      hasMessage = true;
      expect(await askHttp2(probe)).toBe('status 200, grpc-status 13');
    } finally {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  it('gets nothing from a port that nobody listens on', async () => {
    const backend = await startNodeHttp2Backend();
    await backend.close();
    expect(await askHttp2({ ...PROBE, port: backend.port })).toBeUndefined();
  });
});
