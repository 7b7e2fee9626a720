import { describe, expect, test } from 'vitest';
import { FrameReader } from '../../../src/http/http2/frame-reader.ts';
import {
  CODE,
  continuation,
  data,
  FLAG,
  frame,
  goAway,
  headers,
  nameOf,
  padded,
  ping,
  priority,
  pushPromise,
  rstStream,
  settings,
  settingsAck,
  TYPE,
  windowUpdate,
} from '../../support/http2/frames.ts';
import { RecordingSink } from './recording-sink.ts';

const MAX_BLOCK = 40_000;
const BLOCK = Buffer.from('block');

/** What a reader says of these frames, which come behind a first SETTINGS. */
function read(...frames: readonly Buffer[]): string[] {
  const sink = new RecordingSink();
  const bytes = Buffer.concat([settings(), ...frames]);
  new FrameReader(sink, MAX_BLOCK).read(bytes, 0, bytes.length);
  return sink.events.slice(1);
}

const END = FLAG.END_STREAM;

describe('frames that are right', () => {
  test.each<[string, Buffer, string[]]>([
    ['DATA', data(1, 'abc', true), ['data 1 3 3 true', 'data end abc']],
    ['DATA without bytes', data(1, ''), ['empty false', 'data 1 0 0 false', 'data end ']],
    ['padded DATA', frame(TYPE.DATA, FLAG.PADDED | END, 3, padded(BLOCK, 4)), ['data 3 10 5 true', 'data end block']],
    [
      'DATA of padding',
      frame(TYPE.DATA, FLAG.PADDED, 3, padded(Buffer.alloc(0), 255)),
      ['empty false', 'data 3 256 0 false', 'data end '],
    ],
    [
      'DATA of the length of its padding',
      frame(TYPE.DATA, FLAG.PADDED, 3, padded(Buffer.alloc(0), 0)),
      ['empty false', 'data 3 1 0 false', 'data end '],
    ],
    ['HEADERS', headers(1, BLOCK), ['headers 1 true block']],
    ['HEADERS without a block', headers(1, Buffer.alloc(0)), ['empty true', 'headers 1 true ']],
    [
      'HEADERS with a priority',
      frame(
        TYPE.HEADERS,
        FLAG.END_HEADERS | FLAG.PRIORITY,
        5,
        Buffer.concat([priority(0, 0x8000_0003).subarray(9), BLOCK]),
      ),
      ['priority 5 3', 'headers 5 false block'],
    ],
    [
      'HEADERS with padding and a priority',
      frame(
        TYPE.HEADERS,
        FLAG.END_HEADERS | FLAG.PRIORITY | FLAG.PADDED,
        5,
        padded(Buffer.concat([priority(0, 3).subarray(9), BLOCK]), 9),
      ),
      ['priority 5 3', 'headers 5 false block'],
    ],
    ['PRIORITY', priority(7, 5), ['priority 7 5']],
    ['RST_STREAM', rstStream(3, 0xffff_ffff), ['reset 3 4294967295']],
    ['SETTINGS', settings({ 3: 9 }), ['settings 000300000009']],
    ['an acknowledgement', settingsAck(), ['settings ack']],
    ['PING', ping('12345678'), ['ping false 12345678']],
    ['an answer to PING', ping('12345678', true), ['ping true 12345678']],
    ['GOAWAY', goAway(0x8000_0005, 2, 'why'), ['goaway 5 2 why']],
    ['WINDOW_UPDATE', windowUpdate(9, 0x8000_0001), ['window 9 1']],
    ['a frame of an unknown type', frame(0xbb, 0xff, 9, BLOCK), []],
  ])('%s', (_name, bytes, events) => {
    expect(read(bytes)).toEqual(events);
  });

  test('the reserved bit of a stream’s id counts for nothing', () => {
    expect(read(data(0x8000_0001 >>> 0, 'a'))).toEqual(['data 1 1 1 false', 'data end a']);
  });

  test('the debug data of a GOAWAY are cut', () => {
    const [event] = read(goAway(1, 0, 'x'.repeat(10_000))) as [string];
    expect(event.length).toBeLessThan(300);
  });

  test('a header block comes as a whole, however it was cut', () => {
    expect(
      read(
        headers(1, Buffer.from('one'), { endHeaders: false, endStream: true }),
        continuation(1, Buffer.from(' two'), false),
        continuation(1, Buffer.from(' three')),
        headers(3, Buffer.from('four'), { endStream: false }),
      ),
    ).toEqual(['block true', 'block false', 'headers 1 true one two three', 'headers 3 false four']);
  });

  test('a frame of the largest size is taken', () => {
    expect(read(data(1, 'x'.repeat(16_384))).length).toBe(2);
  });
});

describe('frames that end the connection', () => {
  test.each<[string, Buffer | Buffer[], string]>([
    ['one byte too long', data(1, 'x'.repeat(16_385)), 'FRAME_SIZE_ERROR'],
    ['of an unknown type and too long', frame(0xbb, 0, 0, Buffer.alloc(0), 16_385), 'FRAME_SIZE_ERROR'],
    ['DATA of the connection', data(0, 'a'), 'PROTOCOL_ERROR'],
    ['DATA with more padding than frame', frame(TYPE.DATA, FLAG.PADDED, 1, padded(BLOCK, 0, 6)), 'PROTOCOL_ERROR'],
    ['padded DATA without the padding’s length', frame(TYPE.DATA, FLAG.PADDED, 1), 'FRAME_SIZE_ERROR'],
    ['HEADERS of the connection', headers(0, BLOCK), 'PROTOCOL_ERROR'],
    [
      'HEADERS with more padding than frame',
      frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.PADDED, 1, padded(BLOCK, 0, 6)),
      'PROTOCOL_ERROR',
    ],
    [
      'padded HEADERS without the padding’s length',
      frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.PADDED, 1),
      'FRAME_SIZE_ERROR',
    ],
    [
      'HEADERS too short for their priority',
      frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.PRIORITY, 1, Buffer.alloc(4)),
      'FRAME_SIZE_ERROR',
    ],
    ['PRIORITY of the connection', priority(0, 1), 'PROTOCOL_ERROR'],
    ['RST_STREAM of the connection', rstStream(0), 'PROTOCOL_ERROR'],
    ['RST_STREAM of three bytes', frame(TYPE.RST_STREAM, 0, 1, Buffer.alloc(3)), 'FRAME_SIZE_ERROR'],
    ['SETTINGS of a stream', frame(TYPE.SETTINGS, 0, 1), 'PROTOCOL_ERROR'],
    ['SETTINGS of seven bytes', frame(TYPE.SETTINGS, 0, 0, Buffer.alloc(7)), 'FRAME_SIZE_ERROR'],
    ['an acknowledgement with a payload', frame(TYPE.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6)), 'FRAME_SIZE_ERROR'],
    ['PING of a stream', frame(TYPE.PING, 0, 1, Buffer.alloc(8)), 'PROTOCOL_ERROR'],
    ['PING of nine bytes', frame(TYPE.PING, 0, 0, Buffer.alloc(9)), 'FRAME_SIZE_ERROR'],
    ['GOAWAY of a stream', frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8)), 'PROTOCOL_ERROR'],
    ['GOAWAY of seven bytes', frame(TYPE.GOAWAY, 0, 0, Buffer.alloc(7)), 'FRAME_SIZE_ERROR'],
    ['WINDOW_UPDATE of five bytes', frame(TYPE.WINDOW_UPDATE, 0, 0, Buffer.alloc(5)), 'FRAME_SIZE_ERROR'],
    ['CONTINUATION of nothing', continuation(1, BLOCK), 'PROTOCOL_ERROR'],
    ['CONTINUATION behind a block’s end', [headers(1, BLOCK), continuation(1, BLOCK)], 'PROTOCOL_ERROR'],
    [
      'CONTINUATION of another stream',
      [headers(1, BLOCK, { endHeaders: false }), continuation(3, BLOCK)],
      'PROTOCOL_ERROR',
    ],
    ['a PING within a block', [headers(1, BLOCK, { endHeaders: false }), ping()], 'PROTOCOL_ERROR'],
    ['DATA within a block', [headers(1, BLOCK, { endHeaders: false }), data(1, 'a')], 'PROTOCOL_ERROR'],
    ['an unknown type within a block', [headers(1, BLOCK, { endHeaders: false }), frame(0xbb, 0, 1)], 'PROTOCOL_ERROR'],
    [
      'a block beyond its limit',
      [
        headers(1, Buffer.alloc(16_000), { endHeaders: false }),
        continuation(1, Buffer.alloc(16_000), false),
        continuation(1, Buffer.alloc(8_001), false),
      ],
      'ENHANCE_YOUR_CALM',
    ],
    [
      'a block in too many pieces',
      [headers(1, BLOCK, { endHeaders: false }), ...Array.from({ length: 33 }, () => continuation(1, BLOCK, false))],
      'ENHANCE_YOUR_CALM',
    ],
  ])('%s', (_name, frames, code) => {
    const last = read(...(Array.isArray(frames) ? frames : [frames]), ping('not read')).at(-1) as string;
    expect(last).toMatch(/^error \d+ /);
    expect(nameOf(CODE, Number(last.split(' ')[1]))).toBe(code);
  });

  test('a push, whose block nobody decodes', () => {
    expect(read(pushPromise(1, 2, BLOCK))[0]).toBe('push');
  });
});

test('PRIORITY of a wrong size is a matter of its stream', () => {
  expect(read(frame(TYPE.PRIORITY, 0, 3, Buffer.alloc(4)), ping('readable'))).toEqual([
    `stream error 3 ${CODE.FRAME_SIZE_ERROR} PRIORITY of wrong size`,
    'ping false readable',
  ]);
});

test.each([
  ['PING', ping()],
  ['an acknowledgement', settingsAck()],
  ['DATA', data(1, 'x')],
  ['an unknown type', frame(0xbb, 0, 0)],
])('the first frame is SETTINGS, not %s', (_name, first) => {
  const sink = new RecordingSink();
  new FrameReader(sink, MAX_BLOCK).read(first, 0, first.length);
  expect(sink.events).toEqual([`error ${CODE.PROTOCOL_ERROR} the first frame is no SETTINGS`]);
});

test('what breaks a frame’s rules is told as soon as its header is there', () => {
  const sink = new RecordingSink();
  const bytes = Buffer.concat([settings(), frame(TYPE.HEADERS, 0, 1, Buffer.alloc(0), 1_000_000)]);
  new FrameReader(sink, MAX_BLOCK).read(bytes, 0, bytes.length);
  expect(sink.events.at(-1)).toBe(`error ${CODE.FRAME_SIZE_ERROR} frame too large`);
});
