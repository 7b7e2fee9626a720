import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { httpConfig, startTestProxy, tcpConfig } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';

/**
 * Bytes are read into buffers that connections share, and written from them without a copy while the kernel may still
 * hold a reference. If one were reused too early, somebody's bytes would change: here many connections move bodies of
 * all sizes at once, some reading slowly, and every hash must be right.
 */
const SIZES = [100, 16_384, 65_536, 98_305, 262_144, 300_001, 1_048_576, 2_500_000];
const bodies = SIZES.map((size) => randomBytes(size));
const hashes = bodies.map((body) => sha(body));

function sha(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

/** Reads until the condition holds; a slow reader stops between chunks. */
async function readSlowly(client: TestClient, until: () => boolean): Promise<void> {
  while (!until()) {
    client.socket.pause();
    await sleep(3);
    client.socket.resume();
    await sleep(1);
    if (client.closed) throw new Error(`closed after ${client.received.length} bytes`);
  }
}

describe('bodies arrive as they were sent', () => {
  test('over TCP, both ways at once', { timeout: 60_000 }, async () => {
    await using app = await listen((socket) => socket.pipe(socket));
    await using proxy = await startTestProxy(tcpConfig(app.port));
    await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const client = await TestClient.connect(proxy.port);
        for (let round = 0; round < 2; round++) {
          const index = (i + round) % SIZES.length;
          const body = bodies[index] as Buffer;
          client.received = Buffer.alloc(0);
          client.write(body);
          const whole = (): boolean => client.received.length >= body.length;
          if (i % 3 === 0) await readSlowly(client, whole);
          else await client.until(whole, 40_000);
          expect(sha(client.received)).toBe(hashes[index]);
        }
        client.destroy();
      }),
    );
  });

  test.each(['content-length', 'chunked'])(
    'over HTTP/1.1 with %s, requests and responses',
    { timeout: 60_000 },
    async (framing) => {
      // Answers each request with the body of the same number, and says the hash of what it got.
      await using app = await listen((socket) => {
        let pending = Buffer.alloc(0);
        socket.on('data', (chunk) => {
          pending = Buffer.concat([pending, chunk]);
          for (;;) {
            const head = pending.indexOf('\r\n\r\n');
            if (head < 0) return;
            const text = pending.toString('latin1', 0, head);
            const length = Number(/content-length: (\d+)/.exec(text)?.[1]);
            if (pending.length < head + 4 + length) return;
            const hash = sha(pending.subarray(head + 4, head + 4 + length));
            pending = pending.subarray(head + 4 + length);
            const body = bodies[Number(/^POST \/(\d+)/.exec(text)?.[1])] as Buffer;
            const framed = framing === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${body.length}`;
            socket.write(`HTTP/1.1 200 OK\r\nx-got: ${hash}\r\n${framed}\r\n\r\n`);
            if (framing !== 'chunked') {
              socket.write(body);
              continue;
            }
            for (let at = 0; at < body.length; at += 300_000) {
              const piece = body.subarray(at, at + 300_000);
              socket.write(`${piece.length.toString(16)}\r\n`);
              socket.write(piece);
              socket.write('\r\n');
            }
            socket.write('0\r\n\r\n');
          }
        });
      });
      await using proxy = await startTestProxy(httpConfig(app.port));
      await Promise.all(
        Array.from({ length: 24 }, async (_, i) => {
          const client = await TestClient.connect(proxy.port);
          for (let round = 0; round < 4; round++) {
            const sent = (i + round) % SIZES.length;
            const asked = (i * 3 + round) % SIZES.length;
            const body = bodies[sent] as Buffer;
            client.received = Buffer.alloc(0);
            client.write(`POST /${asked} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`);
            client.write(body);
            const whole = (): boolean => parseResponse(client.received) !== undefined;
            if (i % 3 === 0) await readSlowly(client, whole);
            else await client.until(whole, 40_000);
            expect(parseResponse(client.received)).toEqual({ got: hashes[sent], hash: hashes[asked] });
          }
          client.destroy();
        }),
      );
    },
  );
});

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
