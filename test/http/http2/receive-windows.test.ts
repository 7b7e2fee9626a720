import { expect, test } from 'vitest';
import type { FrameOutput } from '../../../src/http/http2/frame-output.ts';
import type { Http2Options } from '../../../src/http/http2/options.ts';
import { DEFAULT_WINDOW_BYTES } from '../../../src/http/http2/protocol.ts';
import { ReceiveWindows } from '../../../src/http/http2/receive-windows.ts';
import { FIRST_CONNECTION_WINDOW_BYTES, FIRST_STREAM_WINDOW_BYTES } from '../../../src/http/http2/window-growth.ts';

const MIB = 1024 * 1024;

/** Windows, and what the peer was told of them. */
function windows(maxStreamWindowBytes = 16 * MIB, maxConnectionWindowBytes = 24 * MIB) {
  const told = { connection: DEFAULT_WINDOW_BYTES, settings: [] as number[], pings: [] as Buffer[] };
  const output = {
    windowUpdate: (streamId: number, increment: number) => {
      expect([streamId, increment > 0]).toEqual([0, true]);
      told.connection += increment;
    },
    settings: ([[, value]]: [[number, number]]) => told.settings.push(value),
    ping: (_ack: boolean, payload: Buffer) => told.pings.push(payload),
  } as unknown as FrameOutput;
  const options = { maxStreamWindowBytes, maxConnectionWindowBytes } as Http2Options;
  return { windows: new ReceiveWindows(output, options), told };
}

/** Bytes come and are used up at once, in frames. */
function pass({ windows: of }: ReturnType<typeof windows>, bytes: number): void {
  for (let left = bytes; left > 0; left -= 16_384) {
    expect(of.take(Math.min(left, 16_384))).toBe(true);
    of.credit(Math.min(left, 16_384));
  }
}

test('the connection’s window is opened to its first size, and a stream’s is told by settings', () => {
  const { windows: of, told } = windows();
  of.open();
  expect([told.connection, of.streamBytes]).toEqual([FIRST_CONNECTION_WINDOW_BYTES, FIRST_STREAM_WINDOW_BYTES]);
});

test('one byte more than the window is too many', () => {
  const { windows: of } = windows(65_535, 65_535);
  of.open();
  expect([of.take(65_535), of.take(0), of.take(1)]).toEqual([true, true, false]);
});

test('what was used up is given back whole, in few frames', () => {
  const pair = windows(65_535, 65_535);
  pair.windows.open();
  let updates = 0;
  let before = pair.told.connection;
  for (let i = 0; i < 1000; i++) {
    pass(pair, 1000);
    if (pair.told.connection > before) updates++;
    before = pair.told.connection;
  }
  expect(pair.told.connection).toBeGreaterThan(1_000_000);
  expect(pair.told.connection).toBeLessThanOrEqual(1_000_000 + 65_535);
  expect(updates).toBeLessThan(40);
});

test('the answer to its own PING makes the windows grow, and streams hear by settings', () => {
  const pair = windows();
  const { windows: of, told } = pair;
  of.open();
  pass(pair, 2 * FIRST_STREAM_WINDOW_BYTES);
  const [question] = told.pings as [Buffer];
  expect(told.pings.length).toBe(1);
  expect(of.isAnswer(Buffer.concat([Buffer.alloc(9), question]), 9)).toBe(true);
  expect(of.isAnswer(Buffer.from('01234567'), 0)).toBe(false);
  expect(of.onRoundTrip()).toBe(FIRST_STREAM_WINDOW_BYTES);
  expect(told.settings).toEqual([2 * FIRST_STREAM_WINDOW_BYTES]);
  expect(of.streamBytes).toBe(2 * FIRST_STREAM_WINDOW_BYTES);
  expect(of.onRoundTrip()).toBe(0);
});

test('streams that nobody reads cannot use the whole connection up before it has its largest size', () => {
  const { windows: of, told } = windows(16 * MIB, 3 * MIB);
  of.open();
  let taken = 0;
  while (taken + 16_384 <= 3 * MIB) {
    expect(of.take(16_384)).toBe(true);
    taken += 16_384;
    expect(told.connection).toBeGreaterThanOrEqual(Math.min(taken + 16_384, 3 * MIB));
  }
  expect(told.connection).toBe(3 * MIB);
  // All of it comes back once somebody reads.
  of.credit(taken);
  expect(told.connection).toBe(3 * MIB + taken);
});
