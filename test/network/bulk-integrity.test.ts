import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { httpConfig, startTestProxy, tcpConfig } from '../support/proxy.ts';

/**
 * Bytes are read into buffers that connections share, and written from them without a copy while the kernel may still
 * hold a reference. If one were reused too early, somebody's bytes would change: here many connections move bodies of
 * all sizes at once, some reading slowly, and every hash must be right. Over Unix sockets, which take 200 KiB at a time:
 * the loopback's TCP takes megabytes, and no write would ever wait.
 */
const SIZES = [100, 16_384, 65_536, 98_305, 262_144, 300_001, 1_048_576, 2_500_000];
const bodies = SIZES.map((size) => randomBytes(size));
const hashes = bodies.map((body) => sha(body));
const CLIENTS = 24;

function sha(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

let paths = 0;
const newPath = (): string => join(tmpdir(), `outrigger-bulk-${process.pid}-${paths++}`);

/** A server on a Unix socket. */
async function serve(onConnection: (socket: Socket) => void): Promise<{ path: string } & AsyncDisposable> {
  const path = newPath();
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen({ path }, resolve));
  return {
    path,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The configuration with Unix sockets in place of listener and endpoint. */
function overPipes(config: string, listener: string, app: string): string {
  const [before, middle, after] = config.split(/\{ socket_address: \{[^}]*\} \}/);
  return `${before}{ pipe: { path: ${listener} } }${middle}{ pipe: { path: ${app} } }${after}`;
}

class Client {
  readonly socket: Socket;
  private readonly slow: boolean;
  private chunks: Buffer[] = [];
  private size = 0;
  private closed = false;

  constructor(path: string, slow: boolean) {
    this.slow = slow;
    this.socket = connect({ path });
    this.socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.size += chunk.length;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Reads until something is found in what came, which is then forgotten; a slow client stops between chunks. */
  async read<T>(find: (bytes: Buffer) => T | undefined): Promise<T> {
    for (let seen = -1; ; ) {
      if (this.size !== seen) {
        seen = this.size;
        const bytes = Buffer.concat(this.chunks);
        this.chunks = [bytes];
        const found = find(bytes);
        if (found !== undefined) {
          this.chunks = [];
          this.size = 0;
          return found;
        }
      }
      if (this.closed) throw new Error(`closed after ${this.size} bytes`);
      if (this.slow) {
        this.socket.pause();
        await sleep(5);
        this.socket.resume();
      }
      await sleep(1);
    }
  }
}

describe('bodies arrive as they were sent', () => {
  test('through the TCP proxy, both ways at once', { timeout: 60_000 }, async () => {
    await using app = await serve((socket) => socket.pipe(socket));
    const path = newPath();
    await using _proxy = await startTestProxy(overPipes(tcpConfig(1), path, app.path));
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, i) => {
        const client = new Client(path, i % 3 === 0);
        for (let round = 0; round < 2; round++) {
          const index = (i + round) % SIZES.length;
          client.socket.write(bodies[index] as Buffer);
          const hash = await client.read((bytes) => (bytes.length < (SIZES[index] as number) ? undefined : sha(bytes)));
          expect(hash).toBe(hashes[index]);
        }
        client.socket.destroy();
      }),
    );
  });

  test.each(['content-length', 'chunked'])(
    'over HTTP/1.1 with %s, requests and responses',
    { timeout: 60_000 },
    async (framing) => {
      await using app = await serve((socket) => answer(socket, framing));
      const path = newPath();
      await using _proxy = await startTestProxy(overPipes(httpConfig(1), path, app.path));
      await Promise.all(
        Array.from({ length: CLIENTS }, async (_, i) => {
          const client = new Client(path, i % 3 === 0);
          for (let round = 0; round < 4; round++) {
            const sent = (i + round) % SIZES.length;
            const asked = (i * 3 + round) % SIZES.length;
            client.socket.write(`POST /${asked} HTTP/1.1\r\nhost: a\r\ncontent-length: ${SIZES[sent]}\r\n\r\n`);
            client.socket.write(bodies[sent] as Buffer);
            expect(await client.read(parseResponse)).toEqual({ got: hashes[sent], hash: hashes[asked] });
          }
          client.socket.destroy();
        }),
      );
    },
  );
});

/** Answers each request with the body of the number in its path, and says the hash of what it got. */
function answer(socket: Socket, framing: string): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const head = pending.indexOf('\r\n\r\n');
      if (head < 0) return;
      const text = pending.toString('latin1', 0, head);
      const end = head + 4 + Number(/content-length: (\d+)/.exec(text)?.[1]);
      if (pending.length < end) return;
      const hash = sha(pending.subarray(head + 4, end));
      pending = pending.subarray(end);
      const body = bodies[Number(/^POST \/(\d+)/.exec(text)?.[1])] as Buffer;
      const framed = framing === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${body.length}`;
      socket.write(`HTTP/1.1 200 OK\r\nx-got: ${hash}\r\n${framed}\r\n\r\n`);
      if (framing === 'chunked') writeChunks(socket, body);
      else socket.write(body);
    }
  });
}

function writeChunks(socket: Socket, body: Buffer): void {
  for (let at = 0; at < body.length; at += 300_000) {
    const piece = body.subarray(at, at + 300_000);
    socket.write(`${piece.length.toString(16)}\r\n`);
    socket.write(piece);
    socket.write('\r\n');
  }
  socket.write('0\r\n\r\n');
}

/** What a whole response says, undefined while it is not whole. */
function parseResponse(bytes: Buffer): { got: string; hash: string } | undefined {
  const head = bytes.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const text = bytes.toString('latin1', 0, head);
  const got = /x-got: (\w+)/.exec(text)?.[1] ?? '';
  const length = /content-length: (\d+)/.exec(text)?.[1];
  if (length !== undefined) {
    const end = head + 4 + Number(length);
    return bytes.length < end ? undefined : { got, hash: sha(bytes.subarray(head + 4, end)) };
  }
  if (bytes.toString('latin1', bytes.length - 7) !== '\r\n0\r\n\r\n') return undefined;
  const hash = createHash('sha1');
  for (let at = head + 4; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    if (size === 0) return { got, hash: hash.digest('hex') };
    if (!(size > 0) || lineEnd + 4 + size > bytes.length) return undefined;
    hash.update(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 4 + size;
  }
}
