import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeaderMap } from '../../../src/http/headers.ts';
import { HeadParser } from '../../../src/http/http1/head-parser.ts';
import { headerLines } from '../../../src/http/http1/message-writer.ts';
import { LIMITS } from './codec-harness.ts';
import { referenceRequest } from './reference-parser.ts';

interface Parsed {
  done: boolean;
  error: string | undefined;
  headers: [string, string][];
  map: HeaderMap;
  parser: HeadParser;
}

function parse(bytes: Buffer, end = bytes.length, limits = LIMITS): Parsed {
  const parser = new HeadParser(limits);
  const map = new HeaderMap();
  const copy = Buffer.from(bytes);
  const done = parser.parseRequest(copy, 0, end, map);
  if (done) map.raw = copy.latin1Slice(0, parser.headBytes);
  return { done, error: parser.error?.details, headers: done ? [...map] : [], map, parser };
}

const parseText = (text: string, limits = LIMITS): Parsed => parse(Buffer.from(text, 'latin1'), undefined, limits);
const head = (...lines: string[]): string => ['GET / HTTP/1.1', 'host: a', ...lines, '', ''].join('\r\n');

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);
const name = fc.oneof(
  token,
  fc.constantFrom('Host', 'Content-Length', 'transfer-encoding', 'X-Request-Id', 'x-envoy-max-retries', 'Cookie', 'TE'),
);
const white = fc.stringMatching(/^[\t ]{0,3}$/);
const value = fc.oneof(
  fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,30}$/),
  fc.constantFrom('chunked', 'Chunked', '5', '0', 'close', 'identity', ''),
);
const field = fc.tuple(name, white, value, white).map(([n, before, v, after]) => `${n}:${before}${v}${after}\r\n`);
const validShape = fc
  .tuple(token, fc.stringMatching(/^[\x21-\x7e]{1,30}$/), fc.constantFrom('0', '1'), fc.array(field, { maxLength: 12 }))
  .map(([method, target, minor, fields]) => `${method} ${target} HTTP/1.${minor}\r\n${fields.join('')}\r\n`);
/** Heads with a byte put in, taken out or changed. */
const damaged = fc
  .tuple(validShape, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 2))
  .map(([text, at, byte, how]) => {
    const i = at % text.length;
    const char = String.fromCharCode(byte);
    if (how === 0) return text.slice(0, i) + char + text.slice(i);
    return how === 1 ? text.slice(0, i) + char + text.slice(i + 1) : text.slice(0, i) + text.slice(i + 1);
  });

function agrees(text: string): void {
  const parsed = parseText(text);
  const end = text.indexOf('\r\n\r\n') + 4;
  const expected = end < 4 ? undefined : referenceRequest(text.slice(0, end));
  if (expected === undefined) {
    expect(parsed.done).toBe(false);
    return;
  }
  expect(parsed.error).toBeUndefined();
  expect(parsed.done).toBe(true);
  const { parser } = parsed;
  expect(parsed.headers).toEqual(expected.headers);
  expect(parser.headBytes).toBe(end);
  expect(text.slice(parser.methodStart, parser.methodEnd)).toBe(expected.method);
  expect(text.slice(parser.targetStart, parser.targetEnd)).toBe(expected.target);
  expect(parser.minorVersion).toBe(expected.minorVersion);
  expect(parser.contentLength).toBe(expected.contentLength);
  expect(parser.chunked).toBe(expected.chunked);
}

describe('a head', () => {
  test('is read as the reference reads it', () => {
    fc.assert(fc.property(validShape, agrees), { numRuns: 2000 });
  });

  test('is refused where the reference refuses it', () => {
    fc.assert(fc.property(damaged, agrees), { numRuns: 4000 });
  });

  test('asks for more at every split point, and is never refused for being cut', () => {
    fc.assert(
      fc.property(validShape, (text) => {
        fc.pre(referenceRequest(text.slice(0, text.indexOf('\r\n\r\n') + 4)) !== undefined);
        const bytes = Buffer.from(text, 'latin1');
        const whole = text.indexOf('\r\n\r\n') + 4;
        for (let cut = 0; cut < whole; cut++) {
          const part = parse(bytes, cut);
          expect([cut, part.done, part.error]).toEqual([cut, false, undefined]);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('that is written on and read again is the same', () => {
    fc.assert(
      fc.property(validShape, (text) => {
        const first = parseText(text);
        fc.pre(first.done);
        const again = parseText(`GET / HTTP/1.1\r\n${headerLines(first.map)}\r\n`);
        const written = first.headers.filter(([n]) => n !== 'transfer-encoding' && n !== 'connection');
        if (first.parser.hasTransferEncoding) return;
        expect(again.headers.filter(([n]) => n !== 'connection')).toEqual(written);
      }),
      { numRuns: 1000 },
    );
  });

  test('of any bytes neither throws nor hangs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const parsed = parse(Buffer.from(bytes));
        expect(parsed.done && parsed.error !== undefined).toBe(false);
        const response = new HeadParser(LIMITS);
        response.parseResponse(Buffer.from(bytes), 0, bytes.length, new HeaderMap());
        const trailers = new HeadParser(LIMITS);
        trailers.parseTrailers(Buffer.from(bytes), 0, bytes.length, new HeaderMap());
      }),
      { numRuns: 3000 },
    );
  });
});

describe('spelling', () => {
  test('is kept on the wire where names are to keep their case', () => {
    const limits = { ...LIMITS, preserveCase: true };
    const parsed = parseText(head('X-Fancy-NAME: a', 'Odd-Space:  b '), limits);
    expect(parsed.headers.map(([n]) => n)).toEqual(['host', 'x-fancy-name', 'odd-space']);
    expect(headerLines(parsed.map)).toBe('host: a\r\nX-Fancy-NAME: a\r\nOdd-Space: b\r\n');
  });

  test('is lower case on the wire otherwise', () => {
    expect(headerLines(parseText(head('X-Fancy-NAME: a')).map)).toBe('host: a\r\nx-fancy-name: a\r\n');
  });
});

describe('smuggling: refused, with the reason', () => {
  const cases: [string, string, string][] = [
    [
      'length and chunked',
      head('content-length: 5', 'transfer-encoding: chunked'),
      'http1.content_length_and_chunked_not_allowed',
    ],
    [
      'chunked and length',
      head('transfer-encoding: chunked', 'content-length: 0'),
      'http1.content_length_and_chunked_not_allowed',
    ],
    ['two lengths that differ', head('content-length: 5', 'content-length: 6'), 'http1.duplicate_content_length'],
    ['two equal lengths', head('content-length: 5', 'content-length: 5'), 'http1.duplicate_content_length'],
    ['a list of lengths', head('content-length: 5, 5'), 'http1.invalid_content_length'],
    ['a length with a sign', head('content-length: +5'), 'http1.invalid_content_length'],
    ['a negative length', head('content-length: -1'), 'http1.invalid_content_length'],
    ['a hexadecimal length', head('content-length: 0x5'), 'http1.invalid_content_length'],
    ['a length with a space inside', head('content-length: 1 0'), 'http1.invalid_content_length'],
    ['a length with a fraction', head('content-length: 5.0'), 'http1.invalid_content_length'],
    ['an exponent', head('content-length: 1e1'), 'http1.invalid_content_length'],
    ['an empty length', head('content-length:'), 'http1.invalid_content_length'],
    ['a huge length', head('content-length: 99999999999999999999'), 'http1.invalid_content_length'],
    ['a length past 2^53', head('content-length: 9007199254740993'), 'http1.invalid_content_length'],
    ['other digits', head('content-length: \xb2'), 'http1.invalid_content_length'],
    ['identity', head('transfer-encoding: identity'), 'http1.invalid_transfer_encoding'],
    ['gzip, chunked', head('transfer-encoding: gzip, chunked'), 'http1.invalid_transfer_encoding'],
    ['chunked, chunked', head('transfer-encoding: chunked, chunked'), 'http1.invalid_transfer_encoding'],
    [
      'chunked twice',
      head('transfer-encoding: chunked', 'transfer-encoding: chunked'),
      'http1.invalid_transfer_encoding',
    ],
    [
      'chunked, then identity',
      head('transfer-encoding: chunked', 'transfer-encoding: identity'),
      'http1.invalid_transfer_encoding',
    ],
    ['xchunked', head('transfer-encoding: xchunked'), 'http1.invalid_transfer_encoding'],
    ['chunkedx', head('transfer-encoding: chunkedx'), 'http1.invalid_transfer_encoding'],
    ['quoted chunked', head('transfer-encoding: "chunked"'), 'http1.invalid_transfer_encoding'],
    ['chunked with a parameter', head('transfer-encoding: chunked;a=b'), 'http1.invalid_transfer_encoding'],
    ['a comma before chunked', head('transfer-encoding: ,chunked'), 'http1.invalid_transfer_encoding'],
    ['a vertical tab before chunked', head('transfer-encoding: \x0bchunked'), 'http1.invalid_characters'],
    ['a form feed behind chunked', head('transfer-encoding: chunked\x0c'), 'http1.invalid_characters'],
    ['a no-break space before chunked', head('transfer-encoding: \xa0chunked'), 'http1.invalid_transfer_encoding'],
    ['an empty coding', head('transfer-encoding:'), 'http1.invalid_transfer_encoding'],
    [
      'chunked in HTTP/1.0',
      'POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n',
      'http1.transfer_encoding_in_http10',
    ],
    ['a space before the colon', head('transfer-encoding : chunked'), 'http1.invalid_header_name'],
    ['a tab before the colon', head('content-length\t: 5'), 'http1.invalid_header_name'],
    ['a space in a name', head('content length: 5'), 'http1.invalid_header_name'],
    ['a NUL in a name', head('content-length\0: 5'), 'http1.invalid_header_name'],
    ['an 8-bit byte in a name', head('content-length\xff: 5'), 'http1.invalid_header_name'],
    ['an empty name', head(': 5'), 'http1.invalid_header_name'],
    ['a line without a colon', head('content-length'), 'http1.bare_cr_or_lf'],
    ['a folded line', head('x: a', ' transfer-encoding: chunked'), 'http1.obsolete_line_folding'],
    ['a line folded with a tab', head('x: a', '\tb'), 'http1.obsolete_line_folding'],
    ['white space before the first header', 'GET / HTTP/1.1\r\n host: a\r\n\r\n', 'http1.invalid_header_name'],
    ['a bare LF behind a value', 'GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n', 'http1.bare_cr_or_lf'],
    ['a bare LF as the empty line', 'GET / HTTP/1.1\r\nhost: a\r\n\n', 'http1.bare_cr_or_lf'],
    ['a bare LF behind the request line', 'GET / HTTP/1.1\nhost: a\r\n\r\n', 'http1.bare_cr_or_lf'],
    ['a bare CR in a value', head('x: a\rb: c'), 'http1.bare_cr_or_lf'],
    ['a CR before CRLF', head('x: a\r'), 'http1.bare_cr_or_lf'],
    ['a bare CR as the empty line', 'GET / HTTP/1.1\r\nhost: a\r\n\rX', 'http1.bare_cr_or_lf'],
    ['a NUL in a value', head('x: a\0b'), 'http1.invalid_characters'],
    ['a DEL in a value', head('x: \x7f'), 'http1.invalid_characters'],
    ['two Hosts', head('host: b'), 'http1.duplicate_host'],
    ['two equal Hosts', head('host: a'), 'http1.duplicate_host'],
    ['two spaces behind the method', 'GET  / HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_request_line'],
    ['two spaces behind the target', 'GET /  HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_version'],
    ['a tab in the request line', 'GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_request_line'],
    ['a tab behind the target', 'GET /\tHTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_url'],
    ['a space before the method', ' GET / HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_request_line'],
    ['a space behind the version', 'GET / HTTP/1.1 \r\nhost: a\r\n\r\n', 'http1.invalid_request_line'],
    ['a space in the target', 'GET /a b HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_version'],
    ['a control byte in the target', 'GET /\x01 HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_url'],
    ['an 8-bit byte in the target', 'GET /\xe9 HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_url'],
    ['HTTP/0.9', 'GET /\r\n', 'http1.invalid_request_line'],
    ['HTTP/1.2', 'GET / HTTP/1.2\r\nhost: a\r\n\r\n', 'low_version'],
    ['HTTP/1.10', 'GET / HTTP/1.10\r\nhost: a\r\n\r\n', 'http1.invalid_request_line'],
    ['HTTP/2.0', 'GET / HTTP/2.0\r\nhost: a\r\n\r\n', 'low_version'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'low_version'],
    ['a lower-case version', 'GET / http/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_version'],
    ['a method with a delimiter', 'GE(T / HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_request_line'],
    ['no method', '/ HTTP/1.1\r\nhost: a\r\n\r\n', 'http1.invalid_request_line'],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'http1.invalid_request_line'],
  ];
  test.each(cases)('%s', (_, text, details) => {
    const parsed = parseText(text);
    expect([parsed.done, parsed.error]).toEqual([false, details]);
  });

  test('an unknown transfer coding is 501, everything else malformed 400', () => {
    expect(parseText(head('transfer-encoding: gzip')).parser.error?.status).toBe(501);
    expect(parseText(head('content-length: x')).parser.error?.status).toBe(400);
  });
});

describe('limits', () => {
  test('a head of exactly the limit passes, one byte more does not', () => {
    const fill = (bytes: number): string => {
      const frame = head('x: ').length;
      return head(`x: ${'a'.repeat(bytes - frame)}`);
    };
    expect(parseText(fill(60 * 1024)).done).toBe(true);
    expect(parseText(fill(60 * 1024 + 1)).parser.error).toEqual({ status: 431, details: 'http1.headers_too_large' });
  });

  test('a head without an end is refused as soon as it is too large', () => {
    const text = `GET /${'a'.repeat(61 * 1024)}`;
    expect(parseText(text).error).toBe('http1.headers_too_large');
    expect(parseText('G'.repeat(61 * 1024)).error).toBe('http1.headers_too_large');
  });

  test('100 headers pass, 101 do not', () => {
    const lines = (count: number): string => head(...Array.from({ length: count - 1 }, (_, i) => `x${i}: y`));
    expect(parseText(lines(100)).headers.length).toBe(100);
    expect(parseText(lines(101)).parser.error).toEqual({ status: 431, details: 'http1.too_many_headers' });
  });
});

describe('a status line', () => {
  const parseResponse = (text: string): HeadParser => {
    const parser = new HeadParser(LIMITS);
    parser.parseResponse(Buffer.from(text, 'latin1'), 0, text.length, new HeaderMap());
    return parser;
  };

  test('is read with and without a reason', () => {
    for (const line of ['HTTP/1.1 204 No Content', 'HTTP/1.1 204 ', 'HTTP/1.1 204', 'HTTP/1.1 204 caf\xe9 (x)']) {
      const parser = parseResponse(`${line}\r\n\r\n`);
      expect([line, parser.status, parser.error, parser.headBytes]).toEqual([line, 204, undefined, line.length + 4]);
    }
  });

  test.each([
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1 -20 OK',
    'HTTP/1.1 099 OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1200 OK',
    'HTTP/2.0 200 OK',
    'HTTP/1.1 200\tOK',
    'ICY 200 OK',
    '<html>',
    '\r\nHTTP/1.1 200 OK',
  ])('%j is refused', (line) => {
    expect(parseResponse(`${line}\r\nx: y\r\n\r\n`).error).toBeDefined();
  });
});
