import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeaderMap } from '../../../src/http/headers.ts';
import { FrameOutput } from '../../../src/http/http2/frame-output.ts';
import { bringLength, HeadWriter } from '../../../src/http/http2/head-writer.ts';
import { RequestHead, ResponseHead } from '../../../src/http/message.ts';
import type { Connection } from '../../../src/network/connection.ts';
import { contentOf, endsStream, FLAG, type Frame, FrameReader, TYPE } from '../../support/http2/frames.ts';
import { HpackDecoder } from '../../support/http2/hpack.ts';

/** A writer, and what a client makes of what it wrote. */
function writer(tableBytes = 4096, huffman = true) {
  const writes: Buffer[] = [];
  const connection = {
    congested: false,
    writeStable: (buffer: Buffer, start: number, end: number) => {
      writes.push(Buffer.from(buffer.subarray(start, end)));
      return true;
    },
  };
  const output = new FrameOutput(connection as unknown as Connection);
  const heads = new HeadWriter(output, { tableBytes, huffman });
  const decoder = new HpackDecoder();
  const reader = new FrameReader();
  return {
    heads,
    /** What was written since the last time. */
    written(): { frames: Frame[]; block: Buffer; fields: [string, string][] } {
      output.flushNow();
      const frames = reader.push(Buffer.concat(writes.splice(0)));
      const block = Buffer.concat(frames.map(contentOf));
      return { frames, block, fields: decoder.decode(block) };
    },
  };
}

function request(fields: Partial<RequestHead> = {}, ...headers: [string, string][]): RequestHead {
  const head = new RequestHead();
  Object.assign(head, { method: 'GET', path: '/', authority: 'a', scheme: 'http', ...fields });
  for (const [name, value] of headers) head.append(name, value);
  return head;
}

const response = (...headers: [string, string][]): ResponseHead => {
  const head = new ResponseHead();
  for (const [name, value] of headers) head.append(name, value);
  return head;
};

describe('the head of a request', () => {
  test('begins with its pseudo-headers', () => {
    const { heads, written } = writer();
    heads.request(1, request({ path: '/a?b' }, ['x-a', '1']), true, 0);
    const { frames, fields } = written();
    expect(fields).toEqual([
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/a?b'],
      [':authority', 'a'],
      ['x-a', '1'],
    ]);
    expect(frames.map(({ type, flags, streamId }) => [type, flags, streamId])).toEqual([
      [TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 1],
    ]);
  });

  test('leaves out what concerns one hop of HTTP/1.1', () => {
    const { heads, written } = writer();
    const hop: [string, string][] = [
      'connection',
      'upgrade',
      'keep-alive',
      'proxy-connection',
      'transfer-encoding',
      'host',
    ].map((name) => [name, 'x']);
    heads.request(1, request({}, ...hop, ['te', 'gzip'], ['x-a', '1']), true, 0);
    expect(written().fields.slice(4)).toEqual([['x-a', '1']]);
    heads.request(3, request({}, ['te', 'trailers']), true, 0);
    expect(written().fields.slice(4)).toEqual([['te', 'trailers']]);
  });

  test('leaves out what a filter removed', () => {
    const { heads, written } = writer();
    const head = request({}, ['x-a', '1'], ['x-b', '2']);
    head.remove('x-a');
    heads.request(1, head, true, 0);
    expect(written().fields.slice(4)).toEqual([['x-b', '2']]);
  });

  test('has a cookie in pairs', () => {
    const { heads, written } = writer();
    heads.request(1, request({}, ['cookie', 'a=1; b=2; c=;d=4']), true, 0);
    expect(written().fields.slice(4)).toEqual([
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
      ['cookie', 'c=;d=4'],
    ]);
  });

  test('has a cookie of very many pairs', () => {
    const { heads, written } = writer();
    const pairs = Array.from({ length: 5000 }, (_, i) => `${i}=`);
    heads.request(1, request({}, ['cookie', pairs.join('; ')]), true, 0);
    expect(
      written()
        .fields.slice(4)
        .map(([, value]) => value),
    ).toEqual(pairs);
  });

  test('is CONNECT with an authority alone, or extended by the protocol', () => {
    const { heads, written } = writer();
    heads.request(1, request({ method: 'CONNECT', authority: 'there:443', path: '' }), false, -1);
    expect(written().fields).toEqual([
      [':method', 'CONNECT'],
      [':authority', 'there:443'],
    ]);
    heads.request(3, request({ upgrade: 'websocket' }, ['upgrade', 'websocket'], ['content-length', '0']), false, -1);
    expect(written().fields).toEqual([
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'a'],
    ]);
  });

  test.each<[string, Partial<RequestHead>]>([
    ['a path without a slash', { path: 'x' }],
    ['a path with a space', { path: '/a b' }],
    ['a path with a line feed', { path: '/\n' }],
    ['an authority with a space', { authority: 'a b' }],
    ['a method that is no token', { method: 'G T' }],
    ['an empty method', { method: '' }],
  ])('is refused when a filter left %s, and the next one goes out as if nothing had been', (_what, fields) => {
    const { heads, written } = writer();
    expect(() => heads.request(1, request({ receivedPath: '/', receivedAuthority: 'a', ...fields }), true, 0)).toThrow(
      TypeError,
    );
    expect(written().frames).toEqual([]);
    heads.request(3, request(), true, 0);
    expect(written().fields.length).toBe(4);
  });
});

describe('the head of a response', () => {
  test('begins with its status', () => {
    const { heads, written } = writer();
    heads.response(1, 404, response(['x-a', '1'], ['connection', 'close']), false);
    const { fields, frames } = written();
    expect(fields).toEqual([
      [':status', '404'],
      ['x-a', '1'],
    ]);
    expect(frames.map(endsStream)).toEqual([false]);
    heads.response(1, 100, undefined, false);
    expect(written().fields).toEqual([[':status', '100']]);
  });

  test('longer than a frame is continued; END_STREAM is on its first one', () => {
    const { heads, written } = writer();
    const long = Array.from({ length: 30 }, (_, i): [string, string] => [`x-${i}`, `${i}`.repeat(1000)]);
    heads.response(1, 200, response(...long), true);
    const { frames, fields } = written();
    expect(fields.slice(1)).toEqual(long);
    expect(frames.length).toBeGreaterThan(2);
    expect(frames.map(({ type }) => type)).toEqual([TYPE.HEADERS, ...frames.slice(1).map(() => TYPE.CONTINUATION)]);
    expect(frames.map(({ flags }) => flags & FLAG.END_HEADERS)).toEqual([
      ...frames.slice(1).map(() => 0),
      FLAG.END_HEADERS,
    ]);
    expect(frames.map(({ flags }) => flags & FLAG.END_STREAM)).toEqual([1, ...frames.slice(1).map(() => 0)]);
    for (const { payload } of frames) expect(payload.length).toBeLessThanOrEqual(16_384);
  });

  test('keeps what was never indexed so, and repeats nothing else in full', () => {
    const { heads, written } = writer();
    const head = response(['x-secret', 'tell nobody'], ['x-steady', 'the same each time']);
    head.neverIndexed = ['x-secret'];
    heads.response(1, 200, head, true);
    const first = written().block;
    for (let i = 0; i < 3; i++) {
      heads.response(3, 200, head, true);
      const { block, fields } = written();
      expect(fields.slice(1)).toEqual([...head]);
      expect(block.length).toBeLessThan(first.length);
      // A literal that is never indexed, with its value in clear (RFC 7541 §6.2.3).
      expect(block.includes('tell nobody')).toBe(true);
    }
  });
});

test('trailers end the stream; those of which nothing may be sent are none', () => {
  const { heads, written } = writer();
  const trailers = new HeaderMap();
  trailers.append('grpc-status', '0');
  trailers.append('connection', 'close');
  expect(heads.trailers(1, trailers)).toBe(true);
  const { frames, fields } = written();
  expect([fields, frames.map(endsStream)]).toEqual([[['grpc-status', '0']], [true]]);
  trailers.remove('grpc-status');
  expect(heads.trailers(1, trailers)).toBe(false);
  expect(written().frames).toEqual([]);
});

test('content-length says what will be sent, or nothing', () => {
  const said = (length: number): string | undefined => {
    const head = response(['content-length', '5']);
    bringLength(head, length);
    return head.get('content-length');
  };
  expect([said(5), said(7), said(0), said(-1)]).toEqual(['5', '7', '0', undefined]);
  const none = response();
  bringLength(none, 5);
  expect(none.has('content-length')).toBe(false);
});

test('whatever the heads and the table are, the other side reads what was written', () => {
  const name = fc.stringMatching(/^x-[a-z]{1,6}$/);
  const value = fc.oneof(
    fc.stringMatching(/^[!-~]{0,40}$/),
    fc.string({ unit: fc.constantFrom('a', 'z', '\xff'), maxLength: 9000 }),
  );
  const head = fc.array(fc.tuple(name, value), { maxLength: 12 });
  fc.assert(
    fc.property(
      fc.array(head, { maxLength: 8 }),
      fc.constantFrom(0, 100, 4096),
      fc.boolean(),
      (all, table, huffman) => {
        const { heads, written } = writer(4096, huffman);
        heads.setPeerTableBytes(table);
        for (const fields of all) {
          heads.response(1, 200, response(...fields), false);
          expect(written().fields.slice(1)).toEqual(fields);
        }
      },
    ),
    { numRuns: 60 },
  );
});
