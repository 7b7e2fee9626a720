import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { expect, test } from 'vitest';
import { runSchema } from '../../src/config/schema/schema.ts';
import { DownstreamTlsContext } from '../../src/config/schema/tls.ts';
import { drainSoon } from '../../src/network/bulk-reader.ts';
import type { Connection } from '../../src/network/connection.ts';
import { StreamConnection } from '../../src/network/stream-connection.ts';
import { createLogger } from '../../src/observe/log.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import { DownstreamTls } from '../../src/tls/downstream-tls.ts';
import { TlsConnection } from '../../src/tls/tls-connection.ts';
import { Recorder } from '../network/socket-pair.ts';
import { certificate, TestPki } from '../support/tls.ts';

const pki = new TestPki();
const sha = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

interface Pair extends AsyncDisposable {
  readonly connection: Connection;
  readonly recorder: Recorder;
  /** The client. */
  readonly peer: TLSSocket;
}

/** A TLS connection of ours, to a client. */
async function openPair(maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<Pair> {
  const tls = new DownstreamTls(
    runSchema(DownstreamTlsContext, { common_tls_context: { tls_certificates: [certificate(pki.server)] } }, {})
      .value as DownstreamTlsContext,
    {
      owner: 'listener test',
      scope: new StatsStore(),
      log: createLogger(),
      shared: (_, bytes) => new SharedArrayBuffer(bytes),
      timeoutMs: undefined,
    },
  );
  const recorder = new Recorder();
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const opened = new Promise<Connection>((resolve, reject) => {
    server.once('connection', (socket) => {
      server.close();
      tls.accept(socket, {
        onSecure: (secured, info) => resolve(tls.open(secured, socket, info, recorder)),
        onHandshakeFailure: (failure) => reject(new Error(failure.reason)),
      });
    });
  });
  const peer = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    maxVersion,
    allowHalfOpen: true,
  } as never);
  peer.on('error', () => {});
  const connection = await opened;
  return {
    connection,
    recorder,
    peer,
    async [Symbol.asyncDispose]() {
      peer.destroy();
      connection.destroy();
      while (!recorder.events.some((event) => event.startsWith('close')))
        await new Promise((next) => setTimeout(next, 2));
    },
  };
}

async function collect(socket: TLSSocket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  return Buffer.concat(chunks);
}

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

test('this Node drives the handles of TLS sockets', async () => {
  await using pair = await openPair('TLSv1.3');
  expect(pair.connection).toBeInstanceOf(process.env.OUTRIGGER_PORTABLE_IO === '1' ? StreamConnection : TlsConnection);
});

test.each(VERSIONS)(
  '%s: writes of every kind and size arrive in order, and memory may be reused as promised',
  async (version) => {
    for (const before of [0, 8_000_000]) {
      await using pair = await openPair(version);
      const { connection, peer } = pair;
      const sent: Buffer[] = [randomBytes(before)];
      connection.writeStable(sent[0] as Buffer, 0, before);
      const scratch = Buffer.alloc(400_000);
      for (const size of [0, 1, 100, 8191, 8192, 8193, 16_384, 20_000, 65_536, 98_305, 300_000]) {
        const bytes = randomBytes(size);
        sent.push(bytes, bytes, Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]), bytes);
        connection.writeText(bytes.latin1Slice());
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
    }
  },
);

test.each(VERSIONS)(
  '%s: memory of a write that was taken is free, and of one that was not after the drain',
  async (version) => {
    await using pair = await openPair(version);
    const { connection, recorder, peer } = pair;
    const received = collect(peer);
    const hash = createHash('sha1');
    const buffer = Buffer.alloc(200_000);
    for (let i = 0; i < 40; i++) {
      buffer.fill(i);
      hash.update(buffer);
      if (!connection.writeStable(buffer, 0, buffer.length)) {
        await new Promise<void>((resolve) => {
          recorder.drained = resolve;
        });
      }
      expect(connection.congested).toBe(false);
    }
    connection.end();
    expect(sha(await received)).toBe(hash.digest('hex'));
  },
);

test.each(VERSIONS)('%s: a reader that stops is left alone, and gets everything later', async (version) => {
  await using pair = await openPair(version);
  const { connection, recorder, peer } = pair;
  const sent = randomBytes(3_000_000);
  const hash = createHash('sha1');
  let resumedAt = -1;
  recorder.onBytes = (buffer, length) => {
    expect(recorder.received).not.toBe(resumedAt);
    hash.update(buffer.subarray(0, length));
    connection.pause();
    resumedAt = recorder.received;
    // Nothing comes until `resume`, and nothing from within it.
    setImmediate(() => {
      expect(recorder.received).toBe(resumedAt);
      resumedAt = -1;
      connection.resume();
    });
  };
  peer.end(sent);
  connection.resume();
  await expect.poll(() => recorder.events.at(-1), { timeout: 15_000 }).toBe('end');
  expect(connection.bytesRead).toBe(sent.length);
  expect(hash.digest('hex')).toBe(sha(sent));
});

test.each(VERSIONS)(
  '%s: back-pressure shows while the peer does not read, and its end is told once',
  async (version) => {
    await using pair = await openPair(version);
    const { connection, recorder, peer } = pair;
    peer.pause();
    const bytes = Buffer.alloc(256 * 1024);
    let written = 0;
    while (connection.writeStable(bytes, 0, bytes.length) && written < 1000) written++;
    expect(connection.congested).toBe(true);
    expect(written).toBeLessThan(1000);
    peer.resume();
    await expect.poll(() => recorder.events, { timeout: 5000 }).toContain('drain');
    expect(connection.congested).toBe(false);
    expect(recorder.events.filter((event) => event === 'drain')).toHaveLength(1);
  },
);

test.each(VERSIONS)('%s: what was written goes out before a connection that is ended closes', async (version) => {
  await using pair = await openPair(version);
  const { connection, recorder, peer } = pair;
  connection.writeText('first,');
  connection.writeText('second');
  drainSoon(connection);
  expect((await collect(peer)).toString()).toBe('first,second');
  await expect.poll(() => recorder.events).toContain('close');
});

test.each(VERSIONS)(
  '%s: text that is written again and again arrives whole and in order, now and in later turns',
  async (version) => {
    await using pair = await openPair(version);
    const { connection, peer } = pair;
    const arrived = collect(peer);
    let expected = '';
    const write = (text: string): void => {
      expected += text;
      connection.writeText(text);
    };
    for (let turn = 0; turn < 200; turn++) {
      // Every third turn two pieces: the second has to wait for the first.
      write(`${turn},`);
      if (turn % 3 === 0) write('again,');
      if (turn % 7 === 0) {
        const bytes = Buffer.from('bytes,');
        expected += 'bytes,';
        connection.writeCopy(bytes, 0, bytes.length);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    write('end');
    connection.end();
    expect((await arrived).toString()).toBe(expected);
  },
);

test('text for a peer that has gone ends the connection, also when nothing is read', async () => {
  await using pair = await openPair('TLSv1.3');
  const { connection, recorder, peer } = pair;
  connection.resume();
  connection.pause();
  peer.destroy();
  await expect
    .poll(() => {
      connection.writeText('x');
      return recorder.events.join();
    })
    .toContain('close');
  expect(connection.closed).toBe(true);
});

test('a handler that throws loses its own connection only', async () => {
  await using bad = await openPair('TLSv1.3');
  await using good = await openPair('TLSv1.3');
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', onError);
  try {
    bad.recorder.onBytes = () => {
      throw new Error('handler');
    };
    bad.connection.resume();
    bad.peer.write('x');
    await expect.poll(() => bad.connection.closed).toBe(true);
    good.connection.resume();
    good.peer.write('x');
    await expect.poll(() => good.recorder.received).toBe(1);
  } finally {
    process.off('uncaughtException', onError);
    for (const listener of others) process.on('uncaughtException', listener);
  }
  expect(errors.map(String)).toEqual(['Error: handler']);
});

test('reset ends both sides at once', async () => {
  await using pair = await openPair('TLSv1.3');
  const closed = new Promise<void>((resolve) => pair.peer.once('close', () => resolve()));
  pair.peer.resume();
  pair.connection.reset();
  await closed;
  expect(pair.connection.writeText('dropped')).toBe(true);
});
