import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { drainSoon } from '../../src/network/bulk-reader.ts';
import { flushQueue } from '../../src/network/flush-queue.ts';
import { sharedReadBuffer } from '../../src/network/read-buffer.ts';
import { KINDS, openPair } from './socket-pair.ts';

const sha = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

/** Everything that a socket receives up to its end. */
async function collect(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  return Buffer.concat(chunks);
}

describe.each(KINDS)('%s', (kind) => {
  test.each([0, 8_000_000])(
    'writes of every kind and size behind %i bytes arrive in order, and memory may be reused at once',
    async (before) => {
      await using pair = await openPair(kind);
      const { connection, peer } = pair;
      const sent: Buffer[] = [randomBytes(before)];
      connection.writeStable(sent[0] as Buffer, 0, before);
      const sizes = [0, 1, 100, 8191, 8192, 8193, 16_384, 20_000, 65_536, 98_303, 98_304, 98_305, 300_000];
      const scratch = Buffer.alloc(400_000);
      for (const size of sizes) {
        const bytes = randomBytes(size);
        const text = bytes.latin1Slice();
        sent.push(bytes, bytes, Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]), bytes);
        connection.writeText(text);
        bytes.copy(scratch, 7);
        connection.writeCopy(scratch, 7, 7 + size);
        connection.writeAround('<', scratch, 7, 7 + size, '>');
        scratch.fill(0);
        connection.writeStable(Buffer.from(bytes), 0, size);
      }
      const expected = Buffer.concat(sent);
      expect(connection.bytesWritten).toBe(expected.length);
      connection.end();
      expect(sha(await collect(peer))).toBe(sha(expected));
    },
  );

  test('bytes read are those that came, counted', async () => {
    await using pair = await openPair(kind);
    const { connection, recorder, peer } = pair;
    const sent = randomBytes(700_000);
    const hash = createHash('sha1');
    recorder.onBytes = (buffer, length) => hash.update(buffer.subarray(0, length));
    connection.resume();
    peer.end(sent);
    await expect.poll(() => recorder.events.at(-1), { timeout: 5000 }).toBe('end');
    expect(hash.digest('hex')).toBe(sha(sent));
    expect(connection.bytesRead).toBe(sent.length);
  });

  test('says that it is congested until the kernel has taken everything, and drains once', async () => {
    await using pair = await openPair(kind);
    const { connection, recorder, peer } = pair;
    peer.pause();
    const piece = randomBytes(64 * 1024);
    let written = 0;
    while (connection.writeCopy(piece, 0, piece.length)) written++;
    expect(connection.congested).toBe(true);
    connection.writeText('tail');
    await sleep(30);
    expect(recorder.events).toEqual([]);
    const everything = collect(peer);
    peer.resume();
    await expect.poll(() => connection.congested, { timeout: 5000 }).toBe(false);
    expect(recorder.events).toEqual(['drain']);
    connection.end();
    expect((await everything).length).toBe((written + 1) * piece.length + 4);
  });

  test('ended soon, it still delivers what is queued', async () => {
    await using pair = await openPair(kind);
    const { connection, peer } = pair;
    peer.pause();
    const sent = randomBytes(6_000_000);
    connection.writeCopy(sent, 0, sent.length);
    connection.writeText('tail');
    drainSoon(connection);
    await sleep(20);
    const received = await collect(peer.resume());
    expect(received.length).toBe(sent.length + 4);
    expect(sha(received.subarray(0, sent.length))).toBe(sha(sent));
  });

  test('the end is told once, also when reading goes on after it', async () => {
    await using pair = await openPair(kind);
    const { connection, recorder, peer } = pair;
    connection.resume();
    peer.end('x');
    await expect.poll(() => recorder.events).toEqual(['data', 'end']);
    connection.pause();
    connection.resume();
    await sleep(30);
    expect(recorder.events).toEqual(['data', 'end']);
    expect(connection.writeText('still open')).toBe(true);
  });

  test('nothing is read while it is paused', async () => {
    await using pair = await openPair(kind);
    const { connection, recorder, peer } = pair;
    connection.resume();
    connection.pause();
    peer.write('x');
    await sleep(30);
    expect(recorder.received).toBe(0);
    connection.resume();
    await expect.poll(() => recorder.received).toBe(1);
  });

  test('closes once, with the reason when there is one', async () => {
    await using quiet = await openPair(kind);
    quiet.connection.destroy();
    quiet.connection.destroy();
    await expect.poll(() => quiet.recorder.events).toEqual(['close']);
    await using hard = await openPair(kind);
    hard.connection.resume();
    hard.peer.resetAndDestroy();
    await expect.poll(() => hard.recorder.events).toEqual(['close ECONNRESET']);
    expect(hard.connection.writeText('to nobody')).toBe(true);
  });

  test.each(['tcp', 'pipe'] as const)('a reset over %s ends the connection', async (transport) => {
    await using pair = await openPair(kind, transport);
    pair.connection.reset();
    await expect.poll(() => pair.recorder.events).toEqual(['close']);
    expect(pair.connection.closed).toBe(true);
  });

  test('a handler that throws ends its own connection and no other, and what others hold back still leaves', async () => {
    await using bad = await openPair(kind);
    await using good = await openPair(kind);
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
    try {
      bad.recorder.onBytes = () => {
        throw new Error('from the handler');
      };
      bad.connection.resume();
      bad.peer.write('x');
      expect(await thrown).toMatchObject({ message: 'from the handler' });
    } finally {
      for (const listener of before) process.on('uncaughtException', listener);
    }
    await expect.poll(() => bad.recorder.events.at(-1)).toMatch(/^close/);
    good.recorder.onBytes = () => flushQueue.add({ flush: () => good.connection.writeText('answer') });
    good.connection.resume();
    const answer = new Promise((resolve) => good.peer.once('data', resolve));
    good.peer.write('y');
    expect(String(await answer)).toBe('answer');
  });
});

describe('memory', () => {
  test('reads land in a buffer of the owner’s, and in the shared one again afterwards', async () => {
    await using pair = await openPair('HandleConnection');
    const { connection, recorder, peer } = pair;
    const seen: Buffer[] = [];
    recorder.onBytes = (buffer) => seen.push(buffer);
    const own = Buffer.alloc(1000);
    expect(connection.setReadBuffer(own)).toBe(true);
    connection.resume();
    peer.write('x');
    await expect.poll(() => seen).toEqual([own]);
    expect(seen[0]).toBe(own);
    connection.setReadBuffer(undefined);
    peer.write('y');
    await expect.poll(() => seen.length).toBe(2);
    expect(seen[1]).toBe(sharedReadBuffer);
  });

  test('the read buffer changes a bounded number of times: Node keeps a record of each', async () => {
    await using pair = await openPair('HandleConnection');
    const own = Buffer.alloc(1000);
    let changes = 0;
    while (changes < 100_000 && pair.connection.setReadBuffer(own)) {
      pair.connection.setReadBuffer(undefined);
      changes++;
    }
    expect(changes).toBe(1000);
    const { recorder, peer, connection } = pair;
    connection.resume();
    peer.write('still read');
    await expect.poll(() => recorder.received).toBe(10);
  });

  test.each([
    [0, 65_536],
    [1, 16_384],
    [20_000, 20_000],
    [100_000, 65_536],
  ])('a limit of %i bytes bounds reads to %i', async (limitBytes, largest) => {
    await using pair = await openPair('HandleConnection', 'tcp', limitBytes);
    const { connection, recorder, peer } = pair;
    const sent = randomBytes(3_000_000);
    const hash = createHash('sha1');
    let most = 0;
    recorder.onBytes = (buffer, length) => {
      most = Math.max(most, length);
      hash.update(buffer.subarray(0, length));
    };
    expect(connection.setReadBuffer(Buffer.alloc(100_001))).toBe(limitBytes === 0);
    connection.setReadBuffer(undefined);
    peer.end(sent);
    connection.resume();
    await expect.poll(() => recorder.events.at(-1), { timeout: 5000 }).toBe('end');
    expect(hash.digest('hex')).toBe(sha(sent));
    expect(most).toBeLessThanOrEqual(largest);
    expect(most).toBeGreaterThan(largest / 2);
  });

  test('a connection on streams does not read into memory of its owner’s', async () => {
    await using pair = await openPair('StreamConnection');
    expect(pair.connection.setReadBuffer(Buffer.alloc(10))).toBe(false);
  });
});
