import { expect, test } from 'vitest';
import { readResponseFields } from '../../../src/http/http2/response-fields.ts';
import { ResponseHead } from '../../../src/http/message.ts';
import { fieldList, type TestField } from './fields.ts';

function read(fields: readonly TestField[], limits?: Parameters<typeof fieldList>[1]) {
  const head = new ResponseHead();
  head.append('x-old', 'of the response before');
  return { problem: readResponseFields(fieldList(fields, limits), head), head };
}

const OK: TestField = [':status', '200'];

test('a head is read in its order', () => {
  const { problem, head } = read([
    [':status', '404'],
    ['x-a', '1'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ]);
  expect([problem, head.status]).toEqual(['', 404]);
  expect([...head]).toEqual([
    ['x-a', '1'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2'],
  ]);
});

test('what was never indexed stays so on its further way', () => {
  const { head } = read([OK, ['x-secret', 's', 'never'], ['x-open', 'o']]);
  expect(head.neverIndexed).toEqual(['x-secret']);
});

test('the same length twice is one length', () => {
  const { problem, head } = read([OK, ['content-length', '5'], ['content-length', '5']]);
  expect([problem, head.getAll('content-length')]).toEqual(['', ['5']]);
});

test.each<[string, TestField[], string]>([
  ['nothing', [], 'missing_status'],
  ['no status', [['x-a', '1']], 'missing_status'],
  ['a status behind other fields', [['x-a', '1'], OK], 'missing_status'],
  ['two of them', [OK, OK], 'unexpected_pseudo_header'],
  ['a pseudo-header of requests', [OK, [':path', '/']], 'unexpected_pseudo_header'],
  ['a pseudo-header that nobody knows', [OK, [':new', '1']], 'unexpected_pseudo_header'],
  ['a status of two digits', [[':status', '20']], 'invalid_status'],
  ['a status of four digits', [[':status', '2000']], 'invalid_status'],
  ['a status below 100', [[':status', '099']], 'invalid_status'],
  ['a status that is none', [[':status', '2x0']], 'invalid_status'],
  ['an empty status', [[':status', '']], 'invalid_status'],
  ['connection', [OK, ['connection', 'close']], 'connection_specific_header'],
  ['keep-alive', [OK, ['keep-alive', '5']], 'connection_specific_header'],
  ['proxy-connection', [OK, ['proxy-connection', 'close']], 'connection_specific_header'],
  ['transfer-encoding', [OK, ['transfer-encoding', 'chunked']], 'connection_specific_header'],
  ['upgrade', [OK, ['upgrade', 'h2c']], 'connection_specific_header'],
  ['two lengths', [OK, ['content-length', '5'], ['content-length', '6']], 'invalid_content_length'],
  ['a name in capitals', [OK, ['X-A', '1']], 'upper-case letter in a header name'],
  ['a line feed', [OK, ['x-a', 'b\nx-b: c']], 'invalid character in a header value'],
])('%s is malformed', (_what, fields, problem) => {
  expect(read(fields).problem).toBe(problem);
});

test('a list beyond the limits is refused', () => {
  expect(read([OK, ['x-a', '1'.repeat(500)]], { maxListBytes: 500 }).problem).toBe('response_headers_too_large');
  expect(read([OK, ['x-a', '1'], ['x-b', '2']], { maxFields: 2 }).problem).toBe('response_headers_too_large');
});
