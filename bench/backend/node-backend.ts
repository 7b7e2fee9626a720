import { createServer, type Server, type Socket } from 'node:net';
import { MessageScanner } from '../load/message-scanner.ts';

export interface NodeBackend {
  readonly port: number;
  /** Answers nothing for this long, then everything that has waited: for the proof of the generator. */
  stall(forMs: number): void;
  close(): Promise<void>;
}

/**
 * A backend in Node: `GET /<bytes>` answers a body of that many bytes, a POST is read to its end and answered with 100
 * bytes. It stands in for nginx where that is not installed, and is the sink of every upload, which nginx cannot be
 * (it answers before the body has come, or spends a second hop on it).
 */
export async function startNodeBackend(port = 0): Promise<NodeBackend> {
  const sockets = new Set<Socket>();
  const responses = new Map<string, Buffer>();
  let stalledUntil = 0;

  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    const scanner = new MessageScanner((_status, head) => {
      const response = responseFor(head as Buffer, responses);
      const waitMs = stalledUntil - performance.now();
      if (waitMs > 0) setTimeout(() => socket.write(response), waitMs);
      else socket.write(response);
    }, true);
    socket.on('data', (chunk) => {
      try {
        scanner.push(chunk as Buffer, chunk.length);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
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
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const SINK_ANSWER_BYTES = 100;

function responseFor(head: Buffer, responses: Map<string, Buffer>): Buffer {
  const isPost = head[0] === 80;
  const path = head.latin1Slice(head.indexOf(32) + 1, head.indexOf(32, 5));
  const key = isPost ? 'POST' : path;
  const known = responses.get(key);
  if (known !== undefined) return known;
  const bytes = isPost ? SINK_ANSWER_BYTES : Number.parseInt(path.slice(1), 10);
  const response = Number.isFinite(bytes)
    ? encode('200 OK', Buffer.alloc(bytes, 'x'))
    : encode('404 Not Found', Buffer.alloc(0));
  responses.set(key, response);
  return response;
}

function encode(status: string, body: Buffer): Buffer {
  const head = `HTTP/1.1 ${status}\r\nserver: bench\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

if (import.meta.main) {
  const backend = await startNodeBackend(Number(process.argv[2] ?? 0));
  process.stdout.write(`${backend.port}\n`);
}
