import { describe, expect, test } from 'vitest';
import type { HttpSettings } from '../../../src/http/connection-manager-settings.ts';
import { isMethod, readRequestFields } from '../../../src/http/http2/request-fields.ts';
import { RequestHead } from '../../../src/http/message.ts';
import { fieldList, type TestField } from './fields.ts';

const SETTINGS = { scheme: 'https' } as HttpSettings;

function read(fields: readonly TestField[], allowConnect = true, limits?: Parameters<typeof fieldList>[1]) {
  const request = new RequestHead();
  // Of the request before, on the same object.
  Object.assign(request, { method: 'PUT', path: '/old', authority: 'old', upgrade: 'old', expectContinue: true });
  request.append('x-old', '1');
  const result = readRequestFields(fieldList(fields, limits), request, SETTINGS, allowConnect);
  const problem =
    result === undefined
      ? ''
      : 'malformed' in result
        ? result.malformed
        : `${result.refused.status} ${result.refused.details}`;
  return { problem, request };
}

const METHOD: TestField = [':method', 'GET'];
const SCHEME: TestField = [':scheme', 'http'];
const PATH: TestField = [':path', '/a?b'];
const AUTHORITY: TestField = [':authority', 'host:80'];
const GET = [METHOD, SCHEME, PATH, AUTHORITY];

describe('a request', () => {
  test('is what policies know from HTTP/1.1; the scheme is that of the connection', () => {
    const { problem, request } = read([...GET, ['x-a', '1'], ['x-b', '2'], ['x-a', '3']]);
    expect(problem).toBe('');
    expect(request).toMatchObject({
      protocol: 'HTTP/2',
      method: 'GET',
      path: '/a?b',
      authority: 'host:80',
      scheme: 'https',
      upgrade: '',
      expectContinue: false,
      keepAlive: true,
      receivedPath: '/a?b',
      receivedAuthority: 'host:80',
    });
    expect([...request]).toEqual([
      ['x-a', '1'],
      ['x-b', '2'],
      ['x-a', '3'],
    ]);
  });

  test('has its pseudo-headers in any order', () => {
    expect(read([AUTHORITY, PATH, SCHEME, METHOD]).problem).toBe('');
  });

  test('may name its host in the old way; a second opinion on it goes no further', () => {
    expect(read([METHOD, SCHEME, PATH, ['host', 'h']]).request).toMatchObject({
      authority: 'h',
      receivedAuthority: 'h',
    });
    const { problem, request } = read([...GET, ['host', 'other']]);
    expect([problem, request.authority, [...request]]).toEqual(['', 'host:80', []]);
  });

  test('has one cookie, whose pairs are in their order', () => {
    const { request } = read([...GET, ['cookie', 'a=1'], ['x-a', '1'], ['cookie', 'b=2; c=3'], ['cookie', 'd=4']]);
    expect([...request]).toEqual([
      ['cookie', 'a=1; b=2; c=3; d=4'],
      ['x-a', '1'],
    ]);
    expect(request.neverIndexed).toBeUndefined();
  });

  test('keeps a secret that any of the cookie’s pairs is', () => {
    for (const pairs of [
      [
        ['cookie', 'a=1', 'never'],
        ['cookie', 'b=2'],
      ],
      [
        ['cookie', 'a=1'],
        ['cookie', 'b=2', 'never'],
      ],
    ] as TestField[][]) {
      expect(read([...GET, ...pairs]).request.neverIndexed).toContain('cookie');
    }
  });

  test('may ask for trailers, and be asked to wait', () => {
    const { problem, request } = read([
      ...GET,
      ['te', 'trailers'],
      ['expect', '100-Continue'],
      ['content-length', '5'],
    ]);
    expect([problem, request.expectContinue, request.get('te')]).toEqual(['', true, 'trailers']);
  });

  test('may say its length twice, if it is the same', () => {
    const { problem, request } = read([...GET, ['content-length', '5'], ['content-length', '5']]);
    expect([problem, request.getAll('content-length')]).toEqual(['', ['5']]);
  });

  test('may be OPTIONS of everything', () => {
    expect(read([[':method', 'OPTIONS'], SCHEME, [':path', '*'], AUTHORITY])).toMatchObject({
      problem: '',
      request: { path: '*' },
    });
  });
});

describe('a tunnel', () => {
  const CONNECT: TestField = [':method', 'CONNECT'];
  const WEBSOCKET: TestField = [':protocol', 'WebSocket'];

  test('is asked for by CONNECT with an authority alone', () => {
    const { problem, request } = read([CONNECT, AUTHORITY]);
    expect([problem, request.method, request.upgrade]).toEqual(['', 'CONNECT', '']);
  });

  test('is asked for by extended CONNECT, which is an upgrade', () => {
    const { problem, request } = read([CONNECT, WEBSOCKET, SCHEME, PATH, AUTHORITY]);
    expect([problem, request.method, request.upgrade, request.path]).toEqual(['', 'GET', 'websocket', '/a?b']);
    expect(request.get('upgrade')).toBe('websocket');
  });

  test.each<[string, TestField[], string]>([
    ['CONNECT with a path', [CONNECT, PATH, AUTHORITY], 'invalid_connect'],
    ['CONNECT with a scheme', [CONNECT, SCHEME, AUTHORITY], 'invalid_connect'],
    ['CONNECT to nobody', [CONNECT, ['host', 'h']], 'invalid_connect'],
    ['extended CONNECT without a path', [CONNECT, WEBSOCKET, SCHEME, AUTHORITY], 'missing_path_or_scheme'],
    ['extended CONNECT without a scheme', [CONNECT, WEBSOCKET, PATH, AUTHORITY], 'missing_path_or_scheme'],
    ['a protocol that is no token', [CONNECT, [':protocol', 'a b'], SCHEME, PATH, AUTHORITY], 'invalid_protocol'],
    ['a protocol of another method', [METHOD, WEBSOCKET, SCHEME, PATH, AUTHORITY], 'protocol_without_connect'],
  ])('%s is malformed', (_what, fields, problem) => {
    expect(read(fields).problem).toBe(problem);
  });

  test('extended CONNECT that was not offered is malformed', () => {
    expect(read([CONNECT, WEBSOCKET, SCHEME, PATH, AUTHORITY], false).problem).toBe('extended_connect_not_allowed');
  });
});

test.each<[string, TestField[], string]>([
  ['nothing', [], 'missing_method'],
  ['no method', [SCHEME, PATH, AUTHORITY], 'missing_method'],
  ['no scheme', [METHOD, PATH, AUTHORITY], 'missing_path_or_scheme'],
  ['no path', [METHOD, SCHEME, AUTHORITY], 'missing_path_or_scheme'],
  ['an empty path', [METHOD, SCHEME, [':path', ''], AUTHORITY], 'missing_path_or_scheme'],
  ['a method that is no token', [[':method', 'G T'], SCHEME, PATH, AUTHORITY], 'missing_method'],
  ['an empty method', [[':method', ''], SCHEME, PATH, AUTHORITY], 'missing_method'],
  ['a scheme that nobody serves', [METHOD, [':scheme', 'ftp'], PATH, AUTHORITY], 'invalid_scheme'],
  ['two paths', [...GET, PATH], 'unexpected_pseudo_header'],
  ['two authorities', [...GET, AUTHORITY], 'unexpected_pseudo_header'],
  ['a status', [...GET, [':status', '200']], 'unexpected_pseudo_header'],
  ['a pseudo-header that nobody knows', [...GET, [':new', '1']], 'unexpected_pseudo_header'],
  ['a pseudo-header behind a field', [METHOD, SCHEME, AUTHORITY, ['x-a', '1'], PATH], 'pseudo_header_after_fields'],
  ['a pseudo-header behind a host', [METHOD, SCHEME, ['host', 'h'], PATH], 'pseudo_header_after_fields'],
  ['two hosts', [METHOD, SCHEME, PATH, ['host', 'a'], ['host', 'b']], 'several_hosts'],
  ['connection', [...GET, ['connection', 'close']], 'connection_specific_header'],
  ['keep-alive', [...GET, ['keep-alive', '5']], 'connection_specific_header'],
  ['proxy-connection', [...GET, ['proxy-connection', 'close']], 'connection_specific_header'],
  ['transfer-encoding', [...GET, ['transfer-encoding', 'chunked']], 'connection_specific_header'],
  ['upgrade', [...GET, ['upgrade', 'websocket']], 'connection_specific_header'],
  ['another te', [...GET, ['te', 'trailers, gzip']], 'invalid_te'],
  ['two lengths', [...GET, ['content-length', '5'], ['content-length', '6']], 'invalid_content_length'],
  ['a name in capitals', [...GET, ['X-A', '1']], 'upper-case letter in a header name'],
  ['a zero byte', [...GET, ['x-a', '\0']], 'invalid character in a header value'],
])('%s is malformed', (_what, fields, problem) => {
  expect(read(fields).problem).toBe(problem);
});

test.each<[string, TestField[], string]>([
  ['no host', [METHOD, SCHEME, PATH], '400 missing_host_header'],
  ['a host with a user', [METHOD, SCHEME, PATH, [':authority', 'a/b']], '400 http.invalid_authority'],
  ['a path that does not begin with a slash', [METHOD, SCHEME, [':path', 'a'], AUTHORITY], '400 http2.invalid_path'],
  ['a star of another method', [METHOD, SCHEME, [':path', '*'], AUTHORITY], '400 http2.invalid_path'],
  ['a space in the path', [METHOD, SCHEME, [':path', '/a b'], AUTHORITY], '400 http2.invalid_path'],
  ['a byte beyond ASCII in the path', [METHOD, SCHEME, [':path', '/\u00e4'], AUTHORITY], '400 http2.invalid_path'],
  ['a fragment', [METHOD, SCHEME, [':path', '/a#b'], AUTHORITY], '400 path_normalization_failed'],
])('%s is answered', (_what, fields, problem) => {
  expect(read(fields).problem).toBe(problem);
});

test('a list beyond the limits is answered with 431', () => {
  expect(read([...GET, ['x-a', '1'.repeat(500)]], true, { maxListBytes: 500 }).problem).toMatch(/^431/);
  expect(read([...GET, ['x-a', '1']], true, { maxFields: 4 }).problem).toMatch(/^431/);
});

test('methods are tokens', () => {
  expect(['GET', 'get', 'M-SEARCH', "X!#$%&'*+.^_`|~1"].every(isMethod)).toBe(true);
  expect(['', 'G T', 'GET\n', 'G\u00c4T', 'G:T'].some(isMethod)).toBe(false);
});
