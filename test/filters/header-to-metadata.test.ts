import { describe, expect, test } from 'vitest';
import { headerToMetadata } from '../../filters/header-to-metadata/header-to-metadata.ts';
import { decodeProtobufValue } from '../../filters/header-to-metadata/protobuf-value.ts';
import { HttpFilterHarness, responseHead } from '../support/filter-harness.ts';

const NAMESPACE = 'envoy.filters.http.header_to_metadata';

/** What a request leaves under one rule, in the filter's own namespace. */
function metadataOf(rule: object, fields: Record<string, string | string[]> = {}): unknown {
  const filter = new HttpFilterHarness(headerToMetadata, { request_rules: [rule] });
  return filter.request(fields).stream.getMetadata(NAMESPACE);
}

describe('envoy.filters.http.header_to_metadata', () => {
  test('writes a header that is there, and the given value for one that is missing', () => {
    const rule = {
      header: 'X-Version',
      on_header_present: { metadata_namespace: 'envoy.lb', key: 'version' },
      on_header_missing: { metadata_namespace: 'envoy.lb', key: 'default', value: 'true' },
    };
    const filter = new HttpFilterHarness(headerToMetadata, { request_rules: [rule] });
    expect(filter.request({ 'x-version': 'v1' }).stream.getMetadata('envoy.lb')).toEqual({ version: 'v1' });
    expect(filter.request().stream.getMetadata('envoy.lb')).toEqual({ default: 'true' });
  });

  test('removes the header when asked to, also where only its absence is recorded', () => {
    const present = { header: 'x-secret', on_header_present: { key: 's' }, remove: true };
    const missing = { header: 'x-other', on_header_missing: { key: 'o', value: 'none' }, remove: true };
    const filter = new HttpFilterHarness(headerToMetadata, { request_rules: [present, missing] });
    const { request, stream } = filter.request({ 'x-secret': ['a', 'b'], 'x-other': 'c' });
    expect(stream.getMetadata(NAMESPACE)).toEqual({ s: 'a,b' });
    expect([request.has('x-secret'), request.has('x-other')]).toEqual([false, false]);
  });

  test.each([
    [{ key: 'k', type: 'NUMBER' }, ' -1.5e2 ', -150],
    [{ key: 'k', type: 'NUMBER' }, '0x10', undefined],
    [{ key: 'k', type: 'NUMBER' }, 'many', undefined],
    [{ key: 'k', encode: 'BASE64' }, 'aGVsbG8', 'hello'],
    [{ key: 'k', encode: 'BASE64' }, 'aGVsbG8=', 'hello'],
    [{ key: 'k', encode: 'BASE64' }, 'a', undefined],
    [{ key: 'k', encode: 'BASE64' }, '!!!!', undefined],
    [{ key: 'k', encode: 'BASE64', type: 'NUMBER' }, 'NDI=', 42],
    [{ key: 'k', encode: 'BASE64', type: 'PROTOBUF_VALUE' }, Buffer.from([0x20, 1]).toString('base64'), true],
    [{ key: 'k', encode: 'BASE64', type: 'PROTOBUF_VALUE' }, Buffer.from([0x1a, 9]).toString('base64'), undefined],
    [{ key: 'k', value: 'fixed' }, 'anything', 'fixed'],
    [{ key: 'k' }, 'x'.repeat(8 * 1024 - 1), 'x'.repeat(8 * 1024 - 1)],
    [{ key: 'k' }, 'x'.repeat(8 * 1024), undefined],
    [{ key: 'k' }, '', undefined],
    [{ key: 'k' }, Buffer.from('né').toString('latin1'), 'né'],
    [
      { key: 'k', regex_value_rewrite: { pattern: { regex: '^/(tenant-\\d+)/.*$' }, substitution: '\\1' } },
      '/tenant-7/x',
      'tenant-7',
    ],
  ])('reads with %j', (on_header_present, value, expected) => {
    const written = metadataOf({ header: 'x-v', on_header_present }, { 'x-v': value });
    expect(written).toEqual(expected === undefined ? undefined : { k: expected });
  });

  test('reads pseudo-headers and the first cookie of a name, without quotes', () => {
    expect(metadataOf({ header: ':path', on_header_present: { key: 'p' } }, { ':path': '/x' })).toEqual({ p: '/x' });
    const cookie = { cookie: 'ck', on_header_present: { key: 'c' }, on_header_missing: { key: 'none', value: '1' } };
    expect(metadataOf(cookie, { cookie: 'ckk=0; ck="q"; ck=3' })).toEqual({ c: 'q' });
    expect(metadataOf(cookie, { cookie: ['a=b', 'ck=2'] })).toEqual({ c: '2' });
    expect(metadataOf(cookie, { cookie: 'ck=' })).toEqual({ none: '1' });
    expect(metadataOf(cookie)).toEqual({ none: '1' });
  });

  test('response rules read the response', () => {
    const rule = { header: 'x-cache', on_header_present: { key: 'cache' } };
    const filter = new HttpFilterHarness(headerToMetadata, { response_rules: [rule] });
    const { stream } = filter.request();
    filter.response(stream, responseHead(200, { 'x-cache': 'hit' }));
    expect(stream.getMetadata(NAMESPACE, 'cache')).toBe('hit');
  });

  test('a route override replaces the rules and must have some', () => {
    const rule = { header: 'x-a', on_header_present: { key: 'a' } };
    const override = { request_rules: [{ header: 'x-b', on_header_present: { key: 'b' } }] };
    const filter = new HttpFilterHarness(headerToMetadata, { request_rules: [rule] }, { routeConfigs: [override] });
    expect(filter.request({ 'x-a': '1', 'x-b': '2' }).stream.getMetadata(NAMESPACE)).toEqual({ b: '2' });
    expect(() => new HttpFilterHarness(headerToMetadata, {}, { routeConfigs: [{}] })).toThrow('is required');
  });

  test.each([
    [{ header: 'a', cookie: 'b', on_header_present: { key: 'k' } }, 'cannot be given together'],
    [{ header: 'a' }, 'one of on_header_present, on_header_missing is required'],
    [{ cookie: 'a', on_header_present: { key: 'k' }, remove: true }, 'not possible for a cookie'],
    [{ header: 'a', on_header_missing: { key: 'k' } }, 'must not be empty'],
    [
      {
        header: 'a',
        on_header_present: { key: 'k', value: 'v', regex_value_rewrite: { pattern: { regex: 'x' } } },
      },
      'cannot be given together',
    ],
  ])('refuses %j', (rule, message) => {
    expect(() => new HttpFilterHarness(headerToMetadata, { request_rules: [rule] })).toThrow(message);
  });
});

describe('decodeProtobufValue', () => {
  const text = (value: string) => [0x1a, value.length, ...Buffer.from(value)];
  const nested = (tag: number, bytes: number[]) => [tag, bytes.length, ...bytes];

  test.each([
    [[0x08, 0], null],
    [[0x11, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f], 1.5],
    [text('hi'), 'hi'],
    [[0x20, 0], false],
    [[0x22, 1, 1, 0x20, 1], true],
    [[0x3a, 1, 1], undefined],
    [nested(0x32, nested(0x0a, [])), [null]],
    [nested(0x2a, nested(0x0a, [0x0a, 1, 97, ...nested(0x12, text('b'))])), { a: 'b' }],
    [nested(0x32, [...nested(0x0a, text('x')), ...nested(0x0a, [0x20, 1])]), ['x', true]],
  ])('reads %j', (bytes, expected) => {
    expect(decodeProtobufValue(Buffer.from(bytes))).toEqual(expected);
  });

  test.each([[[0x1a]], [[0x1a, 200]], [[0x11, 0]], [[0x0b]], [[0x00]], [[0x08]]])('refuses %j', (bytes) => {
    expect(() => decodeProtobufValue(Buffer.from(bytes))).toThrow();
  });

  test('refuses nesting without end', () => {
    let deep: Buffer = Buffer.from([0x20, 1]);
    const wrap = (tag: number, inner: Buffer) => {
      const length = inner.length < 128 ? [inner.length] : [(inner.length & 127) | 128, inner.length >> 7];
      return Buffer.concat([Buffer.from([tag, ...length]), inner]);
    };
    for (let i = 0; i < 100; i++) deep = wrap(0x32, wrap(0x0a, deep));
    expect(() => decodeProtobufValue(deep)).toThrow('nested too deeply');
  });
});
