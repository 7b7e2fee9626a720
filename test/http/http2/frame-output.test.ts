import { expect, test } from 'vitest';
import { FrameOutput } from '../../../src/http/http2/frame-output.ts';
import type { Connection } from '../../../src/network/connection.ts';
import { endsStream, FLAG, type Frame, FrameReader, TYPE } from '../../support/http2/frames.ts';

/** A connection whose kernel takes what it is told to take. */
class FakeConnection {
  readonly writes: Buffer[] = [];
  /** What libuv keeps: the very memory that was given, as it is when it is looked at. */
  readonly kept: { readonly memory: Buffer; readonly copy: Buffer }[] = [];
  congested = false;
  /** Writes are taken whole as long as this holds. */
  takes = true;

  writeStable(buffer: Buffer, start: number, end: number): boolean {
    this.writes.push(Buffer.from(buffer.subarray(start, end)));
    if (this.takes) return true;
    this.congested = true;
    this.kept.push({ memory: buffer.subarray(start, end), copy: Buffer.from(buffer.subarray(start, end)) });
    return false;
  }

  drain(): void {
    this.congested = false;
    this.takes = true;
  }

  get frames(): Frame[] {
    return new FrameReader().push(Buffer.concat(this.writes));
  }

  /** Nobody wrote over what libuv keeps. */
  expectUntouched(): void {
    for (const { memory, copy } of this.kept) expect(memory.equals(copy)).toBe(true);
  }
}

function output() {
  const connection = new FakeConnection();
  return { connection, out: new FrameOutput(connection as unknown as Connection) };
}

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));
const bytes = (size: number, fill = 'x'): Buffer => Buffer.alloc(size, fill);
const typesOf = (frames: readonly Frame[]): number[] => frames.map(({ type }) => type);

test('the frames of a turn leave in one write, at its end', async () => {
  const { connection, out } = output();
  out.settings([[3, 100]]);
  out.windowUpdate(0, 1);
  out.data(1, bytes(10), 2, 8);
  out.ping(false, Buffer.from('__12345678'), 2);
  expect(connection.writes.length).toBe(0);
  await turn();
  expect(connection.writes.length).toBe(1);
  expect(typesOf(connection.frames)).toEqual([TYPE.SETTINGS, TYPE.WINDOW_UPDATE, TYPE.DATA, TYPE.PING]);
  expect(connection.frames.map(({ payload }) => payload.length)).toEqual([6, 4, 6, 8]);
  await turn();
  expect(connection.writes.length).toBe(1);
});

test('END_STREAM goes on the last DATA frame while it is here', async () => {
  const { connection, out } = output();
  out.data(1, bytes(5), 0, 5);
  out.endStream(1);
  out.data(3, bytes(5), 0, 5);
  await turn();
  expect(connection.frames.map((one) => [one.streamId, endsStream(one)])).toEqual([
    [1, true],
    [3, false],
  ]);
});

test('END_STREAM gets a frame of its own when the last one is another’s, or is written already', async () => {
  const { connection, out } = output();
  out.data(1, bytes(5), 0, 5);
  out.data(3, bytes(5), 0, 5);
  out.endStream(1);
  out.data(5, bytes(5), 0, 5);
  out.windowUpdate(0, 1);
  out.endStream(5);
  await turn();
  out.endStream(3);
  await turn();
  const ends = connection.frames.filter(endsStream).map(({ streamId, payload }) => [streamId, payload.length]);
  expect(ends).toEqual([
    [1, 0],
    [5, 0],
    [3, 0],
  ]);
});

test('END_STREAM finds no frame that libuv keeps', async () => {
  const { connection, out } = output();
  connection.takes = false;
  out.data(1, bytes(5), 0, 5);
  await turn();
  out.endStream(1);
  await turn();
  connection.expectUntouched();
  expect(connection.writes.length).toBe(1);
  connection.drain();
  out.flushNow();
  expect(connection.frames.map(endsStream)).toEqual([false, true]);
});

test('what libuv keeps is never written over, by this connection or another', async () => {
  const { connection, out } = output();
  const other = output();
  connection.takes = false;
  for (let i = 0; i < 40; i++) {
    out.data(1, bytes(16_384, String(i % 10)), 0, 16_384);
    other.out.data(1, bytes(16_384, 'z'), 0, 16_384);
    if (i % 7 === 0) await turn();
    connection.expectUntouched();
  }
  connection.drain();
  out.flushNow();
  other.out.flushNow();
  connection.expectUntouched();
  expect(connection.frames.map(({ payload }) => String.fromCharCode(payload[0] as number)).join('')).toBe(
    '0123456789'.repeat(4),
  );
  expect(other.connection.frames.length).toBe(40);
});

test('while the kernel takes nothing, frames gather, and leave with the drain', async () => {
  const { connection, out } = output();
  connection.takes = false;
  out.ping(true, bytes(8), 0);
  await turn();
  out.ping(true, bytes(8), 0);
  await turn();
  expect(connection.writes.length).toBe(1);
  expect([out.outboundFrames, out.outboundControlFrames]).toEqual([2, 2]);
  connection.drain();
  out.flushNow();
  expect(connection.frames.length).toBe(2);
  expect([out.outboundFrames, out.outboundControlFrames]).toEqual([0, 0]);
});

test('frames are counted until everything is out; those that answer the peer’s also by themselves', () => {
  const { connection, out } = output();
  connection.congested = true;
  out.settingsAck();
  out.ping(true, bytes(8), 0);
  out.ping(false, bytes(8), 0);
  out.resetStream(1, 8);
  out.data(1, bytes(1), 0, 1);
  out.windowUpdate(1, 1);
  expect([out.outboundFrames, out.outboundControlFrames]).toEqual([6, 3]);
  out.flushNow();
  expect(out.outboundFrames).toBe(6);
  connection.congested = false;
  out.flushNow();
  expect(out.outboundFrames).toBe(0);
});

test('a header block longer than a frame is continued, and nothing comes between', async () => {
  const { connection, out } = output();
  const block = Buffer.from(Array.from({ length: 40_000 }, (_, i) => i % 251));
  out.longHeaders(7, block, block.length, true);
  out.data(7, bytes(1), 0, 1);
  await turn();
  const frames = connection.frames;
  expect(typesOf(frames)).toEqual([TYPE.HEADERS, TYPE.CONTINUATION, TYPE.CONTINUATION, TYPE.DATA]);
  expect(frames.slice(0, 3).map(({ flags }) => flags)).toEqual([FLAG.END_STREAM, 0, FLAG.END_HEADERS]);
  expect(Buffer.concat(frames.slice(0, 3).map(({ payload }) => payload)).equals(block)).toBe(true);
});

test('a frame that needs more than the usual memory gets it', async () => {
  const { connection, out } = output();
  out.windowUpdate(0, 1);
  const size = 300_000;
  const memory = out.reserve(size);
  expect(memory.length - out.offset).toBeGreaterThanOrEqual(size);
  const before = out.offset;
  memory.fill(1, before, before + size);
  out.advance(before + size);
  await turn();
  expect(Buffer.concat(connection.writes).length).toBe(13 + size);
});

test('GOAWAY says why', async () => {
  const { connection, out } = output();
  out.goAway(0x7fff_ffff, 11, 'calm down');
  await turn();
  const [{ payload }] = connection.frames as [Frame];
  expect([payload.readUInt32BE(0), payload.readUInt32BE(4), payload.toString('latin1', 8)]).toEqual([
    0x7fff_ffff,
    11,
    'calm down',
  ]);
});
