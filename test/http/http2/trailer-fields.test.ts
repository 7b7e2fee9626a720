import { expect, test } from 'vitest';
import { HeaderMap } from '../../../src/http/headers.ts';
import { readTrailerFields } from '../../../src/http/http2/trailer-fields.ts';
import { fieldList, type TestField } from './fields.ts';

function read(fields: readonly TestField[], limits?: Parameters<typeof fieldList>[1]) {
  const trailers = new HeaderMap();
  return { problem: readTrailerFields(fieldList(fields, limits), trailers), trailers };
}

test('trailers are read in their order', () => {
  const { problem, trailers } = read([
    ['grpc-status', '0'],
    ['grpc-message', ''],
    ['x-bin', 'AAE=', 'never'],
  ]);
  expect(problem).toBe('');
  expect([...trailers]).toEqual([
    ['grpc-status', '0'],
    ['grpc-message', ''],
    ['x-bin', 'AAE='],
  ]);
  expect(trailers.neverIndexed).toEqual(['x-bin']);
});

test('none are fine too', () => {
  expect(read([]).problem).toBe('');
});

test.each(['host', 'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'content-length'])(
  'a trailer %s could only deceive',
  (name) => {
    expect(
      read([
        ['x-a', '1'],
        [name, '1'],
      ]).problem,
    ).toBe('forbidden_trailer');
  },
);

test.each([':status', ':path', ':new'])('%s is malformed', (name) => {
  expect(read([[name, '200']]).problem).toBe('pseudo_header_in_trailers');
});

test('what is malformed in a head is so here', () => {
  expect(read([['X-A', '1']]).problem).toBe('upper-case letter in a header name');
});

test('a list beyond the limits is refused', () => {
  expect(read([['x-a', '1'.repeat(500)]], { maxListBytes: 500 }).problem).toBe('trailers_too_large');
});
