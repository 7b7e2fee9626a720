import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHUNK, ChunkDecoder } from '../../../src/http/http1/chunk-decoder.ts';
import { anyBytes } from './codec-harness.ts';

/** Decodes pieces; the body, and how many bytes of the input lie before the trailer section (-1: not reached). */
function decode(pieces: Buffer[]): { body: string; trailersAt: number; failed: boolean } {
  const decoder = new ChunkDecoder();
  let body = '';
  let before = 0;
  for (const piece of pieces) {
    let i = 0;
    while (i < piece.length) {
      const from = i;
      i = decoder.next(piece, i, piece.length);
      if (decoder.found === CHUNK.ERROR) return { body, trailersAt: -1, failed: true };
      if (decoder.found === CHUNK.DATA) body += piece.latin1Slice(decoder.dataStart, decoder.dataEnd);
      if (decoder.found === CHUNK.TRAILERS) return { body, trailersAt: before + i, failed: false };
      if (i <= from) throw new Error('no progress');
    }
    before += piece.length;
  }
  return { body, trailersAt: -1, failed: false };
}

const decodeText = (text: string) => decode([Buffer.from(text, 'latin1')]);

const extension = fc.oneof(fc.constant(''), fc.stringMatching(/^;[\t\x20-\x7e\x80-\xff]{0,12}$/));
const chunk = fc
  .tuple(anyBytes(1, 40), extension, fc.constantFrom('', '0', '000'), fc.boolean())
  .map(([data, ext, zeros, upper]) => {
    const size = data.length.toString(16);
    return { data, wire: `${zeros}${upper ? size.toUpperCase() : size}${ext}\r\n${data}\r\n` };
  });
const message = fc.tuple(fc.array(chunk, { maxLength: 6 }), extension).map(([chunks, last]) => ({
  body: chunks.map((one) => one.data).join(''),
  wire: `${chunks.map((one) => one.wire).join('')}0${last}\r\n`,
}));

describe('chunks', () => {
  test('give the same body wherever they are split', () => {
    fc.assert(
      fc.property(message, ({ body, wire }) => {
        const bytes = Buffer.from(wire, 'latin1');
        for (let cut = 0; cut <= bytes.length; cut++) {
          const found = decode([bytes.subarray(0, cut), bytes.subarray(cut)]);
          expect([cut, found]).toEqual([cut, { body, trailersAt: bytes.length, failed: false }]);
        }
        expect(decode(Array.from(bytes, (byte) => Buffer.from([byte]))).body).toBe(body);
      }),
      { numRuns: 200 },
    );
  });

  test('of any bytes never throw, never stand still, and never give more than came', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 5 }), (pieces) => {
        const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
        expect(decode(pieces.map((piece) => Buffer.from(piece))).body.length).toBeLessThanOrEqual(total);
      }),
      { numRuns: 3000 },
    );
  });

  test('stop exactly where the trailer section begins', () => {
    expect(decodeText('3\r\nabc\r\n0\r\nx: y\r\n\r\nGET /')).toEqual({ body: 'abc', trailersAt: 11, failed: false });
  });
});

describe('refused', () => {
  test.each([
    ['a sign', '+3\r\nabc\r\n'],
    ['a negative size', '-3\r\nabc\r\n'],
    ['0x', '0x3\r\nabc\r\n'],
    ['a space before the size', ' 3\r\nabc\r\n'],
    ['a space behind the size', '3 \r\nabc\r\n'],
    ['a tab behind the size', '3\t\r\nabc\r\n'],
    ['a space before an extension', '3 ;x\r\nabc\r\n'],
    ['no size', '\r\nabc\r\n'],
    ['only an extension', ';x\r\nabc\r\n'],
    ['a size that is no number', 'g\r\nabc\r\n'],
    ['a bare LF behind the size', '3\nabc\r\n'],
    ['a bare CR behind the size', '3\rabc\r\n'],
    ['a bare LF in an extension', '3;a\nabc\r\n'],
    ['a bare CR in an extension', '3;a\rb\r\nabc\r\n'],
    ['a NUL in an extension', '3;a\0\r\nabc\r\n'],
    ['a bare LF behind the data', '3\r\nabc\n0\r\n'],
    ['no CRLF behind the data', '3\r\nabc0\r\n'],
    ['data that are longer than the size', '3\r\nabcd\r\n0\r\n'],
    ['CR without LF behind the data', '3\r\nabc\rX'],
    ['a size of 2^64 + 3', '10000000000000003\r\nabc\r\n'],
    ['a size past 2^53', 'ffffffffffffff\r\n'],
    ['zeros without end', `${'0'.repeat(100)}3\r\nabc\r\n`],
    ['an 8-bit digit', '\xb3\r\nabc\r\n'],
    ['a full-width colon', '3:x\r\nabc\r\n'],
  ])('%s', (_, text) => {
    expect(decodeText(text).failed).toBe(true);
  });

  test('extensions of one message beyond 16 KiB, however they are spread', () => {
    expect(decodeText(`1;${'a'.repeat(16 * 1024)}\r\nx\r\n0\r\n`).failed).toBe(false);
    expect(decodeText(`1;${'a'.repeat(16 * 1024 + 1)}\r\nx\r\n0\r\n`).failed).toBe(true);
    expect(decodeText(`1;${'a'.repeat(99)}\r\nx\r\n`.repeat(1000)).failed).toBe(true);
  });
});

test('a decoder that was reset knows nothing of the message before', () => {
  const decoder = new ChunkDecoder();
  const half = Buffer.from(`5;${'a'.repeat(16_000)}`, 'latin1');
  decoder.next(half, 0, half.length);
  decoder.reset();
  const whole = Buffer.from(`1;${'a'.repeat(16_000)}\r\nx\r\n0\r\n`, 'latin1');
  let i = decoder.next(whole, 0, whole.length);
  expect(decoder.found).toBe(CHUNK.DATA);
  i = decoder.next(whole, i, whole.length);
  expect([decoder.found, i]).toEqual([CHUNK.TRAILERS, whole.length]);
});
