import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** Body bytes of a request that the demo app shows. */
const MAX_ECHO_BYTES = 64 * 1024;

/**
 * The app behind the demo's sidecar: tells who asked for what, and which headers arrived, so that what the sidecar did
 * can be seen. `GET /slow?ms=500` takes its time, `/status/503` answers with that status.
 */
export function createDemoApp(): Server {
  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://demo');
    const [, first, second] = url.pathname.split('/');
    if (first === 'slow') {
      const delayMs = Math.min(Number(url.searchParams.get('ms') ?? 500) || 0, 10_000);
      setTimeout(() => answer(request, response, 200), delayMs);
      return;
    }
    const status = first === 'status' && /^[2-5]\d\d$/.test(second ?? '') ? Number(second) : 200;
    answer(request, response, status);
  });
}

function answer(request: IncomingMessage, response: ServerResponse, status: number): void {
  const chunks: Buffer[] = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_ECHO_BYTES) chunks.push(chunk);
  });
  request.on('end', () => {
    const body = {
      app: 'outrigger demo',
      request: `${request.method} ${request.url}`,
      headers: request.headers,
      ...(size === 0 ? {} : { bodyBytes: size, body: Buffer.concat(chunks).toString('utf8') }),
    };
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body, null, 2)}\n`);
  });
}

/**
 * Starts the app on the loopback.
 *
 * @throws the listen error, such as EADDRINUSE.
 */
export function startDemoApp(port: number): Promise<Server> {
  const server = createDemoApp();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
