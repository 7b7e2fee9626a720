import { createServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { Transform } from 'node:stream';
import type { NodeBackend } from './node-backend.ts';

/**
 * An HTTP/2 backend on node:http2, for where nginx or the gRPC backend in Go are missing, and for tests: `GET /<bytes>`
 * answers a body of that many bytes, a gRPC call sends back what it gets. It costs about 50 µs per request, as much as
 * a proxy: the limit is often here.
 */
export async function startNodeHttp2Backend(port = 0): Promise<NodeBackend> {
  const sessions = new Set<ServerHttp2Session>();
  let stalledUntil = 0;
  const whenAwake = (task: () => void): void => {
    const waitMs = stalledUntil - performance.now();
    if (waitMs > 0) setTimeout(task, waitMs);
    else task();
  };
  const server = createServer({ settings: { maxConcurrentStreams: 1024 } });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => undefined);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    if (headers['content-type'] === 'application/grpc') echo(stream, whenAwake);
    else whenAwake(() => answer(stream, Number(String(headers[':path']).slice(1))));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port, backlog: 1024 }, resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    stall(forMs) {
      stalledUntil = performance.now() + forMs;
    },
    async close() {
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(stream: ServerHttp2Stream, bytes: number): void {
  if (stream.destroyed) return;
  if (!Number.isInteger(bytes)) {
    stream.respond({ ':status': 404 }, { endStream: true });
    return;
  }
  stream.respond({ ':status': 200, 'content-type': 'text/plain', 'content-length': bytes });
  stream.end(Buffer.alloc(bytes, 'x'));
}

/** Every message is a whole number of bytes, so what comes is sent back as it comes. */
function echo(stream: ServerHttp2Stream, whenAwake: (task: () => void) => void): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const stalling = new Transform({
    transform: (chunk, _encoding, done) => whenAwake(() => done(null, chunk)),
  });
  stream.pipe(stalling).pipe(stream);
}

if (import.meta.main) {
  const backend = await startNodeHttp2Backend(Number(process.argv[2] ?? 0));
  process.stdout.write(`${backend.port}\n`);
}
