import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CutFrame } from '../../../src/http/http2/cut-frame.ts';
import { FrameReader } from '../../../src/http/http2/frame-reader.ts';
import {
  data,
  FLAG,
  frame,
  goAway,
  headers,
  padded,
  ping,
  settings,
  TYPE,
  windowUpdate,
} from '../../support/http2/frames.ts';
import { requestBlock } from '../../support/http2/hpack.ts';
import { RecordingSink } from './recording-sink.ts';

const long = requestBlock({ more: [['x-long', 'x'.repeat(5000)]] });
const FRAMES = [
  settings({ 1: 4096, 3: 7 }),
  headers(1, long, { endStream: false }),
  data(1, 'x'.repeat(3000)),
  ping('01234567'),
  frame(TYPE.DATA, FLAG.PADDED, 1, padded(Buffer.from('padded'), 200)),
  frame(TYPE.DATA, FLAG.PADDED, 1, padded(Buffer.alloc(0), 7)),
  headers(3, requestBlock()),
  windowUpdate(0, 1000),
  data(1, '', true),
  frame(0xfa, 0xff, 9, Buffer.alloc(100)),
  goAway(3),
];
const ALL = Buffer.concat(FRAMES);

/** What the pieces between these offsets are read as, each in memory of its own that is overwritten afterwards. */
function readIn(cuts: readonly number[]): RecordingSink {
  const sink = new RecordingSink();
  const input = new CutFrame(new FrameReader(sink, 65_536));
  const ends = [...new Set([...cuts, ALL.length])].sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    // Behind other bytes, which are not to be read.
    const piece = Buffer.concat([Buffer.alloc(5, 0xff), ALL.subarray(start, end), Buffer.alloc(5, 0xff)]);
    input.read(piece, 5, piece.length - 5);
    piece.fill(0xee);
    start = end;
  }
  expect(input.length).toBe(0);
  return sink;
}

const whole = readIn([]);

test('frames are the same wherever a read ends', () => {
  expect(whole.events.length).toBeGreaterThan(FRAMES.length);
  for (let cut = 1; cut < ALL.length; cut++) expect(readIn([cut]).events, `cut at ${cut}`).toEqual(whole.events);
});

test('frames are the same in however many pieces they come', () => {
  expect(readIn(Array.from({ length: ALL.length }, (_, i) => i + 1)).events).toEqual(whole.events);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: ALL.length }), { maxLength: 50 }), (cuts) => {
      expect(readIn(cuts).events).toEqual(whole.events);
    }),
  );
});

test('what waits is a frame at most, however much comes behind it', () => {
  const sink = new RecordingSink();
  const input = new CutFrame(new FrameReader(sink, 65_536));
  const much = Buffer.concat([settings(), ...Array.from({ length: 100 }, () => headers(1, long))]);
  input.read(much, 0, 2000);
  expect(input.length).toBeLessThan(2000);
  input.read(much, 2000, much.length - 1);
  expect(input.length).toBe(9 + long.length - 1);
  input.clear();
  expect(input.length).toBe(0);
});

test('nothing is kept once the connection has come to its end', () => {
  const sink = new RecordingSink();
  const input = new CutFrame(new FrameReader(sink, 65_536));
  const bytes = Buffer.concat([settings(), data(1, 'x'.repeat(100))]);
  sink.stopsAfter = 'bytes 1';
  input.read(bytes, 0, bytes.length - 50);
  input.read(bytes, bytes.length - 50, bytes.length);
  expect([sink.stopped, input.length]).toEqual([true, 0]);
});
